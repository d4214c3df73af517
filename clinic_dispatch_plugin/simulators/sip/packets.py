"""SIP as the exchange reads and writes it (RFC 3261), and the password (RFC 7616); apart from what the channel has."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

_LONG = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
    "c": "content-type",
}
REASONS = {
    100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 302: "Moved Temporarily",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    407: "Proxy Authentication Required", 408: "Request Timeout", 480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist", 486: "Busy Here", 487: "Request Terminated",
    501: "Not Implemented", 503: "Service Unavailable", 600: "Busy Everywhere", 603: "Decline",
}  # fmt: skip


class UnreadableError(ValueError):
    """This is no SIP."""


@dataclass(slots=True, kw_only=True)
class Packet:
    """A request or a response."""

    start: str
    lines: list[tuple[str, str]] = field(default_factory=list, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def method(self) -> str:
        """What is asked; of a response, empty."""
        return "" if self.start.startswith("SIP/") else self.start.split(" ", 1)[0]

    @property
    def uri(self) -> str:
        """Who is asked."""
        return self.start.split(" ")[1]

    def every(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for each, value in self.lines if each == name]

    def one(self, name: str) -> str:
        """A header's first value."""
        return next(iter(self.every(name)), "")


def read(data: bytes) -> Packet:
    """A whole packet.

    :raises UnreadableError: it is none.
    """
    head, end, body = data.partition(b"\r\n\r\n")
    start, *rest = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "replace")).split("\r\n")
    if not end or not re.match(r"SIP/2\.0 \d{3}|[A-Z]+ \S+ SIP/2\.0$", start):
        raise UnreadableError(start[:60])
    lines = []
    for line in rest:
        name, _, value = line.partition(":")
        name = name.strip().lower()
        lines.append((_LONG.get(name, name), value.strip()))
    return Packet(start=start, lines=lines, body=body)


def cut(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole packets in a stream, and what is left."""
    whole: list[bytes] = []
    while True:
        data = data.lstrip(b"\r\n")
        head, end, body = data.partition(b"\r\n\r\n")
        found = re.search(
            rb"^(?:content-length|l)\s*:\s*(\d{1,6})", head, re.IGNORECASE | re.MULTILINE
        )
        length = int(found[1]) if found else 0
        if not end or len(body) < length:
            return whole, data
        edge = len(head) + len(end) + length
        whole.append(data[:edge])
        data = data[edge:]


def write(start: str, lines: list[tuple[str, str]], body: bytes = b"") -> bytes:
    """A packet as it is sent."""
    text = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"{start}\r\n{text}Content-Length: {len(body)}\r\n\r\n".encode() + body


def fields_of(credentials: str) -> dict[str, str]:
    """The fields of a Digest header."""
    found = re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', credentials)
    return {name.lower(): quoted or plain for name, quoted, plain in found}


def proves(said: dict[str, str], method: str, *, user: str, password: str) -> bool:
    """Whether these credentials come from somebody who knows the password."""

    def hashed(text: str) -> str:
        kind = "sha256" if said.get("algorithm", "MD5").upper() == "SHA-256" else "md5"
        return hashlib.new(kind, text.encode(), usedforsecurity=False).hexdigest()

    ours = hashed(f"{user}:{said.get('realm', '')}:{password}")
    asked = hashed(f"{method}:{said.get('uri', '')}")
    middle = said.get("nonce", "")
    if said.get("qop"):
        middle += f":{said.get('nc', '')}:{said.get('cnonce', '')}:{said['qop']}"
    expected = hashed(f"{ours}:{middle}:{asked}")
    return said.get("username") == user and said.get("response") == expected
