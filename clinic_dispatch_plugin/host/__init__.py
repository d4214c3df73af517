"""What we ask of the clinic's own system."""
