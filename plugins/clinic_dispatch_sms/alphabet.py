"""The alphabets of text messages (3GPP TS 23.038): which characters cost one unit, which two, which none has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

#: The basic table in the order of its codes; its 0x1B, the escape, is no character.
_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
BASIC: Final = frozenset(_BASIC) - {"\x1b"}
#: Behind an escape, so two septets each.
EXTENSION: Final = frozenset("\f^{}\\[~]|€")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alphabet:
    """One way of writing a text in septets.

    :ivar name: as pages call it.
    :ivar language: the code gateways want for the national tables; empty without any.
    :ivar header: octets of user data that announce the tables, in a single message.
    """

    name: str
    language: str = ""
    one: frozenset[str] = BASIC
    two: frozenset[str] = EXTENSION
    header: int = 0

    def septets(self, character: str) -> int:
        """What a character costs; 0: it is not in this alphabet."""
        if character in self.one:
            return 1
        return 2 if character in self.two else 0

    def holds(self, text: str) -> bool:
        """Whether every character can be written."""
        return all(each in self.one or each in self.two for each in text)


def _single(name: str, language: str, letters: str) -> Alphabet:
    # Header length, then identifier, length and language: four octets.
    return Alphabet(name=name, language=language, two=EXTENSION | frozenset(letters), header=4)


def _turkish_both() -> Alphabet:
    places = {
        0x04: "€",
        0x07: "ı",
        0x0B: "Ğ",
        0x0C: "ğ",
        0x1C: "Ş",
        0x1D: "ş",
        0x40: "İ",
        0x60: "ç",
    }
    one = frozenset(places.get(code, each) for code, each in enumerate(_BASIC)) - {"\x1b"}
    return Alphabet(name="GSM-7 (TR, locking)", language="TR", one=one, two=_TURKISH.two, header=7)


GSM7: Final = Alphabet(name="GSM-7")
_TURKISH: Final = _single("GSM-7 (TR)", "TR", "ĞİŞçğış")
TURKISH: Final = _TURKISH
TURKISH_LOCKING: Final = _turkish_both()
SPANISH: Final = _single("GSM-7 (ES)", "ES", "çÁÍÓÚáíóú")
PORTUGUESE: Final = _single("GSM-7 (PT)", "PT", "êçÔôÁáÊÀÍÓÚÃÕÂíóúãõâ")

#: The tables a gateway may be told to use, by the language it is told.
NATIONAL: Final[Mapping[str, tuple[Alphabet, ...]]] = {
    "TR": (TURKISH, TURKISH_LOCKING),
    "ES": (SPANISH,),
    "PT": (PORTUGUESE,),
}
UCS2: Final = "UCS-2"
