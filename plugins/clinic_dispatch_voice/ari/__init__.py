"""Calls through Asterisk's own interface, ARI: HTTP to say what is wanted, a WebSocket to hear what happens."""
