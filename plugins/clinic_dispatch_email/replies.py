"""What a server says: bytes to replies, replies to answers the error reference can look up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from clinic_dispatch_plugin.api import Answer

#: Far above the 512 octets of RFC 5321 4.5.3.1.5: servers write novels into refusals.
LONGEST_LINE = 8_192
MOST_LINES = 200
LONGEST_TEXT = 2_000

#: RFC 3463; some servers write a hash or a bracket before it.
_ENHANCED = re.compile(r"[#(]?([245]\.\d{1,3}\.\d{1,3})\b")
_QUEUE_ID = re.compile(
    r"queued as ([\w.:/+-]+)|\bInternalId=(\d+)|\bid=<?([^\s<>;,]+)|\bok:?\s+((?=\S*\d)[\w.-]{5,})",
    re.IGNORECASE,
)


class NotSmtpError(Exception):
    """What came is no reply of the protocol; nothing after it can be trusted."""


class Reply(NamedTuple):
    """One reply, whole."""

    code: int
    #: Each line without its number and line end.
    lines: tuple[bytes, ...]

    @property
    def text(self) -> str:
        """The reply on one line: number and enhanced code stand once (RFC 5321 4.2.1)."""
        lines = [each.decode("utf-8", "replace").strip() for each in self.lines]
        enhanced = _ENHANCED.match(lines[0])
        if enhanced:
            lines[1:] = [each.removeprefix(enhanced[0]).lstrip() for each in lines[1:]]
        joined = " ".join(filter(None, lines))
        return f"{self.code} {joined}".strip()[:LONGEST_TEXT]

    @property
    def enhanced(self) -> str:
        """The code of RFC 3463 where the server gave one, else empty."""
        found = _ENHANCED.match(self.lines[0].decode("ascii", "replace").lstrip())
        return found[1] if found else ""

    def answer(self) -> Answer:
        """For the error reference: the enhanced code where there is one, else the number."""
        return Answer(system="smtp", code=self.enhanced or str(self.code), text=self.text)

    def queue_id(self) -> str | None:
        """What the server calls the message it took, where its words name it."""
        found = _QUEUE_ID.search(self.lines[-1].decode("utf-8", "replace"))
        if found is None:
            return None
        return next(filter(None, found.groups()), "").rstrip(".:,;)")[:200] or None


class ReplyReader:
    """Puts replies together from bytes as they come."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []
        self._code = b""

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Take bytes, give the replies they complete, one by one: what is whole counts, whatever follows it.

        :raises NotSmtpError: the rest are no replies.
        """
        parts = (self._rest + data).split(b"\n")
        self._rest = parts.pop()
        for line in parts:
            reply = self._line(line.rstrip(b"\r"))
            if reply is not None:
                yield reply
        if len(self._rest) > LONGEST_LINE:
            raise NotSmtpError("a line without end")

    def forget(self) -> None:
        """Drop what came before the encryption began; nobody can vouch for it (RFC 3207 4)."""
        self._rest = b""
        self._lines = []

    def _line(self, line: bytes) -> Reply | None:
        code, mark = line[:3], line[3:4]
        if not code.isdigit() or len(code) != 3 or not b"200" <= code < b"600":
            raise NotSmtpError("a line without a reply code")
        if mark not in (b" ", b"-", b"") or len(line) > LONGEST_LINE:
            raise NotSmtpError("a line that is no reply")
        if self._lines and code != self._code:
            raise NotSmtpError("a reply of several codes")
        self._code = code
        self._lines.append(line[4:])
        if mark == b"-":
            if len(self._lines) > MOST_LINES:
                raise NotSmtpError("a reply without end")
            return None
        lines, self._lines = self._lines, []
        return Reply(int(code), tuple(lines))
