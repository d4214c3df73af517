"""Texts as lines a mail server takes: CRLF ends, at most 998 octets, no controls, as few bytes changed as it goes."""

from __future__ import annotations

import binascii
from email.message import EmailMessage
from email.policy import SMTP
from functools import lru_cache
from typing import NamedTuple

from clinic_dispatch_email.headers import cleaned
from clinic_dispatch_plugin.api import Attachment

#: Octets of a line without its CRLF (RFC 5321 4.5.3.1.6).
LONGEST_LINE = 998
_CONTROLS = bytes(set(range(32)) - set(b"\t\r\n")) + b"\x7f"
_BASE64_LINE = 76


class Body(NamedTuple):
    """A text's transfer encoding and its bytes, ended by CRLF."""

    encoding: bytes
    data: bytes


def encode_body(text: str, *, eight_bit: bool) -> Body:
    """Encode a text: as it is where the way allows it, else the shorter of quoted-printable and base64.

    :param eight_bit: whether the server takes UTF-8 as it is (8BITMIME, RFC 6152).
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    data = text.encode("utf-8", "replace").replace(b"\n", b"\r\n")
    if not data.endswith(b"\r\n"):
        data += b"\r\n"
    plain = text.isascii()
    if (plain or eight_bit) and _fits(data):
        return Body(b"7bit" if plain else b"8bit", data)
    changed = len(data) - len(text)  # octets beyond ASCII, roughly: what quoted-printable triples
    if changed > len(data) // 6:
        return Body(b"base64", _base64(data))
    return Body(b"quoted-printable", binascii.b2a_qp(data, istext=True))


def _fits(data: bytes) -> bool:
    if len(data.translate(None, _CONTROLS)) != len(data):
        return False
    return len(data) <= LONGEST_LINE or max(map(len, data.split(b"\r\n"))) <= LONGEST_LINE


def _base64(data: bytes) -> bytes:
    packed = binascii.b2a_base64(data, newline=False)
    lines = [packed[at : at + _BASE64_LINE] for at in range(0, len(packed), _BASE64_LINE)]
    return b"\r\n".join(lines) + b"\r\n"


@lru_cache(maxsize=16)
def attachment_part(attachment: Attachment) -> bytes:
    """The whole part of a file, headers included; kept, for one file mostly goes to many people."""
    main, _, sub = attachment.media_type.partition("/")
    if not (main + sub).isascii() or not sub or main in {"message", "multipart"}:
        main, sub = "application", "octet-stream"  # those two may not be base64 (RFC 2046 5)
    filename = cleaned(attachment.filename).replace("/", "_").replace("\\", "_") or "file"
    part = EmailMessage(policy=SMTP)
    part.set_content(attachment.data, maintype=main, subtype=sub, cte="base64", filename=filename)
    del part["MIME-Version"]  # stands once, in the message's own header
    return part.as_bytes()
