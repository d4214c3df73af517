"""Gateways that speak over HTTP, on loopback alone, and answer as their recipients' numbers demand.

Import from the modules: the command line reads this package without wanting an HTTP server.
"""
