"""Infobip: many messages a request, each under an id of our own."""
