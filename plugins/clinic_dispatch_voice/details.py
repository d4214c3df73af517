"""What a report tells of a call besides its end."""

from __future__ import annotations

#: What an account's sender is.
NUMBER_SHOWN = "The number that is shown to whoever is called."


def confirmed(key: str) -> dict[str, str]:
    """The recipient pressed the key that says that they understood."""
    return {"state": "confirmed", "key": key}
