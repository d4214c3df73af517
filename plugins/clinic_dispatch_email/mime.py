"""Messages and envelopes as bytes, ready for the wire: the frame is made once a shape, each message fills it in."""

from __future__ import annotations

import secrets
from typing import NamedTuple

from clinic_dispatch_email import headers
from clinic_dispatch_email.addresses import is_sendable
from clinic_dispatch_email.bodies import Body, attachment_part, encode_body
from clinic_dispatch_email.capabilities import ServerOffers
from clinic_dispatch_email.settings import EmailSettings
from clinic_dispatch_plugin.api import Answer, Content, OutgoingMessage

#: What ends the text; the CRLF before the dot is the last line's own (RFC 5321 4.1.1.4).
FINAL_DOT = b".\r\n"


class Mail(NamedTuple):
    """One message for one server."""

    mail_command: bytes
    rcpt_command: bytes
    #: The text with doubled dots and the final dot.
    data: bytes


class CannotSendError(Exception):
    """This message cannot go to this server."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.system} {answer.code}")
        self.answer = answer


class _Shape(NamedTuple):
    """What decides about a message's frame."""

    text: bytes
    html: bytes
    attachments: bool


class Composer:
    """Turns messages into bytes; one per sender."""

    def __init__(self, settings: EmailSettings) -> None:
        local, _, domain = settings.from_address.rpartition("@")
        self._local = local.encode("ascii")
        self._domain = domain.encode("ascii")
        self._settings = settings
        self._from = headers.mailbox(settings.from_name, settings.from_address)
        self._return_path = settings.from_address.encode("ascii")
        # "=_" stands in no text that is base64 or quoted-printable (RFC 2045 6.7).
        self._boundary = b"=_" + secrets.token_hex(12).encode("ascii")
        self._date = headers.DateField()
        self._frames: dict[_Shape, bytes] = {}

    def compose(self, message: OutgoingMessage, offers: ServerOffers) -> Mail:
        """Make one message.

        :raises CannotSendError: its address is broken, or this server cannot take it.
        """
        if not is_sendable(message.address):
            raise _no("dispatch", "malformed_address", "the address cannot stand in an envelope")
        utf8 = not message.address.isascii()
        if utf8 and not offers.smtputf8:
            words = "5.6.7 This mail server takes no addresses outside ASCII (no SMTPUTF8)"
            raise _no("smtp", "5.6.7", words)
        parts = _bodies(message.content, eight_bit=offers.eight_bit)
        data = self._fill(message, parts)
        if offers.size_limit and len(data) > offers.size_limit:
            words = f"5.3.4 The message has {len(data)} bytes, this mail server takes {offers.size_limit}"
            raise _no("smtp", "5.3.4", words)
        eight_bit = utf8 or any(body.encoding == b"8bit" for body in parts if body)
        return Mail(
            mail_command=self._mail_command(
                message, offers, size=len(data), eight_bit=eight_bit, utf8=utf8
            ),
            rcpt_command=self._rcpt_command(message, offers),
            data=data.replace(b"\r\n.", b"\r\n..") + FINAL_DOT,
        )

    def _fill(self, message: OutgoingMessage, parts: tuple[Body | None, Body | None]) -> bytes:
        text, html = parts
        files = message.content.attachments
        shape = _Shape(text.encoding if text else b"", html.encoding if html else b"", bool(files))
        frame = self._frames.get(shape)
        if frame is None:
            frame = self._frames[shape] = self._frame(shape)
        values: list[bytes] = [
            headers.mailbox(message.name, message.address),
            headers.subject(message.content.subject),
            self._date.now(),
            message.message_key.encode("ascii"),
            headers.unsubscribe(message.unsubscribe_url),
        ]
        values += [body.data for body in parts if body]
        if files:
            between = b"\r\n--%b-files\r\n" % self._boundary
            values.append(between.join(map(attachment_part, files)))
        return frame % tuple(values)

    def _frame(self, shape: _Shape) -> bytes:
        """The message with ``%b`` where a value goes: To, Subject, Date, key, unsubscribe fields, texts, files."""
        # Whatever holds a part of 8 bits must say so itself (RFC 2045 6.4).
        eight_bit = b"Content-Transfer-Encoding: 8bit\r\n" if b"8bit" in shape else b""
        if shape.text and shape.html:
            inner = eight_bit + self._alternative(shape)
        else:
            inner = _text_part(shape.text or shape.html, b"plain" if shape.text else b"html")
        if shape.attachments:
            outer = self._boundary + b"-files"
            inner = eight_bit + (
                b'Content-Type: multipart/mixed; boundary="%b"\r\n\r\n' % outer
                + b"--%b\r\n%b\r\n--%b\r\n" % (outer, inner, outer)
                + b"%%b\r\n--%b--\r\n" % outer
            )
        own = b"From: %b\r\n" % self._from.replace(b"%", b"%%")
        domain = self._domain
        return (
            own
            + b"To: %b\r\nSubject: %b\r\nDate: %b\r\n"
            + b"Message-ID: <%%b@%b>\r\n" % domain
            + b"MIME-Version: 1.0\r\nAuto-Submitted: auto-generated\r\n%b"
            + inner
        )

    def _alternative(self, shape: _Shape) -> bytes:
        edge = self._boundary
        return (
            b'Content-Type: multipart/alternative; boundary="%b"\r\n\r\n' % edge
            + b"--%b\r\n%b\r\n" % (edge, _text_part(shape.text, b"plain"))
            + b"--%b\r\n%b\r\n" % (edge, _text_part(shape.html, b"html"))
            + b"--%b--\r\n" % edge
        )

    def _mail_command(
        self,
        message: OutgoingMessage,
        offers: ServerOffers,
        *,
        size: int,
        eight_bit: bool,
        utf8: bool,
    ) -> bytes:
        sender = self._return_path
        if self._settings.verp:
            # The message's key, not the attempt's: a new sender would begin the wait of a greylist anew.
            key = message.message_key.encode("ascii")
            sender = b"%b+%b@%b" % (self._local, key, self._settings.verp.encode("ascii"))
        command = b"MAIL FROM:<%b>" % sender
        if offers.size:
            command += b" SIZE=%d" % size
        if eight_bit and offers.eight_bit:
            command += b" BODY=8BITMIME"
        if utf8:
            command += b" SMTPUTF8"
        if offers.dsn and self._settings.dsn:
            command += b" RET=HDRS ENVID=" + message.attempt_key.encode("ascii")
        return command + b"\r\n"

    def _rcpt_command(self, message: OutgoingMessage, offers: ServerOffers) -> bytes:
        notify = b" NOTIFY=FAILURE" if offers.dsn and self._settings.dsn else b""
        return b"RCPT TO:<%b>%b\r\n" % (message.address.encode("utf-8"), notify)


def _bodies(content: Content, *, eight_bit: bool) -> tuple[Body | None, Body | None]:
    """Text and HTML; the text is there even when empty, unless there is HTML alone."""
    html = encode_body(content.html, eight_bit=eight_bit) if content.html else None
    if html is not None and not content.text:
        return None, html
    return encode_body(content.text, eight_bit=eight_bit), html


def _text_part(encoding: bytes, subtype: bytes) -> bytes:
    return b"Content-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: %b\r\n\r\n%%b" % (
        subtype,
        encoding,
    )


def _no(system: str, code: str, text: str) -> CannotSendError:
    return CannotSendError(Answer(system=system, code=code, text=text))
