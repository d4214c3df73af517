"""One message's life: states, attempts, history, resending."""
