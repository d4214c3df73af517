"""How many parts a text is billed as, and where they are parted."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import regex

from clinic_dispatch_sms.alphabet import GSM7, NATIONAL, UCS2, Alphabet

#: Octets of user data in one message (3GPP TS 23.040 9.2.3.24).
_OCTETS = 140
#: What says "part 2 of 3": with the header's length, and a reference of 8 or 16 bits.
CONCATENATION_8 = 6
CONCATENATION_16 = 7
_CLUSTER = regex.compile(r"\X")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parted:
    """A text as the network carries it.

    :ivar units: septets or 16-bit units, as billed.
    :ivar limit: units one part holds, where there is one alone.
    """

    encoding: str
    characters: int
    units: int
    limit: int
    texts: tuple[str, ...]
    language: str = ""
    #: Units that still fit into the last part.
    left: int = 0

    @property
    def parts(self) -> int:
        """Messages that are billed; an empty text is none."""
        return len(self.texts)


def prepared(text: str) -> str:
    """The text as it goes to a gateway: composed letters, plain line ends, nothing blank at its end."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).rstrip()


def parted(
    text: str, *, language: str = "", reference: int = CONCATENATION_8, septets: bool = True
) -> Parted:
    """Part a text: in septets where every character allows it, else in 16-bit units.

    :param language: of the national tables the gateway is told to use (``"TR"``); empty: none.
    :param reference: octets that number the parts.
    :param septets: False: in 16-bit units whatever the characters, for a gateway that cannot write them otherwise.
    """
    text = prepared(text)
    alphabets = (GSM7, *NATIONAL.get(language, ())) if septets else ()
    fitting = [each for each in alphabets if each.holds(text)]
    ways = [_in_septets(text, each, reference) for each in fitting]
    if not ways:
        return _in_units(text, reference)
    return min(ways, key=lambda way: (way.parts, fitting[ways.index(way)].header))


def _in_septets(text: str, alphabet: Alphabet, reference: int) -> Parted:
    costs = [(each, alphabet.septets(each)) for each in text]
    units = sum(cost for _, cost in costs)
    limit = (_OCTETS - alphabet.header) * 8 // 7
    # One header length for all that stands in the header.
    header = alphabet.header + reference - (1 if alphabet.header else 0)
    several = (_OCTETS - header) * 8 // 7
    texts, left = _split(text, costs, units, limit=limit, several=several)
    return Parted(
        encoding=alphabet.name,
        characters=len(text),
        units=units,
        limit=limit,
        texts=texts,
        language=alphabet.language,
        left=left,
    )


def _in_units(text: str, reference: int) -> Parted:
    several = (_OCTETS - reference) // 2
    costs = list(_clusters(text, several))
    units = sum(cost for _, cost in costs)
    texts, left = _split(text, costs, units, limit=_OCTETS // 2, several=several)
    return Parted(
        encoding=UCS2,
        characters=len(text),
        units=units,
        limit=_OCTETS // 2,
        texts=texts,
        left=left,
    )


def _split(
    text: str, costs: Sequence[tuple[str, int]], units: int, *, limit: int, several: int
) -> tuple[tuple[str, ...], int]:
    """The parts, and what still fits into the last one."""
    if units <= limit:
        return ((text,) if text else ()), limit - units
    parts: list[list[str]] = [[]]
    left = several
    for piece, cost in costs:
        if cost > left:  # what does not fit whole goes into the next
            parts.append([])
            left = several
        parts[-1].append(piece)
        left -= cost
    return tuple("".join(each) for each in parts), left


def _clusters(text: str, room: int) -> Iterator[tuple[str, int]]:
    """What a reader takes for one sign; one that is longer than a part, by its code points."""
    for cluster in _CLUSTER.findall(text):
        cost = units_of(cluster)
        if cost <= room:
            yield cluster, cost
        else:
            yield from ((each, units_of(each)) for each in cluster)


def units_of(text: str) -> int:
    """16-bit units."""
    return len(text) + sum(each > "\uffff" for each in text)
