"""Workers that are killed at every named point; the relay's own ledger says what really went out."""
