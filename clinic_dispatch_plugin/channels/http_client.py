"""Kept connections to one gateway, several requests at once, and an exact word on what became of each."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from clinic_dispatch_plugin.channels.http import (
    MOST_BYTES,
    HttpFailure,
    HttpLimits,
    HttpReply,
    HttpRequest,
)
from clinic_dispatch_plugin.channels.http_resolver import public_resolver
from clinic_dispatch_plugin.channels.types import Answer

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")

#: Seconds a connection is kept without work: shorter than any server keeps it, so that none ends under a request.
_KEPT = 10.0


class _Track:
    """How far one request came."""

    __slots__ = ("connected", "written")

    def __init__(self) -> None:
        self.connected = False
        #: Whether any of its bytes may have left.
        self.written = False


class HttpClient(Generic[T]):
    """A client of one gateway, driven by the calling thread alone: nothing moves while nobody calls it.

    Redirects are not followed, nothing is repeated, no cookie is kept, and certificates are proved.
    """

    def __init__(self, limits: HttpLimits) -> None:
        """Connect to nothing yet."""
        self._limits = limits
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: aiohttp.ClientSession | None = None
        self._tasks: dict[asyncio.Task[HttpReply | HttpFailure], T] = {}

    @property
    def under_way(self) -> int:
        """Requests begun whose outcome was not fetched."""
        return len(self._tasks)

    @property
    def free(self) -> int:
        """Requests that may begin at once without waiting for a connection."""
        return self._limits.connections - len(self._tasks)

    def start(self, request: HttpRequest, token: T) -> None:
        """Begin a request; :meth:`finished` tells its outcome together with the token."""
        loop, session = self._caught_up()
        self._tasks[loop.create_task(self._ask(session, request))] = token

    def finished(self, timeout: float) -> list[tuple[T, HttpReply | HttpFailure]]:
        """Wait until a request is over, at most ``timeout`` seconds, and give all that are."""
        if not self._tasks:
            return []
        loop, _ = self._opened()
        waiting = asyncio.wait(
            list(self._tasks), timeout=timeout, return_when=asyncio.FIRST_COMPLETED
        )
        done, _ = loop.run_until_complete(waiting)
        return [(self._tasks.pop(task), task.result()) for task in done]

    def ask(self, request: HttpRequest) -> HttpReply:
        """One request and its answer, waited for.

        :raises HttpFailure: there is none that can be used.
        """
        loop, session = self._caught_up()
        outcome = loop.run_until_complete(self._ask(session, request))
        if isinstance(outcome, HttpFailure):
            raise outcome
        return outcome

    def drop(self) -> None:
        """Forget what is under way; its answers are never read."""
        if self._loop is not None and self._tasks:
            for task in self._tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.wait(list(self._tasks)))
        self._tasks.clear()

    def close(self) -> None:
        """End every connection; what is under way is dropped."""
        loop, session = self._loop, self._session
        if loop is None or session is None:
            return
        self.drop()
        self._loop = self._session = None
        try:
            loop.run_until_complete(session.close())
            loop.run_until_complete(asyncio.sleep(0))
        finally:
            loop.close()

    def _caught_up(self) -> tuple[asyncio.AbstractEventLoop, aiohttp.ClientSession]:
        """What the network brought meanwhile is read first: an ended connection is not used again."""
        loop, session = self._opened()
        loop.run_until_complete(asyncio.sleep(0))
        return loop, session

    def _opened(self) -> tuple[asyncio.AbstractEventLoop, aiohttp.ClientSession]:
        if self._loop is None or self._session is None:
            self._loop = asyncio.new_event_loop()
            self._session = self._loop.run_until_complete(self._new_session())
        return self._loop, self._session

    async def _new_session(self) -> aiohttp.ClientSession:
        import aiohttp

        limits = self._limits
        # The library's own context proves chain and name like ours, and is made once for all.
        tls = ssl.create_default_context(cafile=limits.ca_file) if limits.ca_file else True
        resolver = None if limits.allowed is None else public_resolver(limits.allowed)
        connector = aiohttp.TCPConnector(
            limit=limits.connections, keepalive_timeout=_KEPT, ssl=tls, resolver=resolver
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trace_configs=[_tracing()],
            headers={"User-Agent": "clinic-dispatch", "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(
                total=limits.connect_timeout + limits.timeout,
                sock_connect=limits.connect_timeout,
                sock_read=limits.timeout,
            ),
        )

    async def _ask(
        self, session: aiohttp.ClientSession, request: HttpRequest
    ) -> HttpReply | HttpFailure:
        track = _Track()
        try:
            return await self._exchange(session, request, track)
        except Exception as error:
            return self._understood(error, track)

    async def _exchange(
        self, session: aiohttp.ClientSession, request: HttpRequest, track: _Track
    ) -> HttpReply:
        async with session.request(
            request.method,
            _as_it_is(request.url),
            headers=request.headers,
            data=request.body or None,
            allow_redirects=False,
            trace_request_ctx=track,
        ) as response:
            body = await _bounded(response)
            headers = {name.lower(): value for name, value in response.headers.items()}
            return HttpReply(status=response.status, headers=headers, body=body)

    def _understood(self, error: Exception, track: _Track) -> HttpFailure:
        import aiohttp

        where = ""
        if isinstance(error, aiohttp.ClientConnectorError):
            where = f"{error.host}:{error.port}: "
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            why = getattr(error.certificate_error, "verify_message", "") or "it cannot be proved"
            return _failure(track, "tls_failed", f"{where}certificate refused: {why}", account=True)
        if isinstance(error, aiohttp.ClientConnectorSSLError):
            return _failure(track, "tls_failed", f"{where}TLS failed: {_reason(error.os_error)}")
        if isinstance(error, aiohttp.ClientConnectorError):
            return _failure(track, "connect_failed", f"{where}{_reason(error.os_error)}")
        if isinstance(error, TimeoutError):
            if track.written:
                return _failure(track, "timeout", f"no answer within {self._limits.timeout:g} s")
            patience = self._limits.connect_timeout
            return _failure(track, "connect_failed", f"no connection within {patience:g} s")
        if isinstance(error, _TooLongError):
            return _failure(track, "unknown_answer", str(error))
        if isinstance(error, aiohttp.ClientPayloadError):
            return _failure(track, "connection_lost", "the answer ended in its middle")
        if isinstance(error, aiohttp.ClientResponseError):
            return _failure(track, "unknown_answer", "what came is no HTTP")
        if isinstance(error, aiohttp.InvalidURL | ValueError):
            return _failure(track, "connect_failed", "the address of the server cannot be used")
        code = "connection_lost" if track.written else "connect_failed"
        return _failure(track, code, f"the connection was lost: {_reason(error)}")


def _failure(track: _Track, code: str, text: str, *, account: bool = False) -> HttpFailure:
    answer = Answer(system="dispatch", code=code, text=text)
    return HttpFailure(answer, maybe_sent=track.written, account=account)


class _TooLongError(Exception):
    """The answer is longer than any gateway's."""


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body, unless it is longer than any gateway's."""
    pieces: list[bytes] = []
    length = 0
    async for piece in response.content.iter_any():
        length += len(piece)
        if length > MOST_BYTES:
            response.close()
            raise _TooLongError(f"HTTP {response.status} with more than {MOST_BYTES} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _tracing() -> aiohttp.TraceConfig:
    """Writes into the request's own track how far it came."""
    import aiohttp

    async def connected(_session: Any, context: Any, _params: Any) -> None:
        context.trace_request_ctx.connected = True

    async def written(_session: Any, context: Any, _params: Any) -> None:
        context.trace_request_ctx.written = True

    config = aiohttp.TraceConfig()
    config.on_connection_create_end.append(connected)
    config.on_connection_reuseconn.append(connected)
    config.on_request_headers_sent.append(written)
    config.on_request_chunk_sent.append(written)
    return config


def _as_it_is(url: str) -> Any:
    """The address as it was encoded, not encoded anew."""
    from yarl import URL

    return URL(url, encoded=True)


def _reason(problem: BaseException | None) -> str:
    """An operating system's error in plain words."""
    if isinstance(problem, socket.gaierror):
        unknown = problem.errno == socket.EAI_NONAME
        return "this host name is not known" if unknown else "the host name could not be looked up"
    if isinstance(problem, ssl.SSLError):
        return str(problem.reason or "no reason given").replace("_", " ").lower()
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror.lower()
    return type(problem).__name__
