"""Tables of numbers and what happens to them."""

from __future__ import annotations

import json
from pathlib import Path


def read_table(path: Path, what: str = "words") -> dict[str, str]:
    """The table in a JSON file: one object, number to words.

    :raises OSError: the file cannot be read.
    :raises ValueError: it is no such object.
    """
    table = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(table, dict) or not all(isinstance(each, str) for each in table.values()):
        raise ValueError(f"{path} must hold one JSON object of number to {what}")
    return table


def digits_of(number: str) -> str:
    """What counts of a number."""
    return "".join(filter(str.isdigit, number))
