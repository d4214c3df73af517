"""Looks the relay's name up on a thread of its own: a name service that hangs must not hold up open connections."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence

from clinic_dispatch_email.transport import AddressInfo
from clinic_dispatch_plugin.api import may_connect

#: Seconds an answer of the name service is used.
_LASTS = 300.0


class Names:
    """The addresses of one host name, as of some minutes ago at most.

    :param timeout: seconds an answer is waited for, by whoever can do nothing else meanwhile.
    :param allowed: a person typed the name: private networks and hosts it may mean, and nothing else private.
    """

    def __init__(
        self, host: str, port: int, *, timeout: float, allowed: Sequence[str] | None = None
    ) -> None:
        self._allowed = None if allowed is None or host in allowed else tuple(allowed)
        self._host = host
        self._port = port
        self._timeout = timeout
        self._addresses: Sequence[AddressInfo] = ()
        self._until = 0.0
        self._look_up: _LookUp | None = None

    def forget(self) -> None:
        """The name may mean another machine by now."""
        self._until = 0.0

    def addresses(self, *, wait: bool) -> Sequence[AddressInfo]:
        """Where to connect to.

        :param wait: wait for a fresh answer; else an old one does, while the next is asked for.
        :raises OSError: the name is not known, or nobody answered in time.
        """
        if time.monotonic() >= self._until:
            self._refresh(self._timeout if wait or not self._addresses else 0.0)
        return self._addresses

    def _refresh(self, patience: float) -> None:
        if self._look_up is None:
            self._look_up = _LookUp(self._host, self._port)
        if not self._look_up.done.wait(patience):
            if patience:
                # Whoever asks next may wait for the same answer: a thread that hangs cannot be ended.
                raise TimeoutError(f"the host name was not looked up within {self._timeout:g} s")
            return
        done, self._look_up = self._look_up, None
        if done.error is not None:
            raise done.error
        self._refuse_private(done.found)
        self._addresses, self._until = done.found, time.monotonic() + _LASTS

    def _refuse_private(self, found: Sequence[AddressInfo]) -> None:
        allowed = self._allowed
        if allowed is not None and not all(may_connect(str(each[4][0]), allowed) for each in found):
            raise OSError("the host name means a private address")


class _LookUp:
    def __init__(self, host: str, port: int) -> None:
        self.done = threading.Event()
        self.found: Sequence[AddressInfo] = ()
        self.error: OSError | None = None
        self._where = (host, port)
        threading.Thread(target=self._ask, name="email-names", daemon=True).start()

    def _ask(self) -> None:
        try:
            self.found = socket.getaddrinfo(*self._where, type=socket.SOCK_STREAM)
        except OSError as error:
            self.error = error
        except UnicodeError:  # a name that no name service can be asked for
            self.error = socket.gaierror(socket.EAI_NONAME, "no host name")
        finally:
            self.done.set()
