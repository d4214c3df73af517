"""The channel for calls."""
