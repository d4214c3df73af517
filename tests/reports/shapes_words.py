"""Reports in words: each mail system has its own."""

from __future__ import annotations

import quopri

from tests.reports.making import BODY, RETURNED, WHOM, Shape, failed, head, plain

_COPY = RETURNED + BODY


def wrapped(words: str, kind: str = "message/rfc822") -> bytes:
    """Words, and the returned mail as a part of its own."""
    return (
        head("Mail delivery failed", kind='multipart/mixed; boundary="=_m"')
        + f"--=_m\nContent-Type: text/plain; charset=utf-8\n\n{words}\n--=_m\n"
        f"Content-Type: {kind}\n\n{_COPY}\n--=_m--\n"
    ).encode()


WORDS = [
    Shape(
        name="qmail",
        raw=plain(
            "failure notice",
            f"Hi. This is the qmail-send program at mx.example.org.\n"
            f"I'm afraid I wasn't able to deliver your message to the following addresses.\n"
            f"This is a permanent error; I've given up. Sorry it didn't work out.\n\n"
            f"<{WHOM}>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n"
            f"--- Below this line is a copy of the message.\n\n{_COPY}",
        ),
        recipients=failed("5.1.1"),
        category="unknown_recipient",
        answer="no mailbox here",
    ),
    Shape(
        name="qmail with the other server's words",
        raw=plain(
            "failure notice",
            f"Hi. This is the qmail-send program at mx.example.org.\n\n<{WHOM}>:\n"
            f"192.0.2.5 does not like recipient.\n"
            f"Remote host said: 550 5.2.1 Mailbox disabled\nGiving up on 192.0.2.5.\n\n"
            f"--- Below this line is a copy of the message.\n\n{_COPY}",
        ),
        recipients=failed("5.2.1"),
        category="recipient_disabled",
    ),
    Shape(
        name="qmail gave up after a week",
        raw=plain(
            "failure notice",
            f"Hi. This is the qmail-send program at mx.example.org.\n\n<{WHOM}>:\n"
            f"Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n"
            f"I'm not going to try again; this message has been in the queue too long.\n\n"
            f"--- Below this line is a copy of the message.\n\n{_COPY}",
        ),
        recipients=failed("4.4.1"),
        category="expired",
    ),
    Shape(
        name="Exim",
        raw=plain(
            "Mail delivery failed: returning message to sender",
            f"This message was created automatically by mail delivery software.\n\n"
            f"A message that you sent could not be delivered to one or more of its\n"
            f"recipients. This is a permanent error. The following address(es) failed:\n\n"
            f"  {WHOM}\n    host mx.example.org [192.0.2.5]\n"
            f"    SMTP error from remote mail server after RCPT TO:<{WHOM}>:\n"
            f"    550 5.1.1 User unknown\n\n"
            f"------ This is a copy of the message, including all the headers. ------\n\n"
            f"{_COPY}",
            more=f"X-Failed-Recipients: {WHOM}\nAuto-Submitted: auto-replied\n",
        ),
        recipients=failed("5.1.1"),
        category="unknown_recipient",
    ),
    Shape(
        name="Exim gave up",
        raw=plain(
            "Mail delivery failed: returning message to sender",
            f"The following address(es) failed:\n\n  {WHOM}\n    retry timeout exceeded\n\n"
            f"------ This is a copy of the message, including all the headers. ------\n\n"
            f"{_COPY}",
            more=f"X-Failed-Recipients: {WHOM}\n",
        ),
        recipients=failed(""),
        category="expired",
    ),
    Shape(
        name="Exim warns",
        raw=plain(
            "Warning: message 1abc delayed 24 hours",
            f"A message that you sent has not yet been delivered to one or more of its\n"
            f"recipients after more than 24 hours on the queue.\n"
            f"The address to which the message has not yet been delivered is:\n\n  {WHOM}\n"
            f"    Delay reason: connection refused\n\n"
            f"No action is required on your part. Delivery attempts will continue for\n"
            f"some time. The message identifier is {_COPY.split('Message-ID: ')[1].splitlines()[0]}\n",
        ),
        recipients=[(WHOM, "delayed", "")],
    ),
    Shape(
        name="sendmail",
        raw=plain(
            "Returned mail: see transcript for details",
            f"The original message was received at Tue, 24 Nov 2026 07:00:02 +0100\n\n"
            f"   ----- The following addresses had permanent fatal errors -----\n<{WHOM}>\n"
            f"    (reason: 550 5.1.1 <{WHOM}>... User unknown)\n\n"
            f"   ----- Transcript of session follows -----\n"
            f"... while talking to mx.example.org.:\n>>> RCPT To:<{WHOM}>\n"
            f"<<< 550 5.1.1 <{WHOM}>... User unknown\n\n"
            f"   ----- Original message follows -----\n{_COPY}",
        ),
        recipients=failed("5.1.1"),
        category="unknown_recipient",
    ),
    Shape(
        name="old sendmail",
        raw=plain(
            "Returned mail: Host unknown",
            f"   ----- Transcript of session follows -----\n"
            f"550 exampel.org (smtp)... 550 Host unknown\n"
            f"554 <{WHOM}>... 550 Host unknown (Authoritative answer from name server)\n\n"
            f"   ----- Unsent message follows -----\n{_COPY}",
        ),
        recipients=failed("554"),
        category="bad_address",
    ),
    Shape(
        name="Postfix in words",
        raw=plain(
            "Undelivered Mail Returned to Sender",
            f"This is the mail system at host mx.example.org.\n\n"
            f"For further assistance, please send mail to postmaster.\n\n"
            f"                   The mail system\n\n"
            f"<{WHOM}>: host mx.example.org[192.0.2.5] said: 552 5.2.2 Over quota\n"
            f"    (in reply to RCPT TO command)\n\n{_COPY}",
        ),
        recipients=failed("5.2.2"),
        category="recipient_full",
    ),
    Shape(
        name="Exchange of old",
        raw=wrapped(
            f"Your message\n\n  To:      {WHOM}\n  Subject: Ihr Termin\n"
            f"  Sent:    Tue, 24 Nov 2026 07:00:02 +0100\n\n"
            f"did not reach the following recipient(s):\n\n"
            f"{WHOM} on Tue, 24 Nov 2026 07:00:05 +0100\n"
            f"    The recipient name is not recognized\n"
            f"    MSEXCH:IMS:EXAMPLE:MX 0 (000C05A6) Unknown Recipient\n"
        ),
        recipients=failed(""),
        category="unknown_recipient",
    ),
    Shape(
        name="Microsoft 365, HTML alone",
        raw=(
            head("Undeliverable: Ihr Termin", kind='multipart/mixed; boundary="=_h"')
            + "--=_h\nContent-Type: text/html; charset=utf-8\n"
            "Content-Transfer-Encoding: quoted-printable\n\n"
            + quopri.encodestring(
                f"<html><head><style>p {{}}</style></head><body><p>Your message to {WHOM} "
                f"couldn&#39;t be delivered.</p>"
                f"<p><b>anna</b> wasn&#39;t found at example.org.</p>"
                f"<p>Remote Server returned &#39;550 5.1.10 "
                f"RESOLVER.ADR.RecipientNotFound; Recipient not found&#39;</p></body></html>".encode()
            ).decode()
            + f"\n--=_h\nContent-Type: message/rfc822\n\n{_COPY}\n--=_h--\n"
        ).encode(),
        recipients=failed("5.1.10"),
        category="unknown_recipient",
    ),
    Shape(
        name="Gmail of old",
        raw=plain(
            "Delivery Status Notification (Failure)",
            f"Delivery to the following recipient failed permanently:\n\n     {WHOM}\n\n"
            f"Technical details of permanent failure:\n"
            f"Google tried to deliver your message, but it was rejected by the server "
            f"for the recipient domain example.org.\n"
            f"\nThe error that the other server returned was:\n550 5.1.1 No such user\n\n"
            f"----- Original message -----\n\n{_COPY}",
            more=f"X-Failed-Recipients: {WHOM}\n",
        ),
        recipients=failed("5.1.1"),
        category="unknown_recipient",
    ),
    Shape(
        name="Yahoo",
        raw=plain(
            "Failure Notice",
            f"Sorry, we were unable to deliver your message to the following address.\n\n"
            f"<{WHOM}>:\n554: 5.2.2 mailbox full\n\n"
            f"--- Below this line is a copy of the message.\n\n{_COPY}",
            sender="MAILER-DAEMON@yahoo.example",
        ),
        recipients=failed("5.2.2"),
        category="recipient_full",
    ),
    Shape(
        name="mail.ru",
        raw=plain(
            "Ваше сообщение не доставлено. Mail failure.",
            f"Это письмо создано автоматически сервером, отвечать на него не нужно.\n\n"
            f"К сожалению, Ваше письмо не может быть доставлено одному или нескольким получателям:\n"
            f"\n  {WHOM}\n    SMTP error from remote mail server after RCPT TO:<{WHOM}>:\n"
            f"    550 5.1.1 Message was not accepted -- invalid mailbox. Local mailbox unavailable: user not found\n"
            f"\n------ This is a copy of the message, including all the headers. ------\n\n"
            f"{_COPY}",
            more=f"X-Failed-Recipients: {WHOM}\n",
        ),
        recipients=failed("5.1.1"),
        category="unknown_recipient",
    ),
    Shape(
        name="Russian words without a code",
        raw=plain(
            "Сообщение не доставлено",
            f"Не удалось доставить ваше письмо.\n\nПолучатель: {WHOM}\n"
            f"Причина: почтовый ящик получателя переполнен\n\nЗаголовки исходного сообщения:\n"
            f"\n{_COPY}",
        ),
        recipients=failed(""),
        category="recipient_full",
    ),
    Shape(
        name="GMX and web.de",
        raw=plain(
            "Mail delivery failed: returning message to sender",
            f"This message was created automatically by mail delivery software.\n\n"
            f"A message that you sent could not be delivered to one or more of\n"
            f"its recipients. This is a permanent error. The following address\nfailed:\n\n"
            f'"{WHOM}":\nSMTP error from remote server after RCPT command:\n'
            f"host: mx.example.org\n5.2.2 <{WHOM}>... Mailbox Full\n\n"
            f"--- The header of the original message is following. ---\n\n{_COPY}",
        ),
        recipients=failed("5.2.2"),
        category="recipient_full",
    ),
    Shape(
        name="1&1 with its reason below",
        raw=plain(
            "Mail delivery failed: returning message to sender",
            f"The following address failed:\n\n{WHOM}\n\nFor the following reason:\n\n"
            f"Mail size limit exceeded.\n\n"
            f"--- The header of the original message is following. ---\n\n{_COPY}",
        ),
        recipients=failed(""),
        category="message_too_big",
    ),
    Shape(
        name="T-Online: German words",
        raw=plain(
            "Unzustellbare Nachricht",
            f"Ihre Nachricht konnte nicht zugestellt werden.\n\n"
            f"Folgende Empfänger haben die Nachricht nicht erhalten:\n\n   {WHOM}\n"
            f"   Grund: Das Postfach des Empfängers ist voll\n\nUrsprüngliche Nachricht:\n\n"
            f"{_COPY}",
            sender="Postmaster <postmaster@provider.example>",
        ),
        recipients=failed(""),
        category="recipient_full",
    ),
    Shape(
        name="German words: unknown address",
        raw=plain(
            "E-Mail nicht zustellbar",
            f"Die folgende Adresse wurde nicht gefunden:\n\n{WHOM}\n"
            f"Der Empfänger ist auf unserem System unbekannt.\n\n"
            f"-----Ursprüngliche Nachricht-----\n{_COPY}",
            sender="Mail Delivery System <mailer-daemon@provider.example>",
        ),
        recipients=failed(""),
        category="unknown_recipient",
    ),
    Shape(
        name="Lotus Domino",
        raw=plain(
            "DELIVERY FAILURE: User anna (anna@example.org) not listed in Domino Directory",
            f"Your message\n\n  Subject: Ihr Termin\n\nwas not delivered to:\n\n  {WHOM}\n\n"
            f"because:\n\n  User anna ({WHOM}) not listed in Domino Directory\n\n"
            f"Received: from relay\n"
            f"Message-ID: {_COPY.split('Message-ID: ')[1].splitlines()[0]}\n",
            sender="Postmaster@example.org",
        ),
        recipients=failed(""),
        category="unknown_recipient",
    ),
    Shape(
        name="Lotus Notes",
        raw=plain(
            "Undeliverable message",
            f"------- Failure Reasons  --------\n\nUser unknown\n{WHOM}\n\n"
            f"------- Returned Message --------\n{_COPY}",
            sender="postmaster@example.org",
        ),
        recipients=failed(""),
        category="unknown_recipient",
    ),
    Shape(
        name="only the returned mail names the recipient",
        raw=wrapped("Your mail could not be delivered: the mailbox is full.\n"),
        recipients=failed(""),
        category="recipient_full",
    ),
    Shape(
        name="an antispam gateway",
        raw=wrapped(
            f"Your message was not delivered to:\n\n  {WHOM}\n\n"
            f"554 5.7.1 Message rejected: spam content detected\n"
        ),
        recipients=failed("5.7.1"),
        category="spam_content",
    ),
    Shape(
        name="somebody forwarded the report",
        raw=plain(
            "Fwd: Returned mail: see transcript for details",
            "\n".join(
                f"> {line}"
                for line in f"   ----- The following addresses had permanent fatal errors -----\n<{WHOM}>\n"
                f"    (reason: 550 5.1.1 User unknown)\n\n{_COPY}".splitlines()
            ),
            sender="Praxis <praxis@clinic.example>",
        ),
        recipients=failed("5.1.1"),
        category="unknown_recipient",
    ),
    Shape(
        name="two addresses, each with its reason",
        raw=plain(
            "failure notice",
            f"I wasn't able to deliver your message to the following addresses.\n\n<{WHOM}>:\n"
            f"550 5.1.1 User unknown\n\n<bert@example.org>:\n552 5.2.2 Mailbox full\n\n"
            f"--- Below this line is a copy of the message.\n\n{_COPY}",
        ),
        recipients=[*failed("5.1.1"), *failed("5.2.2", address="bert@example.org")],
        category="unknown_recipient",
    ),
]
