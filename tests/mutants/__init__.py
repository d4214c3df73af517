"""The promises of the engine, each broken on purpose: ``make mutants`` shows that a test notices."""
