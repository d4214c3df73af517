"""Choose people, write, check, send, watch."""
