"""Guards: what a reminder would say, said by a test."""
