"""What may stand on a patient's card: the same rules for the clinic's form and for a correction from elsewhere."""

from __future__ import annotations

import re

from clinic_dispatch_plugin.demo.wording import t

LONGEST_EMAIL = 200
LONGEST_PHONE = 60
_EMAIL = re.compile(
    r"[^\s\x00-\x20\x7f-\x9f@<>()\[\]\\,;:\"]+@(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W\d_]{2,63}"
)
_PHONE = re.compile(r"[0-9+()/ .-]*")
_REF = re.compile(r"P-[0-9]{5}")


def is_ref(text: str) -> bool:
    """Whether this can be a patient's number at all."""
    return _REF.fullmatch(text) is not None


def checked_email(value: str) -> str:
    """The address without blanks around it; empty where the patient has none.

    :raises ValueError: it is no address; says so in the request's language.
    """
    value = value.strip()
    if len(value) > LONGEST_EMAIL:
        raise ValueError(t("address_too_long", most=LONGEST_EMAIL))
    local = value.partition("@")[0]
    if value and (
        _EMAIL.fullmatch(value) is None
        or not value.isprintable()
        or ".." in value
        or local != local.strip(".")
    ):
        raise ValueError(t("bad_address"))
    return value


def checked_phone(value: str) -> str:
    """The number as typed, without blanks around it; empty where there is none.

    :raises ValueError: there is something else than a number in it.
    """
    value = value.strip()
    if len(value) > LONGEST_PHONE:
        raise ValueError(t("address_too_long", most=LONGEST_PHONE))
    if _PHONE.fullmatch(value) is None:
        raise ValueError(t("bad_phone"))
    return value
