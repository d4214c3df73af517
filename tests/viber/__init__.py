"""The channel for Viber."""
