"""What a channel is and what it says to the core."""
