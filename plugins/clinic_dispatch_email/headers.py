"""Header fields from texts people typed: whatever stands in them, each stays one field of one value."""

from __future__ import annotations

import binascii
import re
import time
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import quote

#: Controls of ASCII and Latin-1, and the line ends Unicode knows: none belongs into a header.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
#: Words that may stand in a name without quotes (atoms, RFC 5322 3.2.3).
_PLAIN_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
#: A line should end here (RFC 5322 2.1.1).
LINE = 78
#: Octets of text in one encoded word: 4/3 of it and the frame stay below 75 (RFC 2047 2).
_WORD = 45
_URL = re.compile(r"https?://[^\s<>\x00-\x20\x7f]+", re.IGNORECASE)
LONGEST_URL = 900
#: Longer than any person's name; more would be somebody else's text in the wrong column.
LONGEST_NAME = 200


def cleaned(text: str) -> str:
    """The text on one line: controls become spaces, lone surrogates question marks."""
    if text.isprintable():
        return text.strip()
    return _CONTROL.sub(" ", text.encode("utf-8", "replace").decode("utf-8")).strip()


def subject(text: str) -> bytes:
    """The value of a Subject field, folded."""
    text = cleaned(text)
    if text.isascii() and len(text) <= LINE - len("Subject: ") and "=?" not in text:
        return text.encode("ascii")
    return encoded_words(text)


def mailbox(name: str, address: str) -> bytes:
    """The value of a From or To field: the name safely written, the address in angle brackets.

    :param address: already checked; an address outside ASCII makes the whole message SMTPUTF8.
    """
    name = cleaned(name[:LONGEST_NAME])
    bare = address.encode("utf-8")
    if not name:
        return bare
    if not name.isascii() or "=?" in name or len(name) > 60:
        phrase = encoded_words(name)
    elif _PLAIN_NAME.fullmatch(name):
        phrase = name.encode("ascii")
    else:
        phrase = b'"%b"' % name.replace("\\", "\\\\").replace('"', '\\"').encode("ascii")
    last_line = len(phrase) - phrase.rfind(b"\n")
    gap = b" " if last_line + len(bare) + len("From: <>") <= LINE else b"\r\n "
    return b"%b%b<%b>" % (phrase, gap, bare)


def encoded_words(text: str) -> bytes:
    """The text in base64 words of UTF-8, one a line (RFC 2047); no character is cut in two."""
    data = text.encode("utf-8", "replace")
    words = []
    start = 0
    while start < len(data):
        end = min(start + _WORD, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:  # in the middle of a character
            end -= 1
        word = binascii.b2a_base64(data[start:end], newline=False)
        words.append(b"=?utf-8?b?%b?=" % word)
        start = end
    return b"\r\n ".join(words)


def unsubscribe(url: str | None) -> bytes:
    """The fields by which a mail program offers to unsubscribe, each with its line end; none without a usable URL.

    The one-click field goes only with https (RFC 8058 3.1).
    """
    if not url:
        return b""
    address = quote(url.strip(), safe="%/:=&?~#+!$,;'@()*[]-._")
    if len(address) > LONGEST_URL or _URL.fullmatch(address) is None:
        return b""
    fields = b"List-Unsubscribe: <%b>\r\n" % address.encode("ascii")
    if address.lower().startswith("https:"):
        fields += b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    return fields


class DateField:
    """The value of the Date field, made once a second and not once a message."""

    def __init__(self) -> None:
        self._second = -1
        self._text = b""

    def now(self) -> bytes:
        """This moment in the machine's own zone, with the zone's number (RFC 5322 3.3)."""
        second = int(time.time())
        if second != self._second:
            self._text = format_datetime(datetime.fromtimestamp(second).astimezone()).encode(
                "ascii"
            )
            self._second = second
        return self._text
