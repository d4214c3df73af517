"""What a provider's answer means, and what is done about it."""
