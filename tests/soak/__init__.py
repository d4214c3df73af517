"""The long run: a clinic at work while everything around it breaks, and what the gateways' ledgers say of it."""
