"""The history of our tables; run by ``flask dispatch db upgrade``."""
