"""What a call says besides the message, in the recipient's language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from clinic_dispatch_sms.text import prepared

#: The key that asks for the message again, and the one that says it was understood.
AGAIN, CONFIRM = "1", "2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One language."""

    #: As speech engines name it.
    tag: str
    #: Which key does what, and what to say when the message cannot be heard again.
    both: str
    confirm: str
    #: After a key.
    thanks: str
    bye: str


_WORDS: Final[Mapping[str, Words]] = {
    "de": Words(
        tag="de-DE",
        both="Um diese Nachricht noch einmal zu hören, drücken Sie die 1. Um sie zu bestätigen, drücken Sie die 2.",
        confirm="Um diese Nachricht zu bestätigen, drücken Sie die 2.",
        thanks="Vielen Dank für Ihre Bestätigung. Auf Wiederhören.",
        bye="Auf Wiederhören.",
    ),
    "en": Words(
        tag="en-GB",
        both="To hear this message again, press 1. To confirm it, press 2.",
        confirm="To confirm this message, press 2.",
        thanks="Thank you for confirming. Goodbye.",
        bye="Goodbye.",
    ),
    "ru": Words(
        tag="ru-RU",
        both="Чтобы прослушать сообщение ещё раз, нажмите 1. Чтобы подтвердить, нажмите 2.",
        confirm="Чтобы подтвердить сообщение, нажмите 2.",
        thanks="Спасибо за подтверждение. До свидания.",
        bye="До свидания.",
    ),
}


def words_in(locale: str) -> Words:
    """The words of a language; English where we have none in it."""
    return _WORDS.get(language_of(locale), _WORDS["en"])


def language_of(locale: str) -> str:
    """Two small letters."""
    return locale.replace("_", "-").partition("-")[0].lower()


def tag_of(locale: str) -> str:
    """The language in which a message is spoken, as speech engines name it."""
    language = language_of(locale)
    if language in _WORDS:
        return _WORDS[language].tag
    return f"{language}-{language.upper()}" if len(language) == 2 else _WORDS["en"].tag


def spoken(text: str) -> str:
    """A text as it is spoken: in one line, without what machines would take for commands."""
    plain = " ".join(prepared(text).split())
    return plain.translate({ord("{"): "(", ord("}"): ")"})
