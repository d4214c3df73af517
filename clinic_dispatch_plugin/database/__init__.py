"""Our tables beside the host's: a base of our own, transactions on the host's engine, our own Alembic run."""
