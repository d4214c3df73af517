"""What saves parts of a text without changing what it says: offered with its result, never done unasked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from clinic_dispatch_plugin.api import Cheaper
from clinic_dispatch_sms.alphabet import GSM7
from clinic_dispatch_sms.parts import parted, prepared


def _pairs(*rows: tuple[str, str]) -> dict[str, str]:
    return {each: to for characters, to in rows for each in characters}


#: Signs that look alike or mean the same.
SIGNS: Final[Mapping[str, str]] = _pairs(
    ("“”„‟«»″", '"'),
    ("‘’‚‛′`´‹›", "'"),
    ("–—‒‑‐−―", "-"),
    ("…", "..."),
    ("\u00a0\u202f\u2009\u2007\u3000\u2002\u2003\u200a\t", " "),
    ("\u200b\ufeff\u00ad\u200e\u200f\u2060", ""),
    ("•·‣", "-"),
    ("№", "No."),
    ("×", "x"),
    ("÷", "/"),
    ("±", "+-"),
    ("≈", "~"),
    ("≤", "<="),
    ("≥", ">="),
    ("™", "(TM)"),
    ("©", "(c)"),
    ("®", "(r)"),
    ("₽", "RUB"),
    ("₸", "KZT"),
    ("₺", "TL"),
    ("₴", "UAH"),
)
#: Letters without their marks: names suffer, so the author has to agree.
LETTERS: Final[Mapping[str, str]] = dict(
    zip("çáíóúâêîôûëïıİşŞğĞ", "caiouaeioueiiIsSgG", strict=True)
)
#: Russian, Ukrainian, Belarusian and Kazakh in Latin letters, as passports and signs write them.
CYRILLIC: Final[Mapping[str, str]] = {
    **dict(zip("абвгдезийклмнопрстуфыэ", "abvgdeziyklmnoprstufye", strict=True)),
    **{"ё": "yo", "ж": "zh", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch"},
    **{"ъ": "", "ь": "", "ю": "yu", "я": "ya"},
    **{"і": "i", "ї": "yi", "є": "ye", "ґ": "g", "ў": "u"},
    **dict(zip("әқңөұүһ", "aqnouuh", strict=True)),
    "ғ": "gh",
}
#: A joiner keeps an emoji together; alone it is only in the way.
_STRAY_JOINER = re.compile("(?<![\u2600-\U0010ffff\ufe0f])\u200d|\u200d(?![\u2600-\U0010ffff])")
#: What a value is taken for while it is not known.
_VALUE = "x" * 8
_PLACEHOLDER = re.compile(r"(\{\{.*?\}\}|\{%.*?%\})", re.DOTALL)


def cheaper_texts(text: str, *, transliterate: bool = False) -> list[Cheaper]:
    """What saves at least one part, the gentlest first; each goes only as far as it has to."""
    text = prepared(text)
    before = parted(_with_values(text)).parts
    found: list[Cheaper] = []
    ways = [("signs", SIGNS), ("letters", {**SIGNS, **LETTERS})]
    least = before
    for kind, table in ways:
        offer = _offer(kind, text, replaced(text, table), table, before)
        if offer is not None and offer.parts < least:
            found.append(offer)
            least = offer.parts
    if transliterate:
        latin = replaced(transliterated(text), SIGNS)
        offer = _offer("latin", text, latin, {}, before)
        if offer is not None and offer.parts < least:
            found.append(offer)
    return found


def odd_characters(text: str) -> list[str]:
    """The characters for whose sake the whole text costs twice, each once, in the order of the text."""
    return [each for each in dict.fromkeys(prepared(text)) if not GSM7.septets(each)]


def replaced(text: str, table: Mapping[str, str]) -> str:
    """Every character of the table by its like."""

    def change(literal: str) -> str:
        return "".join(table.get(each, each) for each in _STRAY_JOINER.sub("", literal))

    return prepared(_outside_placeholders(text, change))


def transliterated(text: str) -> str:
    """Cyrillic in Latin letters; capitals stay capitals, also where one letter becomes several."""
    return _outside_placeholders(text, _in_latin)


def _outside_placeholders(text: str, change: Callable[[str], str]) -> str:
    """Names of values stay as they are: they are replaced later, and are known by their letters."""
    pieces = _PLACEHOLDER.split(text)
    return "".join(each if at % 2 else change(each) for at, each in enumerate(pieces))


def _with_values(text: str) -> str:
    pieces = _PLACEHOLDER.split(text)
    values = (_VALUE if each.startswith("{{") else "" for each in pieces[1::2])
    return "".join(literal + next(values, "") for literal in pieces[::2])


def _in_latin(text: str) -> str:
    out: list[str] = []
    for at, each in enumerate(text):
        latin = CYRILLIC.get(each.lower())
        if latin is None:
            out.append(each)
        elif each.islower() or each == each.lower():
            out.append(latin)
        else:
            out.append(latin.upper() if _among_capitals(text, at) else latin.capitalize())
    return "".join(out)


def _among_capitals(text: str, at: int) -> bool:
    after, before = text[at + 1 : at + 2], text[at - 1 : at] if at else ""
    return after.isupper() or (not after.islower() and before.isupper())


def _offer(
    kind: str, text: str, cheaper: str, table: Mapping[str, str], before: int
) -> Cheaper | None:
    parts = parted(_with_values(cheaper)).parts
    if cheaper == text or parts >= before:
        return None
    changed = tuple((each, table[each]) for each in dict.fromkeys(text) if each in table)
    return Cheaper(kind=kind, text=cheaper, parts=parts, saved=before - parts, changed=changed)
