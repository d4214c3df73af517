"""SMPP 3.4: a message centre spoken to directly, with a window of open requests and receipts on the same link."""
