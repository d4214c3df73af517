"""What counts as a telephone number for text messages: the rubbish in patients' files is understood, or named."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from enum import IntEnum

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from clinic_dispatch_plugin.api import Answer, InvalidAddress

#: Longer than any field of a patient's file that holds a few numbers.
LONGEST_FIELD = 500
#: No number has fewer digits, its prefix included, where it can be written to.
_FEWEST_DIGITS = 7

_REMARK = re.compile(r"\([^()]*[^\W\d_][^()]*\)|\[[^\[\]]*\]")
_BETWEEN = re.compile(r"[,;|\n\t&]|(?<=[\d\s)])\+(?=\d)|(?<=\d)\s{2,}(?=[+\d(])")
_EXTENSION = re.compile(
    r"(?:\b(?:ext(?:ension|n)?|durchwahl|dw|nebenstelle|доб(?:авочный)?|вн(?:утр)?)\b|(?<=\d)\s*[xх#])"
    r"\.?:?\s*\d{1,7}(?!\d)",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[^\W\d_]+[.:]?")
_TRUNK_IN_BRACKETS = re.compile(r"(?<=\d)\s*\(0\)\s*")
#: What may stand in a number beside its digits.
_NUMBER = re.compile(r"\+?[\d\s().\-‐‑‒–—−/]+")
_HAND_HELD = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE, PhoneNumberType.UNKNOWN}
_WIRED = {PhoneNumberType.FIXED_LINE, PhoneNumberType.VOIP, PhoneNumberType.PERSONAL_NUMBER}


class _Fault(IntEnum):
    """Why a number cannot be written to; of several the one that says most, which is the highest."""

    NO_ADDRESS = 0
    MALFORMED_ADDRESS = 1
    SHORT_NUMBER = 2
    LANDLINE = 3

    @property
    def code(self) -> str:
        return self.name.lower()


def normalised(raw: str, *, region: str, landlines: bool = False) -> str:
    """The first mobile number of a field in its one form, ``+77011234567``.

    A field may hold several numbers, remarks and words.

    :param landlines: numbers on a wire are as good, unless an extension stands behind them: nobody dials that for us.
    :raises InvalidAddress: ``no_address``, ``malformed_address``, ``landline`` or ``short_number``.
    """
    if "\0" in raw or len(raw) > LONGEST_FIELD:
        raise _refused(_Fault.MALFORMED_ADDRESS, "the field holds more than numbers")
    text = "".join(
        each for each in unicodedata.normalize("NFKC", raw) if unicodedata.category(each) != "Cf"
    )
    worst = _Fault.NO_ADDRESS
    for candidate, extended in _candidates(text):
        for number in _readings(candidate, region):
            found = _judged(number, extended=extended, landlines=landlines)
            if isinstance(found, str):
                return found
            worst = max(worst, found)
        worst = max(worst, _unread(candidate))
    raise _refused(worst, text.strip()[:100] if worst > _Fault.NO_ADDRESS else "")


def _candidates(text: str) -> Iterator[tuple[str, bool]]:
    """Each run of digits that may be a number, and whether an extension stands behind it."""
    for piece in _BETWEEN.split(_TRUNK_IN_BRACKETS.sub(" ", _plus_kept(_REMARK.sub(" ; ", text)))):
        extended = _EXTENSION.search(piece) is not None
        for run in _WORDS.split(_EXTENSION.sub(" ", piece)):
            if any(each.isdigit() for each in run):
                yield run.strip(" .:-–—/"), extended


def _plus_kept(text: str) -> str:
    """A plus begins a number wherever it stands; parting there must not take it away."""
    return re.sub(r"(?<=[\d\s)])\+(?=\s*\d)", ";+", text)


def _readings(candidate: str, region: str) -> Iterator[phonenumbers.PhoneNumber]:
    """The candidate as one number; else, where strokes stand in it, as several."""
    whole = _parsed(candidate, region)
    if whole is not None:
        yield whole
    elif "/" in candidate:
        for piece in candidate.split("/"):
            if (number := _parsed(piece, region)) is not None:
                yield number


def _parsed(candidate: str, region: str) -> phonenumbers.PhoneNumber | None:
    """A number that exists in some numbering plan; None: it is none as it stands."""
    candidate = candidate.strip()
    if _NUMBER.fullmatch(candidate) is None:
        return None
    try:
        number = phonenumbers.parse(candidate, region)
    except phonenumbers.NumberParseException:
        return None
    return number if phonenumbers.is_valid_number(number) else None


def _judged(number: phonenumbers.PhoneNumber, *, extended: bool, landlines: bool) -> str | _Fault:
    kind = phonenumbers.number_type(number)
    if landlines and kind in _WIRED | _HAND_HELD:
        return _Fault.MALFORMED_ADDRESS if extended else _written(number)
    if kind in _WIRED or (extended and kind in _HAND_HELD):
        return _Fault.LANDLINE
    if kind not in _HAND_HELD:  # toll-free, premium, shared cost, paging, company-wide
        return _Fault.SHORT_NUMBER
    return _written(number)


def _written(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _unread(candidate: str) -> _Fault:
    digits = sum(each.isdigit() for each in candidate)
    if 3 <= digits < _FEWEST_DIGITS and not candidate.startswith(("0", "+")):
        return _Fault.SHORT_NUMBER
    return _Fault.MALFORMED_ADDRESS


def _refused(fault: _Fault, text: str) -> InvalidAddress:
    return InvalidAddress(Answer(system="dispatch", code=fault.code, text=text))
