"""The sign-in mechanisms the relay offers: PLAIN (RFC 4616) and LOGIN (a custom, no standard)."""

from __future__ import annotations

import base64
import binascii
from typing import Protocol

from clinic_dispatch_plugin.simulators.smtp.replies import RefusedError


class Exchange(Protocol):
    """One sign-in that is under way."""

    def challenge(self) -> str:
        """The relay's next line."""
        ...

    def answer(self, line: bytes) -> tuple[str, str] | None:
        """Take the client's line, which is still in base64.

        :returns: user name and password; None when another line is needed.
        :raises RefusedError: the line is no answer, or the client gave up.
        """
        ...


class PlainExchange:
    """One answer holds everything, divided by NUL."""

    def challenge(self) -> str:
        """An empty challenge (RFC 4954 4)."""
        return "334 "

    def answer(self, line: bytes) -> tuple[str, str] | None:
        """User name and password; an identity to act for must be empty or the same."""
        parts = _decoded(line).split("\0")
        if len(parts) != 3 or not parts[1] or parts[0] not in ("", parts[1]):
            raise RefusedError("501 5.5.2 Malformed authentication data")
        return parts[1], parts[2]


class LoginExchange:
    """Name, then password."""

    def __init__(self) -> None:
        self._name: str | None = None

    def challenge(self) -> str:
        """``Username:`` or ``Password:`` in base64."""
        return "334 VXNlcm5hbWU6" if self._name is None else "334 UGFzc3dvcmQ6"

    def answer(self, line: bytes) -> tuple[str, str] | None:
        """The name first, the password next."""
        text = _decoded(line)
        if self._name is None:
            self._name = text
            return None
        return self._name, text


def begin_exchange(mechanism: str) -> Exchange:
    """Start a sign-in.

    :raises RefusedError: the mechanism is not offered.
    """
    match mechanism.upper():
        case "PLAIN":
            return PlainExchange()
        case "LOGIN":
            return LoginExchange()
        case "":
            raise RefusedError("501 5.5.4 Syntax: AUTH mechanism")
    raise RefusedError("504 5.5.4 Error: authentication mechanism not supported")


def _decoded(line: bytes) -> str:
    if line == b"*":
        raise RefusedError("501 5.7.0 Authentication aborted")
    try:
        return base64.b64decode(line, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise RefusedError("501 5.5.2 Error: cannot decode the response") from None
