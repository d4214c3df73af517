"""A tiny clinic for the tests: a host with a database, an adapter whose actor can be switched, and layouts."""
