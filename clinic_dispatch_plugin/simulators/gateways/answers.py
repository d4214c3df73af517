"""What was asked and what is said, and how a gateway says it badly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from clinic_dispatch_plugin.simulators.gateways.plans import Trouble

_PAGE = (
    "<!DOCTYPE html><html><head><title>Wartung</title></head><body><h1>It works!</h1></body></html>"
)
_HUGE = b'{"filler":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},' * 10
#: Seconds of silence; senders give up long before.
_FOREVER = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request."""

    method: str
    path: str
    #: Address and path as the sender wrote them.
    url: str
    headers: Mapping[str, str]
    query: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @property
    def form(self) -> dict[str, str]:
        """The body as a form, or the query; of repeated fields the last."""
        return dict(self.fields)

    @property
    def fields(self) -> list[tuple[str, str]]:
        """All fields of the form, repeated ones too."""
        if self.method == "GET" or not self.body:
            return self.query
        return parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)

    @property
    def params(self) -> dict[str, str]:
        """The query; of repeated fields the last."""
        return dict(self.query)

    @property
    def json(self) -> Any:
        """The body as JSON.

        :raises ValueError: it is none.
        """
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One answer."""

    status: int = 200
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Seconds before it.
    delay: float = 0.0
    trouble: Trouble | None = None

    @property
    def encoded(self) -> bytes:
        """Its body."""
        return b"" if self.content is None else json.dumps(self.content).encode()


async def say(said: Said, request: web.BaseRequest) -> web.StreamResponse:
    """Give the answer, well or badly."""
    if said.delay:
        await asyncio.sleep(said.delay)
    if said.trouble is not None:
        return await _badly(said, request, said.trouble)
    return _answer(said.encoded, status=said.status, headers=said.headers)


def _answer(
    body: bytes,
    *,
    status: int = 200,
    kind: str = "application/json;charset=utf-8",
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    return web.Response(
        body=body, status=status, headers={"Content-Type": kind, **dict(headers or {})}
    )


async def _badly(said: Said, request: web.BaseRequest, trouble: Trouble) -> web.StreamResponse:
    body = said.encoded
    match trouble:
        case Trouble.SILENCE:
            await asyncio.sleep(_FOREVER)
        case Trouble.CUT:
            _cut(request)
        case Trouble.HTML:
            return _answer(_PAGE.encode(), kind="text/html; charset=utf-8")
        case Trouble.HALF:
            return _answer(body[: len(body) // 2], status=said.status)
        case Trouble.CHARSET:
            # Old Cyrillic, and called UTF-8.
            return _answer(
                '{"messages":[{"status":"Ошибка"}]}'.encode("cp1251"), status=said.status
            )
        case Trouble.ERROR:
            return _answer(_PAGE.encode(), status=500, kind="text/html")
        case Trouble.BAD_GATEWAY:
            return _answer(_PAGE.encode(), status=502, kind="text/html")
        case Trouble.REDIRECT:
            return _answer(b"", status=302, headers={"Location": "/elsewhere"})
        case Trouble.EMPTY:
            return _answer(b"")
        case Trouble.STRANGE:
            return _answer(b'{"ok": ["yes", null, 7]}')
        case Trouble.HUGE:
            return await _streamed(request, _HUGE, times=25_000, begin=b"[")
        case Trouble.UNFINISHED:
            await _streamed(request, body[: len(body) // 2], length=len(body))
            _cut(request)
    return web.Response()


async def _streamed(
    request: web.BaseRequest,
    data: bytes,
    *,
    begin: bytes = b"",
    times: int = 1,
    length: int | None = None,
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json;charset=utf-8"})
    response.content_length = length
    await response.prepare(request)
    await response.write(begin)
    for _ in range(times):
        await response.write(data)
    return response


def _cut(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.abort()
