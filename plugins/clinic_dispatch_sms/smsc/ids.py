"""One id names a request of many numbers, so a message is the request's id and its number."""

from __future__ import annotations

import hashlib
import re

_OTHERS = re.compile("[^0-9]+")
_OURS = re.compile(r"([A-Za-z0-9._-]{1,40})-[0-9a-f]{12}")


def digits_of(number: str) -> str:
    """A number as the gateway writes it: without the plus."""
    return _OTHERS.sub("", number)


def message_id(request_id: str, number: str) -> str:
    """What we keep of a message; the number itself stands in no id, for ids are shown and logged."""
    told = hashlib.sha256(f"{request_id}:{digits_of(number)}".encode()).hexdigest()[:12]
    return f"{request_id}-{told}"


def request_id_of(kept: str | None) -> str | None:
    """The request's id in what we kept; None where it is not ours."""
    found = _OURS.fullmatch(kept or "")
    return found.group(1) if found else None
