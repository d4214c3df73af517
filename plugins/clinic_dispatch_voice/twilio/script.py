"""What the gateway is to say and do in a call, as TwiML: all of it goes with the request, so no text stays with us."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from clinic_dispatch_voice.words import AGAIN, Words, spoken, tag_of, words_in

#: Characters of a script the gateway takes.
LONGEST = 4000
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: Seconds in which a key can be pressed after the words.
_PATIENCE = 5


def script_of(text: str, *, locale: str, voice: str = "", action: str = "", repeat: int = 2) -> str:
    """The script of a message; said less often where it would be too long.

    :param action: the address that learns of a pressed key; empty: no key is asked for.
    """
    words = words_in(locale)
    for times in range(repeat, 0, -1):
        if action:
            # The key that ends the asking is no answer: whoever presses 1 is told the next one, which says it again.
            said = [
                _asking(text, words, tag_of(locale), voice, action, again=number < times)
                for number in range(1, times + 1)
            ]
        else:
            said = ['<Pause length="1"/>'.join([_say(text, tag_of(locale), voice)] * times)]
        script = _response(*said, _say(words.bye, words.tag, voice))
        if len(script) <= LONGEST:
            break
    return script


def reply_to_key(*, locale: str, voice: str = "", confirmed: bool) -> str:
    """What is said after a key."""
    words = words_in(locale)
    return _response(_say(words.thanks if confirmed else words.bye, words.tag, voice))


def _asking(text: str, words: Words, tag: str, voice: str, action: str, *, again: bool) -> str:
    attributes = [
        ("numDigits", "1"),
        ("finishOnKey", AGAIN if again else "#"),
        ("timeout", str(_PATIENCE)),
        ("action", action),
    ]
    asked = words.both if again else words.confirm
    said = (_say(text, tag, voice), '<Pause length="1"/>', _say(asked, words.tag, voice))
    return f"<Gather{''.join(_written(attributes))}>{''.join(said)}</Gather>"


def _say(text: str, tag: str, voice: str) -> str:
    attributes = [("language", tag), *([("voice", voice)] if voice else [])]
    return f"<Say{''.join(_written(attributes))}>{escape(_NOT_XML.sub(' ', spoken(text)))}</Say>"


def _written(attributes: list[tuple[str, str]]) -> Iterator[str]:
    return (f" {name}={quoteattr(value)}" for name, value in attributes)


def _response(*verbs: str) -> str:
    return f"<Response>{''.join(verbs)}</Response>"
