"""From the greeting to a signed-in connection: the part of the protocol in which each line waits for its answer.

Written as a generator that yields what to do and gets the reply, so that it reads in the order of the protocol while
the event loop drives many of them at once.
"""

from __future__ import annotations

import base64
import socket
from collections.abc import Generator
from typing import NamedTuple

from clinic_dispatch_email.capabilities import NOTHING, ServerOffers, read_offers
from clinic_dispatch_email.replies import Reply
from clinic_dispatch_email.settings import EmailSettings
from clinic_dispatch_plugin.api import AccountError, Answer, ConnectionFailed

#: Longest command line, CRLF included (RFC 5321 4.5.3.1.4).
_LONGEST_COMMAND = 512
_NOT_THIS_WAY = {500, 501, 502, 504}


class Say(NamedTuple):
    """Send this line (none: only listen) and wait for the reply."""

    line: bytes
    #: How a time-out names what was waited for.
    awaited: str


class Encrypt(NamedTuple):
    """Do the TLS handshake now."""


Step = Say | Encrypt
SignOn = Generator[Step, Reply | None, ServerOffers]
_Dialogue = Generator[Step, Reply | None, Reply]


def sign_on(settings: EmailSettings, *, local_address: str, peer_is_loopback: bool) -> SignOn:
    """Greet, encrypt and sign in as the settings say; returns what the server offers.

    :param local_address: our own end's, to call ourselves by where we have no name.
    :raises AccountError: a person has to mend the settings or the account.
    :raises ConnectionFailed: the server does not want us now.
    """
    if settings.implicit_tls:
        yield Encrypt()
    greeting = yield from _ask(b"", "the greeting")
    if greeting.code != 220:
        raise ConnectionFailed(greeting.answer())
    name = (settings.helo or own_name(local_address)).encode("ascii")
    offers = yield from _hello(name)
    if settings.starttls:
        yield from _start_tls(offers)
        # What was offered in the clear may have been forged (RFC 3207 4.2).
        offers = yield from _hello(name)
    if settings.user:
        if not (settings.encrypted or peer_is_loopback):
            raise _account("authentication", "the password is not sent without TLS")
        yield from _sign_in(settings, offers)
    return offers


def own_name(local_address: str) -> str:
    """This machine's full name, else its address as a literal (RFC 5321 4.1.4); asks no name server."""
    name = socket.gethostname()
    if "." in name and name.isascii() and not name.endswith(".local"):
        return name
    address = local_address.partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _ask(line: bytes, awaited: str) -> _Dialogue:
    reply = yield Say(line, awaited)
    assert reply is not None
    return reply


def _hello(name: bytes) -> SignOn:
    reply = yield from _ask(b"EHLO %b\r\n" % name, "the answer to EHLO")
    if reply.code == 250:
        return read_offers(reply)
    if reply.code < 500:
        raise ConnectionFailed(reply.answer())
    reply = yield from _ask(b"HELO %b\r\n" % name, "the answer to HELO")
    if reply.code != 250:
        raise ConnectionFailed(reply.answer())
    return NOTHING


def _start_tls(offers: ServerOffers) -> Generator[Step, Reply | None, None]:
    if not offers.starttls:
        raise _account("tls_failed", "the mail server does not offer STARTTLS")
    reply = yield from _ask(b"STARTTLS\r\n", "the answer to STARTTLS")
    if reply.code >= 500:
        raise AccountError(reply.answer())
    if reply.code != 220:
        raise ConnectionFailed(reply.answer())
    yield Encrypt()


def _sign_in(settings: EmailSettings, offers: ServerOffers) -> Generator[Step, Reply | None, None]:
    user, password = settings.user.encode("utf-8"), settings.password.encode("utf-8")
    refused: Reply | None = None
    if "PLAIN" in offers.mechanisms:
        refused = yield from _plain(user, password)
        if refused is None:
            return
    if "LOGIN" in offers.mechanisms and (refused is None or refused.code in _NOT_THIS_WAY):
        refused = yield from _login(user, password)
        if refused is None:
            return
    if refused is None:
        ways = ", ".join(sorted(offers.mechanisms)) or "none"
        raise _account("authentication", f"no way to sign in by PLAIN or LOGIN; offered: {ways}")
    if refused.code < 500:
        raise ConnectionFailed(refused.answer())
    raise AccountError(refused.answer())


def _plain(user: bytes, password: bytes) -> Generator[Step, Reply | None, Reply | None]:
    """AUTH PLAIN (RFC 4616); returns the refusal, None when signed in."""
    secret = base64.b64encode(b"\0%b\0%b" % (user, password))
    first = b"AUTH PLAIN %b\r\n" % secret
    if len(first) > _LONGEST_COMMAND:
        return (yield from _challenged(b"AUTH PLAIN\r\n", secret))
    return (yield from _challenged(first))


def _login(user: bytes, password: bytes) -> Generator[Step, Reply | None, Reply | None]:
    """AUTH LOGIN, which no standard describes and everybody speaks; returns the refusal, None when signed in."""
    return (
        yield from _challenged(
            b"AUTH LOGIN\r\n", base64.b64encode(user), base64.b64encode(password)
        )
    )


def _challenged(first: bytes, *responses: bytes) -> Generator[Step, Reply | None, Reply | None]:
    reply = yield from _ask(first, "the answer to AUTH")
    for response in responses:
        if reply.code != 334:
            break
        reply = yield from _ask(response + b"\r\n", "the answer to AUTH")
    if reply.code == 334:  # more questions than this way of signing in has
        reply = yield from _ask(b"*\r\n", "the answer to AUTH")
    return None if reply.code == 235 else reply


def _account(code: str, text: str) -> AccountError:
    return AccountError(Answer(system="dispatch", code=code, text=text))
