"""Real servers the tests start for themselves: throw-away, unprivileged, on loopback or a private Unix socket."""
