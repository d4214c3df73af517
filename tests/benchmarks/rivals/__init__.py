"""The same mails by other means: each reads rows, sends 2 KB with text and HTML, writes a status and a ledger row."""
