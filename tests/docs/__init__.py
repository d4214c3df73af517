"""The code that the README shows, and the tests that run it."""
