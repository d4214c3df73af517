"""A message as the requests that carry it: parted as it is billed, each part in the centre's alphabet."""

from __future__ import annotations

import itertools
import secrets

from clinic_dispatch_plugin.api import OutgoingMessage
from clinic_dispatch_sms.alphabet import UCS2
from clinic_dispatch_sms.parts import CONCATENATION_8, CONCATENATION_16, Parted, parted
from clinic_dispatch_sms.smpp.known import reference_of
from clinic_dispatch_sms.smpp.requests import PartText, submit_body
from clinic_dispatch_sms.smpp.settings import SmppSettings
from clinic_dispatch_sms.smpp.window import Flight

#: data_coding (5.2.19): what the centre takes for its own, Latin-1, UCS-2.
_OWN, _LATIN1, _UCS2 = 0, 3, 8
_SEPTETS = {"gsm": _OWN, "latin1": _LATIN1}
#: A part's number is one octet.
_MOST_PARTS = 255
_ESCAPE = 0x1B
_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = {
    "\f": 0x0A, "^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F,
    "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40, "€": 0x65,
}  # fmt: skip
#: Each character as one octet a septet, the escape before those that need it (3GPP TS 23.038 6.2.1).
GSM_OCTETS = {
    **{each: bytes([code]) for code, each in enumerate(_BASIC) if code != _ESCAPE},
    **{each: bytes([_ESCAPE, code]) for each, code in _EXTENSION.items()},
}


class Composer:
    """Makes the requests of one link."""

    def __init__(self, settings: SmppSettings) -> None:
        self._settings = settings
        # Parts of two texts to one phone must not meet under one number: it begins anywhere and goes on by one.
        self._numbers = itertools.count(secrets.randbelow(0x10000))

    def compose(self, message: OutgoingMessage) -> Flight:
        """The message's requests.

        :raises ValueError: number or text cannot be written.
        """
        parts = parts_of(message.content.text, self._settings)
        concatenation = next(self._numbers) & 0xFFFF
        reference = reference_of(message.attempt_key)
        bodies = [
            submit_body(
                part,
                self._settings,
                address=message.address,
                reference=reference,
                concatenation=concatenation,
                key=message.attempt_key,
            )
            for part in parts
        ]
        return Flight(message, bodies)


def parts_of(text: str, settings: SmppSettings) -> list[PartText]:
    """The text in parts, encoded; an empty text is one empty part.

    :raises ValueError: it has more parts than can be numbered.
    """
    found = _parted(text, settings)
    texts = found.texts or ("",)
    if len(texts) > _MOST_PARTS:
        raise ValueError(f"{len(texts)} parts, and {_MOST_PARTS} are the most")
    if settings.long == "payload":
        texts = ("".join(texts),)
    coding = _UCS2 if found.encoding == UCS2 else _SEPTETS[settings.alphabet]
    return [
        PartText(octets=_encoded(each, coding), data_coding=coding, number=number, total=len(texts))
        for number, each in enumerate(texts, 1)
    ]


def _parted(text: str, settings: SmppSettings) -> Parted:
    reference = CONCATENATION_16 if settings.long in ("udh16", "sar") else CONCATENATION_8
    found = parted(text, reference=reference)
    if settings.alphabet == "latin1" and not all(each <= "\xff" for each in text):
        # Septets have the euro sign and some Greek letters, Latin-1 has not.
        return parted(text, reference=reference, septets=False)
    return found


def _encoded(text: str, coding: int) -> bytes:
    if coding == _UCS2:
        return text.encode("utf-16-be")
    return in_gsm(text) if coding == _OWN else text.encode("latin-1")


def in_gsm(text: str) -> bytes:
    """One octet a septet, as the protocol takes them."""
    return b"".join([GSM_OCTETS[each] for each in text])
