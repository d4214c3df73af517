"""What a gateway is asked over HTTP, what it says, and what is known of a message when it says nothing usable."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import urlencode

from clinic_dispatch_plugin.channels.types import Answer

#: Bytes of an answer that are read; more is no answer of a gateway.
MOST_BYTES = 1024 * 1024
#: Seconds a ``Retry-After`` may ask for; more is a mistake or a joke.
LONGEST_PAUSE = 86_400.0

Fields = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """How patient a client is; all times in seconds."""

    connect_timeout: float = 10.0
    #: From the request's last byte to the answer's last.
    timeout: float = 30.0
    #: Requests under way at once, each on a connection of its own.
    connections: int = 4
    #: Certificates to trust instead of the system's.
    ca_file: str | None = None
    #: A person typed where to: the networks of the clinic's own it may connect to, and to no other private address.
    allowed: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request, whole; it may hold passwords and texts, so it shows neither."""

    url: str = field(repr=False)
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    @classmethod
    def form(cls, url: str, fields: Fields, *, headers: Mapping[str, str] | None = None) -> Self:
        """A POST with these fields in UTF-8."""
        kind = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        body = urlencode(fields if isinstance(fields, Mapping) else list(fields)).encode()
        return cls(url=url, headers={**kind, **(headers or {})}, body=body)

    @classmethod
    def json(cls, url: str, value: Any, *, headers: Mapping[str, str] | None = None) -> Self:
        """A POST with a value as JSON."""
        kind = {"Content-Type": "application/json; charset=utf-8", "Accept": "application/json"}
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        return cls(url=url, headers={**kind, **(headers or {})}, body=body)

    @classmethod
    def get(
        cls, url: str, fields: Fields = (), *, headers: Mapping[str, str] | None = None
    ) -> Self:
        """A GET with these fields in its address."""
        query = urlencode(fields if isinstance(fields, Mapping) else list(fields))
        address = f"{url}?{query}" if query else url
        return cls(url=address, method="GET", headers=headers or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """A whole answer, whatever its status."""

    status: int
    #: Names in small letters.
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)

    @property
    def ok(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self, *, exact: bool = False) -> Any:
        """The body as JSON.

        :param exact: numbers with a point are decimals as they were written, never floats: money may be among them.

        :raises ValueError: it is none, or half of one, or nested beyond reason.
        """
        try:
            text = self.body.decode("utf-8-sig")
            return json.loads(text, parse_float=Decimal) if exact else json.loads(text)
        except RecursionError:
            raise ValueError("nested too deeply") from None

    def retry_after(self, *, now: datetime | None = None) -> float | None:
        """Seconds the server asked us to wait, where it did; a date counts from now."""
        said = self.headers.get("retry-after", "").strip()
        if said.isascii() and said.isdigit():
            return min(float(said), LONGEST_PAUSE)
        try:
            at = parsedate_to_datetime(said)
        except (TypeError, ValueError):
            return None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return min(max(0.0, (at - (now or datetime.now(UTC))).total_seconds()), LONGEST_PAUSE)


class HttpFailure(Exception):
    """There is no usable answer.

    :ivar answer: why, in words the reference explains.
    :ivar maybe_sent: False: the server surely did nothing of what was asked; True: nobody knows.
    :ivar account: the server's certificate is wrong: no later try changes that.
    :ivar retry_after: seconds the server asked us to wait, where it did.
    """

    def __init__(
        self,
        answer: Answer,
        *,
        maybe_sent: bool,
        account: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(answer.code)
        self.answer = answer
        self.maybe_sent = maybe_sent
        self.account = account
        self.retry_after = retry_after


def unusable(reply: HttpReply) -> HttpFailure:
    """What an answer without the gateway's own words in it says of the request.

    A 4xx was refused unread, as were redirects that keep the method; whatever else was said after the request
    went out may have been said after it was obeyed.
    """
    kind = reply.headers.get("content-type", "").partition(";")[0].strip()[:60]
    words = f"HTTP {reply.status}, {len(reply.body)} bytes of {kind or 'unknown kind'}"
    answer = Answer(system="dispatch", code="unknown_answer", text=words)
    refused = 400 <= reply.status < 500 or reply.status in {301, 307, 308}
    maybe_sent = not refused or reply.status in {408, 499}
    return HttpFailure(answer, maybe_sent=maybe_sent, retry_after=reply.retry_after())
