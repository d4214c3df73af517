"""Twilio: one message a request, many requests at once, and reports with a signature."""
