"""The country of a number, as price lists know it."""

from __future__ import annotations

import phonenumbers


def country_of(number: str) -> str:
    """Two capital letters; empty where the number belongs to no country."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ""
    return phonenumbers.region_code_for_number(parsed) or ""
