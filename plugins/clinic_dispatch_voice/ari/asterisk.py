"""One Asterisk: what we ask of it, and what it tells us of our channels."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clinic_dispatch_plugin.api import AccountError, Answer, ConnectionFailed, public_resolver
from clinic_dispatch_voice.ari.settings import AriSettings

if TYPE_CHECKING:
    import aiohttp

Event = Mapping[str, Any]
_CONNECT = 10.0
#: Octets of an answer or an event that are read.
_MOST = 1 << 20


class AnswerLostError(Exception):
    """What was asked may have been done: there is no usable answer."""


class RefusedError(Exception):
    """Asterisk said no.

    :param status: of HTTP.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status = status
        self.text = text[:300]


class Asterisk:
    """Connects when it is first asked, and listens from then on."""

    def __init__(self, settings: AriSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._events: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()
        #: Who listens, by channel; None is put there when nothing more will come.
        self._listeners: dict[str, asyncio.Queue[Event | None]] = {}
        #: Our own address, as Asterisk sees it.
        self.local = "127.0.0.1"

    async def listen(self, channel: str) -> asyncio.Queue[Event | None]:
        """What happens to a channel from now on.

        :raises ConnectionFailed: Asterisk cannot be reached.
        :raises AccountError: it does not know us.
        """
        async with self._opening:
            if self._events is None or self._events.closed:
                await self._open()
        return self._listeners.setdefault(channel, asyncio.Queue())

    def forget(self, channel: str) -> None:
        """Nobody listens to it any more."""
        self._listeners.pop(channel, None)

    async def ask(self, method: str, path: str, **fields: str) -> Any:
        """One request; what it answers.

        :raises RefusedError: Asterisk said no.
        :raises AccountError: it does not know us, or cannot be trusted.
        :raises ConnectionFailed: it was not asked.
        :raises AnswerLostError: it may have done it.
        """
        import aiohttp

        session = self._opened()
        try:
            async with session.request(
                method, f"{self._settings.root}{path}", params=fields, allow_redirects=False
            ) as reply:
                body = await reply.content.read(_MOST)
        except aiohttp.ClientConnectorError as error:
            raise _unreachable(self._settings, error) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AnswerLostError(type(error).__name__) from None
        if reply.status in (401, 403):
            raise _unknown_here(self._settings, reply.status)
        words = _words(body)
        if reply.status >= 500 and not words:  # somebody before Asterisk, who may have passed it on
            raise AnswerLostError(f"HTTP {reply.status} without its words")
        if reply.status >= 400:
            raise RefusedError(reply.status, words or reply.reason or "")
        if reply.status == 204:
            return None
        found = _json(body)
        if reply.status >= 300 or found is None:
            raise AnswerLostError(f"HTTP {reply.status} without an answer")
        return found

    async def close(self) -> None:
        """End it."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._events is not None:
            connection = self._events.get_extra_info("socket")
            await self._events.close()
            await _ended(connection)
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)

    def _opened(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            settings = self._settings
            login = base64.b64encode(f"{settings.user}:{settings.password}".encode()).decode()
            context = ssl.create_default_context(cafile=settings.ca_file)
            allowed = settings.allowed
            resolver = None if allowed is None else public_resolver(allowed)
            self._session = aiohttp.ClientSession(
                headers={"Authorization": f"Basic {login}"},
                connector=aiohttp.TCPConnector(ssl=context, resolver=resolver),
                timeout=aiohttp.ClientTimeout(total=settings.timeout, sock_connect=_CONNECT),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def _open(self) -> None:
        import aiohttp

        settings = self._settings
        try:
            self._events = await self._opened().ws_connect(
                f"{settings.root}/events", params={"app": settings.app}, heartbeat=20.0
            )
        except aiohttp.WSServerHandshakeError as error:
            if error.status in (401, 403):
                raise _unknown_here(settings, error.status) from None
            raise _no_way(f"{settings.label}: HTTP {error.status} instead of events") from None
        except aiohttp.ClientConnectorError as error:
            raise _unreachable(settings, error) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _no_way(f"{settings.label}: {type(error).__name__}") from None
        name = self._events.get_extra_info("sockname")
        if name:
            self.local = str(name[0])
        self._reader = asyncio.ensure_future(self._read(self._events))

    async def _read(self, events: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async for each in events:
                event = _json(each.data)
                for channel in _channels_in(event):
                    if channel in self._listeners:
                        self._listeners[channel].put_nowait(event)
        finally:
            for listener in self._listeners.values():
                listener.put_nowait(None)


async def _ended(connection: Any) -> None:
    """Wait for a connection's end: with TLS the other side has to agree, for a moment at most."""
    for _ in range(100):
        if connection is None or connection.fileno() < 0:
            return
        await asyncio.sleep(0.01)


def _channels_in(event: Any) -> list[str]:
    """Whose channel an event is about: what happens to it, or how calling it goes on."""
    if not isinstance(event, dict):
        return []
    found = (event.get(name) for name in ("channel", "peer"))
    return [str(each["id"]) for each in found if isinstance(each, dict) and "id" in each]


def _json(data: bytes | str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, TypeError, RecursionError):
        return None


def _words(body: bytes) -> str:
    found = _json(body)
    return str(found.get("message") or found.get("error") or "") if isinstance(found, dict) else ""


def _unknown_here(settings: AriSettings, status: int) -> AccountError:
    text = f"{settings.label}: HTTP {status} to our user name and password"
    return AccountError(Answer(system="dispatch", code="authentication", text=text))


def _unreachable(
    settings: AriSettings, error: aiohttp.ClientConnectorError
) -> ConnectionFailed | AccountError:
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", "") or "it cannot be proved"
        text = f"{settings.label}: certificate refused: {why}"
        return AccountError(Answer(system="dispatch", code="tls_failed", text=text))
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        text = f"{settings.label}: TLS failed: {type(error.os_error).__name__}"
        return ConnectionFailed(Answer(system="dispatch", code="tls_failed", text=text))
    reason = (error.os_error.strerror or type(error).__name__).lower()
    return _no_way(f"{settings.label}: {reason}")


def _no_way(text: str) -> ConnectionFailed:
    return ConnectionFailed(Answer(system="dispatch", code="connect_failed", text=text))
