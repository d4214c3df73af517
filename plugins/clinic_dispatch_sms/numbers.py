"""What counts as a telephone number for text messages."""

from __future__ import annotations

import phonenumbers

from clinic_dispatch_plugin.api import Answer, InvalidAddress


def normalised(raw: str, *, region: str) -> str:
    """The first mobile number of a field in its one form, ``+77011234567``.

    :raises InvalidAddress: there is none, with the reason as an answer of system ``dispatch``.
    """
    try:
        number = phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException as error:
        answer = Answer(system="dispatch", code="malformed_address", text=str(error))
        raise InvalidAddress(answer) from None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
