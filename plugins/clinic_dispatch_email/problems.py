"""What broke a connection, in words the error reference explains and a person can act upon."""

from __future__ import annotations

import socket
import ssl

from clinic_dispatch_email.replies import NotSmtpError
from clinic_dispatch_email.transactions import GoodbyeError
from clinic_dispatch_plugin.api import AccountError, Answer, ChannelError

#: All that may end a connection in the ordinary course of things.
BREAKING = (GoodbyeError, NotSmtpError, ChannelError, OSError)


def understood(problem: Exception, *, where: str) -> tuple[Answer, ChannelError | None]:
    """What happened, and the error when it is for certain more than this one connection's trouble.

    :param where: the relay's host and port.
    """
    if isinstance(problem, ChannelError):
        return problem.answer, problem
    if isinstance(problem, GoodbyeError):
        return problem.answer, None
    if isinstance(problem, NotSmtpError):
        return no_connection(f"the mail server does not speak SMTP: {problem}", where=where), None
    if isinstance(problem, ssl.SSLCertVerificationError):
        answer = _tls(f"certificate refused: {problem.verify_message}", where=where)
        return answer, AccountError(answer)
    if isinstance(problem, ssl.SSLError):
        reason = str(problem.reason or "no reason given").replace("_", " ").lower()
        return _tls(f"TLS failed: {reason}", where=where), None
    return no_connection(reason_of(problem), where=where), None


def no_connection(text: str, *, where: str) -> Answer:
    """Nothing was handed over, for want of a connection."""
    return Answer(system="dispatch", code="connect_failed", text=f"{where}: {text}")


def reason_of(problem: Exception) -> str:
    """An operating system's error in plain words."""
    if isinstance(problem, socket.gaierror):
        unknown = problem.errno == socket.EAI_NONAME
        return "this host name is not known" if unknown else "the host name could not be looked up"
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror.lower()
    return str(problem) or type(problem).__name__


def _tls(text: str, *, where: str) -> Answer:
    return Answer(system="dispatch", code="tls_failed", text=f"{where}: {text}")
