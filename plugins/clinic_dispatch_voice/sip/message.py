"""SIP messages, read and written (RFC 3261 sections 7 and 20)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

VERSION = "SIP/2.0"
#: What is read of one message at most.
MOST_BYTES = 65_535
_COMPACT = {
    "i": "call-id", "m": "contact", "e": "content-encoding", "l": "content-length",
    "c": "content-type", "f": "from", "s": "subject", "k": "supported", "t": "to", "v": "via",
}  # fmt: skip
_LENGTH = re.compile("[0-9]{1,9}")
_STATUS = re.compile(r"SIP/2\.0 ([1-6]\d\d)(?: (.*))?", re.DOTALL)
_REQUEST = re.compile(r"([A-Z]+) (\S+) SIP/2\.0")
_TAG = re.compile(r";\s*tag\s*=\s*([^;,\s>]+)", re.IGNORECASE)
_END = b"\r\n\r\n"


class NotSipError(Exception):
    """What came is no SIP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A request (with ``method``) or a response (with ``status``)."""

    method: str = ""
    uri: str = ""
    status: int = 0
    reason: str = ""
    #: In their order; names as they came, or as they are to be written.
    headers: Sequence[tuple[str, str]] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for each, value in self.headers if _name(each) == name.lower()]

    def get(self, name: str) -> str:
        """The first value of a header; empty: there is none."""
        return next(iter(self.all(name)), "")

    @property
    def sequence(self) -> tuple[int, str]:
        """Number and method of CSeq; (0, ""): there is none."""
        number, _, method = self.get("cseq").partition(" ")
        return (int(number), method.strip()) if number.isdigit() else (0, "")

    @property
    def branch(self) -> str:
        """The transaction: a parameter of the topmost Via."""
        found = re.search(r";\s*branch\s*=\s*([^;,\s]+)", self.get("via"), re.IGNORECASE)
        return found[1] if found else ""

    def encode(self) -> bytes:
        """As it is sent; its length is added."""
        first = f"{self.method} {self.uri} {VERSION}"
        if self.status:
            first = f"{VERSION} {self.status} {self.reason}"
        lines = [first, *(f"{name}: {value}" for name, value in self.headers)]
        lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode() + _END + self.body


def tag_of(value: str) -> str:
    """The tag of a From or To; empty: none yet."""
    found = _TAG.search(value.rpartition(">")[2] or value)
    return found[1] if found else ""


def address_in(value: str) -> str:
    """The URI in a Contact, Route or To."""
    found = re.search(r"<([^>]*)>", value)
    return found[1] if found else value.partition(";")[0].strip()


def decode(data: bytes) -> Message:
    """One whole message, as a datagram holds it.

    :raises NotSipError: it is none.
    """
    head, end, body = data.lstrip(b"\r\n").partition(_END)
    if not end:
        raise NotSipError("it has no end")
    message = _head(head)
    length = message.get("content-length").strip()
    if _LENGTH.fullmatch(length):
        if int(length) > len(body):
            raise NotSipError("its body is cut off")
        body = body[: int(length)]
    return _with_body(message, body)


class StreamReader:
    """Finds messages in a stream, where each has to say its length (RFC 3261 section 18.3)."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take what came, and give every message that is whole.

        :raises NotSipError: this stream holds something else.
        """
        self._rest = (self._rest + data).lstrip(b"\r\n")
        while _END in self._rest:
            head, _, body = self._rest.partition(_END)
            message = _head(head)
            length = message.get("content-length").strip() or "0"
            if not _LENGTH.fullmatch(length) or int(length) > MOST_BYTES:
                raise NotSipError("its length cannot be read")
            if len(body) < int(length):
                break
            self._rest = body[int(length) :].lstrip(b"\r\n")
            yield _with_body(message, body[: int(length)])
        if len(self._rest) > 2 * MOST_BYTES:
            raise NotSipError("it does not end")


def _head(head: bytes) -> Message:
    # UTF-8 by RFC 3261 section 7.1; an old exchange's words in another alphabet change nothing of its status.
    lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "replace")).split("\r\n")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise NotSipError("a header has no colon")
        headers.append((name.strip(), value.strip()))
    if found := _STATUS.fullmatch(lines[0]):
        return Message(status=int(found[1]), reason=found[2] or "", headers=headers)
    if found := _REQUEST.fullmatch(lines[0]):
        return Message(method=found[1], uri=found[2], headers=headers)
    raise NotSipError("its first line is no SIP")


def _with_body(message: Message, body: bytes) -> Message:
    return Message(
        method=message.method,
        uri=message.uri,
        status=message.status,
        reason=message.reason,
        headers=message.headers,
        body=body,
    )


def _name(name: str) -> str:
    name = name.lower()
    return _COMPACT.get(name, name)
