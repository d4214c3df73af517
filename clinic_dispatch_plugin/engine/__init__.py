"""What a worker runs: claims, opens, sends, records."""
