"""Bounce mails: read, tied, shown, fetched."""
