"""SMPP: packets, receipts, windows, and senders with a centre that misbehaves."""
