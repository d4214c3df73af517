"""Every channel, ours or an example's, against the one contract."""
