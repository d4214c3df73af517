"""What a report tells of a call besides its end."""

from __future__ import annotations


def confirmed(key: str) -> dict[str, str]:
    """The recipient pressed the key that says that they understood."""
    return {"state": "confirmed", "key": key}
