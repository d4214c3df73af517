"""The clinic's accounts at gateways: ready, resting, stopped."""
