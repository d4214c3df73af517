"""A kit for third parties: a new channel as a distribution that installs, keeps the contract, and is theirs."""
