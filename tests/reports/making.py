"""Makes mails as mail systems send them back: a frame, and shapes with what has to be read from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

#: The keys of the attempt and the message that all these mails speak of.
ATTEMPT = "a7q2mzk4w6x3c5v8b9n1l0p2sd"
MESSAGE = "m3t5y7u9i2o4p6a8s1d3f5g7hj"
OURS = "post@clinic.example"
WHOM = "anna@example.org"

RETURNED = f"""Return-Path: <post+{MESSAGE}@bounces.clinic.example>
Received: from relay.clinic.example (relay.clinic.example [192.0.2.10])
\tby mx.example.org with ESMTPS id 4F2A1; Tue, 24 Nov 2026 07:00:03 +0100
From: Klinik am Park <{OURS}>
To: Anna Berg <{WHOM}>
Subject: Ihr Termin
Date: Tue, 24 Nov 2026 07:00:02 +0100
Message-ID: <{MESSAGE}@clinic.example>
MIME-Version: 1.0
Auto-Submitted: auto-generated
Content-Type: text/plain; charset=utf-8
"""
BODY = "\nGuten Tag, bis morgen.\n"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A mail and what it says."""

    name: str
    raw: bytes = field(repr=False)
    kind: str = "bounce"
    #: ``(address, action, code)`` of each recipient.
    recipients: Sequence[tuple[str, str, str]] = ()
    #: What the words of the first one mean; empty: nothing to explain.
    category: str = ""
    #: A piece of the first one's answer.
    answer: str = ""
    #: Whether a clue names the message.
    tied: bool = True


def head(
    subject: str,
    *,
    sender: str = "MAILER-DAEMON@mx.example.org (Mail Delivery System)",
    more: str = "",
    to: str = OURS,
    kind: str = "text/plain; charset=utf-8",
) -> str:
    return (
        f"Return-Path: <>\nFrom: {sender}\nTo: {to}\nSubject: {subject}\n"
        f"Date: Tue, 24 Nov 2026 07:00:05 +0100\nMessage-ID: <b1@mx.example.org>\n{more}"
        f"MIME-Version: 1.0\nContent-Type: {kind}\n\n"
    )


def plain(subject: str, words: str, **values: str) -> bytes:
    """A report in words alone."""
    return (head(subject, **values) + words).encode()


def failed(code: str, *, address: str = WHOM) -> list[tuple[str, str, str]]:
    return [(address, "failed", code)]


def standard(
    diagnostic: str,
    *,
    status: str,
    action: str = "failed",
    words: str = "I'm sorry to have to inform you that your message could not be delivered.\n",
    to: Sequence[str] = (WHOM,),
    envelope_id: bool = True,
    returned: str = RETURNED,
    original: str = "message/rfc822",
    path: str = "rfc822; ",
    subject: str = "Undelivered Mail Returned to Sender",
    more: str = "",
) -> bytes:
    """A report of RFC 3464."""
    blocks = "\n".join(
        f"Final-Recipient: {path}{each}\n"
        + (f"Action: {action}\n" if action else "")
        + (f"Status: {status}\n" if status else "")
        + (f"Diagnostic-Code: {diagnostic}\n" if diagnostic else "")
        for each in to
    )
    envelope = f"Original-Envelope-Id: {ATTEMPT}\n" if envelope_id else ""
    kind = 'multipart/report; report-type=delivery-status; boundary="=_report"'
    body = (
        f"--=_report\nContent-Type: text/plain; charset=utf-8\n\n{words}\n"
        f"--=_report\nContent-Type: message/delivery-status\n\n"
        f"{envelope}Reporting-MTA: dns; mx.example.org\n\n{blocks}\n"
        f"--=_report\nContent-Type: {original}\n\n"
        f"{returned}{BODY if original == 'message/rfc822' else ''}\n--=_report--\n"
    )
    return (head(subject, kind=kind, more=more) + body).encode()
