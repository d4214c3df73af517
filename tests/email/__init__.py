"""The e-mail channel against real and scripted relays."""
