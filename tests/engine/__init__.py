"""The engine on real databases, with a gateway in memory."""
