"""Gateways of our own that speak the real protocols on loopback, for demonstrations and tests."""
