"""What a price depends on: the country of a number, and the operator its range was given to."""

from __future__ import annotations

import phonenumbers
from phonenumbers import carrier


def tariff_of(number: str) -> str:
    """Such as ``"KZ Kcell"``; the country alone where the operator is not known, empty where neither is."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ""
    country = phonenumbers.region_code_for_number(parsed) or ""
    operator = carrier.name_for_number(parsed, "en") if country else ""
    return f"{country} {operator}".strip()
