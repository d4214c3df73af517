"""Reports of RFC 3464 and what mail systems make of it, complaints of RFC 5965, replies of machines."""

from __future__ import annotations

import base64

from tests.reports.making import (
    ATTEMPT,
    BODY,
    MESSAGE,
    OURS,
    RETURNED,
    WHOM,
    Shape,
    failed,
    head,
    plain,
    standard,
)

_GONE = "550 5.1.1 <anna@example.org>: Recipient address rejected: User unknown"
_ARF_KIND = 'multipart/report; report-type=feedback-report; boundary="=_arf"'


def arf(fields: str, returned: str = RETURNED) -> bytes:
    return (
        head("FW: Ihr Termin", sender="staff@provider.example", kind=_ARF_KIND)
        + "--=_arf\nContent-Type: text/plain\n\nThis is an abuse report.\n"
        + f"--=_arf\nContent-Type: message/feedback-report\n\n{fields}\n"
        + f"--=_arf\nContent-Type: message/rfc822\n\n{returned}{BODY}\n--=_arf--\n"
    ).encode()


STANDARD = [
    Shape(
        name="postfix",
        raw=standard(f"smtp; {_GONE}", status="5.1.1"),
        recipients=failed("5.1.1"),
        category="unknown_recipient",
        answer="User unknown",
    ),
    Shape(
        name="an answer over several lines",
        raw=standard(
            "smtp; 550-5.1.1 The email account that you tried\n"
            "    to reach does not exist. 550 5.1.1 Please check",
            status="5.1.1",
        ),
        recipients=failed("5.1.1"),
        category="unknown_recipient",
    ),
    Shape(
        name="mailbox full, given up after days",
        raw=standard("smtp; 452 4.2.2 The mailbox is full", status="4.2.2"),
        recipients=failed("4.2.2"),
        category="recipient_full",
    ),
    Shape(
        name="the server's code says more than the report's",
        raw=standard(
            "smtp; 550 5.7.26 Unauthenticated mail is not accepted due to the DMARC policy",
            status="5.0.0",
        ),
        recipients=failed("5.7.26"),
        category="sender_identity",
    ),
    Shape(
        name="no diagnostic, the words say it",
        raw=standard(
            "",
            status="5.0.0",
            words=f"<{WHOM}>: host mx.example.org said: 552 5.2.2 Mailbox full (in reply to RCPT TO)\n",
        ),
        recipients=failed("5.2.2"),
        category="recipient_full",
    ),
    Shape(
        name="no action, the status says it",
        raw=standard("smtp; 550 5.1.1 No such user here", status="5.1.1", action=""),
        recipients=failed("5.1.1"),
        category="unknown_recipient",
    ),
    Shape(
        name="delayed",
        raw=standard(
            "smtp; 450 4.2.0 Greylisted, please try again later",
            status="4.2.0",
            action="delayed",
            subject="Warning: could not send message for past 4 hours",
        ),
        recipients=[(WHOM, "delayed", "4.2.0")],
    ),
    Shape(
        name="delivered",
        raw=standard(
            "smtp; 250 2.1.5 Ok",
            status="2.1.5",
            action="delivered",
            subject="Successful Mail Delivery Report",
        ),
        recipients=[(WHOM, "delivered", "2.1.5")],
    ),
    Shape(
        name="relayed",
        raw=standard("", status="2.0.0", action="relayed (to non-DSN-aware mailer)"),
        recipients=[(WHOM, "relayed", "2.0.0")],
    ),
    Shape(
        name="angle brackets and capitals",
        raw=standard(f"SMTP; {_GONE}", status="5.1.1", path="RFC822;<").replace(
            b"RFC822;<anna@example.org", b"RFC822;<anna@example.org>"
        ),
        recipients=failed("5.1.1"),
        category="unknown_recipient",
    ),
    Shape(
        name="only headers returned, no envelope id",
        raw=standard(
            "smtp; 550 5.2.1 Mailbox is disabled",
            status="5.2.1",
            envelope_id=False,
            original="text/rfc822-headers",
        ),
        recipients=failed("5.2.1"),
        category="recipient_disabled",
    ),
    Shape(
        name="nothing returned, the report came to the sender address of this message",
        raw=standard(
            "smtp; 550 5.1.1 no such user",
            status="5.1.1",
            envelope_id=False,
            returned="From: x@example.org\n",
        ).replace(
            f"To: {OURS}".encode(), f"To: post+{MESSAGE.upper()}@bounces.clinic.example".encode()
        ),
        recipients=failed("5.1.1"),
        category="unknown_recipient",
    ),
    Shape(
        name="two recipients",
        raw=standard("smtp; 550 5.1.1 User unknown", status="5.1.1", to=(WHOM, "bert@example.org")),
        recipients=[*failed("5.1.1"), *failed("5.1.1", address="bert@example.org")],
        category="unknown_recipient",
    ),
    Shape(
        name="the boundary of the parts is another one",
        raw=standard(f"smtp; {_GONE}", status="5.1.1").replace(
            b'boundary="=_report"', b'boundary="=_other"'
        ),
        recipients=failed("5.1.1"),
        category="unknown_recipient",
    ),
    Shape(
        name="Exchange: words in German, no SMTP in the diagnostic",
        raw=standard(
            "smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
            status="5.1.10",
            words="Ihre Nachricht konnte nicht zugestellt werden.\n",
            subject="Unzustellbar: Ihr Termin",
        ),
        recipients=failed("5.1.10"),
        category="unknown_recipient",
    ),
    Shape(
        name="an internal cause of Postfix",
        raw=standard(
            "X-Postfix; Host or domain name not found. Name service error for name=exampel.org type=A: Host not found",
            status="5.4.4",
        ),
        recipients=failed("5.4.4"),
        category="bad_address",
    ),
    Shape(
        name="an address outside ASCII",
        raw=standard(
            "smtp; 550 5.1.1 User unknown",
            status="5.1.1",
            to=("jürgen@bücher.example",),
            path="utf-8; ",
        ),
        recipients=failed("5.1.1", address="jürgen@bücher.example"),
        category="unknown_recipient",
    ),
]

OTHERS = [
    Shape(
        name="complaint with the recipient",
        raw=arf(
            f"Feedback-Type: abuse\nUser-Agent: Loop/1\nVersion: 1\n"
            f"Original-Rcpt-To: <{WHOM}>\nOriginal-Mail-From: <{OURS}>\n"
        ),
        kind="complaint",
        recipients=[(WHOM, "complained", "abuse")],
    ),
    Shape(
        name="complaint whose fields name nobody",
        raw=arf("Feedback-Type: abuse\nVersion: 1\n"),
        kind="complaint",
        recipients=[(WHOM, "complained", "abuse")],
    ),
    Shape(
        name="complaint with the recipient struck out",
        raw=arf("Feedback-Type: fraud\nVersion: 1\n", RETURNED.replace(WHOM, "redacted")),
        kind="complaint",
        recipients=[],
    ),
    Shape(
        name="complaint with an envelope id",
        raw=arf(
            f"Feedback-Type: abuse\nVersion: 1\nOriginal-Envelope-Id: {ATTEMPT}\n"
            f"Removal-Recipient: {WHOM}\n"
        ),
        kind="complaint",
        recipients=[(WHOM, "complained", "abuse")],
    ),
    Shape(
        name="vacation by RFC 3834",
        raw=plain(
            "Ihr Termin",
            "Ich bin bis Montag im Urlaub.\n",
            sender=f"Anna Berg <{WHOM}>",
            more=f"Auto-Submitted: auto-replied\nIn-Reply-To: <{MESSAGE}@clinic.example>\n",
        ),
        kind="auto-reply",
        recipients=[(WHOM, "replied", "")],
    ),
    Shape(
        name="away, known by its German subject alone",
        raw=plain(
            "Abwesenheitsnotiz: Ihr Termin",
            "Ich bin nicht im Haus.\n",
            sender=WHOM,
            more=f"References: <{MESSAGE}@clinic.example>\n",
        ),
        kind="auto-reply",
        recipients=[(WHOM, "replied", "")],
    ),
    Shape(
        name="away in Russian, in encoded words",
        raw=plain(
            "=?utf-8?b?" + base64.b64encode("Автоответ: Ваш приём".encode()).decode() + "?=",
            "Я в отпуске.\n",
            sender=WHOM,
            more=f"References: <{MESSAGE}@clinic.example>\n",
        ),
        kind="auto-reply",
        recipients=[(WHOM, "replied", "")],
    ),
    Shape(
        name="away: out of office of Outlook",
        raw=plain(
            "Automatic reply: Ihr Termin",
            "I am out of the office.\n",
            sender=WHOM,
            more=f"X-Auto-Response-Suppress: All\nReferences: <{MESSAGE}@clinic.example>\n",
        ),
        kind="auto-reply",
        recipients=[(WHOM, "replied", "")],
    ),
    Shape(
        name="a person writes back",
        raw=plain(
            "Re: Ihr Termin",
            "Danke, ich komme.\n",
            sender=WHOM,
            more=f"In-Reply-To: <{MESSAGE}@clinic.example>\n",
        ),
        kind="other",
    ),
    Shape(
        name="a read receipt",
        raw=(
            head(
                "Gelesen: Ihr Termin",
                sender=WHOM,
                kind='multipart/report; report-type=disposition-notification; boundary="=_r"',
            )
            + f"--=_r\nContent-Type: text/plain\n\nGelesen.\n--=_r\n"
            f"Content-Type: message/disposition-notification\n\n"
            f"Final-Recipient: rfc822;{WHOM}\n"
            f"Original-Message-ID: <{MESSAGE}@clinic.example>\n"
            f"Disposition: manual-action/MDN-sent-manually; displayed\n--=_r--\n"
        ).encode(),
        kind="other",
    ),
    Shape(
        name="advertising",
        raw=plain("Angebot der Woche", "Nur heute!\n", sender="shop@shop.example"),
        kind="other",
        tied=False,
    ),
    Shape(name="nothing", raw=b"", kind="other", tied=False),
]
