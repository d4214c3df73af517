"""Simulators are tested with real clients."""
