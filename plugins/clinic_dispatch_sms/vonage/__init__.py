"""Vonage (formerly Nexmo): one message a request, many requests at once, a receipt for every part."""
