"""A socket that never waits, with or without TLS, and that knows how much of what it was given has left."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from typing import Any

#: One read takes at most this much; replies are short.
_CHUNK = 65_536
_UNDER_WAY = {errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY, errno.EINTR}

#: As ``socket.getaddrinfo`` gives it: family, type, protocol, canonical name, address.
AddressInfo = tuple[int, int, int, str, Any]


class Transport:
    """One connection to one address."""

    def __init__(self, address: AddressInfo) -> None:
        """Begin to connect.

        :raises OSError: it failed at once.
        """
        family, kind, protocol, _, target = address
        self._socket: socket.socket | ssl.SSLSocket = socket.socket(family, kind, protocol)
        self.host: str = target[0]
        self._waiting: memoryview = memoryview(b"")
        #: Octets handed to :meth:`queue` so far.
        self.queued = 0
        #: Octets the operating system took, whole TLS records only: less than a record tells nobody anything.
        self.written = 0
        try:
            self._prepare()
            failed = self._socket.connect_ex(target)
            if failed and failed not in _UNDER_WAY:
                raise OSError(failed, os.strerror(failed))
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """The descriptor a selector watches."""
        return self._socket.fileno()

    @property
    def wants_to_write(self) -> bool:
        """Whether something waits until the network takes more."""
        return bool(self._waiting)

    @property
    def local_address(self) -> str:
        """Our own end's address."""
        return str(self._socket.getsockname()[0])

    @property
    def encrypted(self) -> bool:
        """Whether TLS is in force."""
        return isinstance(self._socket, ssl.SSLSocket)

    def finish_connecting(self) -> None:
        """To be called when the socket can be written to for the first time.

        :raises OSError: there is no connection.
        """
        failed = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            raise OSError(failed, os.strerror(failed))

    def begin_tls(self, context: ssl.SSLContext, *, host: str) -> None:
        """Wrap the connection; :meth:`handshake` goes on from here.

        :raises OSError: the connection is gone already.
        """
        self._socket.getpeername()  # a wrapped socket that is gone already would never be closed
        self._socket = context.wrap_socket(
            self._socket, server_hostname=host, do_handshake_on_connect=False
        )

    def handshake(self) -> str:
        """Go on with the TLS handshake.

        :returns: ``"done"``, or which readiness to wait for: ``"read"`` or ``"write"``.
        :raises OSError: it failed; ``ssl.SSLCertVerificationError`` where the certificate is at fault.
        """
        assert isinstance(self._socket, ssl.SSLSocket)
        try:
            self._socket.do_handshake()
        except ssl.SSLWantReadError:
            return "read"
        except ssl.SSLWantWriteError:
            return "write"
        return "done"

    def queue(self, data: bytes) -> None:
        """Add bytes to what goes next; :meth:`flush` sends them."""
        self.queued += len(data)
        self._waiting = memoryview(bytes(self._waiting) + data if self._waiting else data)

    def flush(self) -> None:
        """Send as much as goes without waiting.

        :raises OSError: the connection is broken.
        """
        while self._waiting:
            try:
                # A part is all that goes: of a TLS record the count tells when the whole has left.
                sent = self._socket.send(self._waiting)
            except (BlockingIOError, InterruptedError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            self.written += sent
            self._waiting = self._waiting[sent:]

    def read(self) -> bytes | None:
        """What has come; empty at the end of the connection, None when nothing is there.

        Behind TLS more may wait than the operating system knows of: call it until it gives None.

        :raises OSError: the connection is broken.
        """
        try:
            return self._socket.recv(_CHUNK)
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except ssl.SSLEOFError:
            return b""  # ended without the closing alert: as good an end as any here

    def close(self) -> None:
        """End the connection at once; what has not left never will."""
        self._socket.close()

    def _prepare(self) -> None:
        plain = self._socket
        plain.setblocking(False)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A peer that vanished is noticed within a minute (30 s silent, then 3 questions every 10 s).
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, name):  # other systems call some of these differently
                plain.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
