"""Calls that the program makes itself, through a clinic's own exchange: what is said, heard and told."""
