"""The socket under a link: waits only where it is told to, and knows how much of what it was given has left."""

from __future__ import annotations

import selectors
import socket
import ssl

from clinic_dispatch_plugin.api import AccountError, Answer, ConnectionFailed, may_connect
from clinic_dispatch_sms.smpp.settings import SmppSettings, client_tls

_CHUNK = 65_536
_NOT_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Wire:
    """One connection to the centre, with or without TLS."""

    def __init__(self, settings: SmppSettings) -> None:
        """Connect, trying every address of the host.

        :raises ConnectionFailed: there is no connection.
        :raises AccountError: the centre's certificate is not the one it should be.
        """
        self._waiting = memoryview(b"")
        #: Octets queued, and those that the operating system took.
        self.queued = 0
        self.written = 0
        self._socket = _connected(settings)
        self._socket.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._watched = selectors.EVENT_READ

    @property
    def backlog(self) -> int:
        """Octets that wait until the network takes more."""
        return len(self._waiting)

    def queue(self, data: bytes) -> int:
        """Add bytes to what goes next; gives the place in the stream where they end."""
        self.queued += len(data)
        self._waiting = memoryview(bytes(self._waiting) + data if self._waiting else data)
        return self.queued

    def flush(self) -> None:
        """Send as much as goes without waiting.

        :raises OSError: the connection is broken.
        """
        while self._waiting:
            try:
                sent = self._socket.send(self._waiting)
            except _NOT_NOW:
                return
            self.written += sent
            self._waiting = self._waiting[sent:]

    def wait(self, seconds: float) -> bool:
        """Wait until there is something to read or room to write; False: neither."""
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._waiting else 0)
        if wanted != self._watched:
            self._selector.modify(self._socket, wanted)
            self._watched = wanted
        return bool(self._selector.select(max(seconds, 0.0)))

    def read(self) -> bytes | None:
        """What has come; empty at the end of the connection, None when nothing is there.

        Behind TLS more may wait than the operating system knows of: call it until it gives None.

        :raises OSError: the connection is broken.
        """
        try:
            return self._socket.recv(_CHUNK)
        except _NOT_NOW:
            return None
        except ssl.SSLEOFError:
            return b""

    def close(self) -> None:
        """End the connection at once; what has not left never will."""
        self._selector.close()
        self._socket.close()


def _permitted(settings: SmppSettings, address: str) -> bool:
    """Whether we may talk to whom we are connected to: a name that a person typed leads to nothing private."""
    allowed = settings.allowed
    return allowed is None or settings.host in allowed or may_connect(address, allowed)


def _connected(settings: SmppSettings) -> socket.socket:
    where = f"{settings.host}:{settings.port}"
    try:
        plain = socket.create_connection(
            (settings.host, settings.port), timeout=settings.connect_timeout
        )
    except OSError as problem:
        raise ConnectionFailed(no_connection(reason_of(problem), where=where)) from None
    try:
        if not _permitted(settings, str(plain.getpeername()[0])):
            raise OSError("a private address")
        _prepare(plain)
        if not settings.tls:
            return plain
        return client_tls(settings).wrap_socket(plain, server_hostname=settings.host)
    except ssl.SSLCertVerificationError as problem:
        plain.close()
        answer = _tls(f"certificate refused: {problem.verify_message}", where=where)
        raise AccountError(answer) from None
    except ssl.SSLError as problem:
        plain.close()
        reason = str(problem.reason or "no reason given").replace("_", " ").lower()
        raise ConnectionFailed(_tls(f"TLS failed: {reason}", where=where)) from None
    except OSError as problem:
        plain.close()
        raise ConnectionFailed(no_connection(reason_of(problem), where=where)) from None


def _prepare(plain: socket.socket) -> None:
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A peer that vanished is noticed within a minute (30 s silent, then 3 questions every 10 s).
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):  # other systems call some of these differently
            plain.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def no_connection(text: str, *, where: str) -> Answer:
    """Nothing was handed over, for want of a connection."""
    return Answer(system="dispatch", code="connect_failed", text=f"{where}: {text}")


def reason_of(problem: Exception) -> str:
    """An operating system's error in plain words."""
    if isinstance(problem, socket.gaierror):
        unknown = problem.errno == socket.EAI_NONAME
        return "this host name is not known" if unknown else "the host name could not be looked up"
    if isinstance(problem, TimeoutError):
        return "no connection in time"
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror.lower()
    return str(problem) or type(problem).__name__


def _tls(text: str, *, where: str) -> Answer:
    return Answer(system="dispatch", code="tls_failed", text=f"{where}: {text}")
