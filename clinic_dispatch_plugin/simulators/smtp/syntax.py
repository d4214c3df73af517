"""The grammar of SMTP's arguments: paths, ESMTP parameters, xtext (RFC 5321 4.1.2, RFC 3461 4)."""

from __future__ import annotations

import re

from clinic_dispatch_plugin.simulators.smtp.replies import RefusedError

_ATOM = r"[^\x00-\x20\x7f\"(),.:;<>@\[\\\]]+"
_LABEL = (
    r"[0-9A-Za-z\u0080-\U0010ffff](?:[0-9A-Za-z_\u0080-\U0010ffff-]*[0-9A-Za-z\u0080-\U0010ffff])?"
)
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Za-z.:-]+\])"
_LOCAL = rf"(?:{_ATOM}(?:\.{_ATOM})*|\"(?:[^\x00-\x1f\x7f\"\\]|\\[\x20-\x7e])*\")"
#: A source route in front is read and forgotten (RFC 5321 appendix C).
_PATH = re.compile(
    rf"<(?:@{_DOMAIN}(?:,@{_DOMAIN})*:)?({_LOCAL})@({_DOMAIN})>(?: +(.*))?", re.DOTALL
)
_NULL_PATH = re.compile(r"<>(?: +(.*))?", re.DOTALL)
_POSTMASTER = re.compile(r"<(postmaster)>(?: +(.*))?", re.DOTALL | re.IGNORECASE)
_PARAMETER = re.compile(r"([0-9A-Za-z][0-9A-Za-z-]*)(?:=([^\x00-\x20=\x7f]+))?")
#: RFC 4954 5 allows ``<>`` and xtext.
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEX = re.compile(r"\+([0-9A-F]{2})")
GREETED_NAME = re.compile(rf"{_DOMAIN}")
LONGEST_ENVID = 100
LONGEST_ORCPT = 500


def sender_path(text: str) -> tuple[str, str]:
    """The sender (``""``: the null sender) and the rest of the line, from behind ``MAIL FROM:``.

    :raises RefusedError: no path stands there.
    """
    if null := _NULL_PATH.fullmatch(text):
        return "", null[1] or ""
    if found := _PATH.fullmatch(text):
        return _checked(found, bad="501 5.1.7"), found[3] or ""
    if text.startswith("<"):
        raise RefusedError("501 5.1.7 Bad sender address syntax")
    raise RefusedError("501 5.5.4 Syntax: MAIL FROM:<address>")


def recipient_path(text: str) -> tuple[str, str]:
    """The recipient and the rest of the line, from what follows ``RCPT TO:``.

    :raises RefusedError: no path stands there.
    """
    if found := _PATH.fullmatch(text):
        return _checked(found, bad="501 5.1.3"), found[3] or ""
    if postmaster := _POSTMASTER.fullmatch(text):
        return postmaster[1], postmaster[2] or ""
    if text.startswith("<"):
        raise RefusedError("501 5.1.3 Bad recipient address syntax")
    raise RefusedError("501 5.5.4 Syntax: RCPT TO:<address>")


def _checked(found: re.Match[str], *, bad: str) -> str:
    # Octets, not characters (RFC 5321 4.5.3.1.1 to 4.5.3.1.3).
    if len(found[1].encode()) > 64:
        raise RefusedError(f"{bad} Local part of the address is longer than 64 octets")
    if len(found[2].encode()) > 255 or len(found[1].encode()) + len(found[2].encode()) > 253:
        raise RefusedError(f"{bad} Address is longer than 254 octets")
    return f"{found[1]}@{found[2]}"


def parameters(text: str) -> dict[str, str | None]:
    """ESMTP parameters by keyword in upper case; None where a keyword stands alone.

    :raises RefusedError: one is malformed or comes twice.
    """
    found: dict[str, str | None] = {}
    for word in text.split(" "):
        if not word:
            continue
        one = _PARAMETER.fullmatch(word)
        if one is None:
            raise RefusedError("501 5.5.4 Error: malformed parameter")
        keyword = one[1].upper()
        if keyword in found:
            raise RefusedError(f"501 5.5.4 Error: {keyword[:40]} given twice")
        found[keyword] = one[2]
    return found


def size_value(value: str | None) -> int:
    """The octets of ``SIZE=`` (RFC 1870 3: up to twenty digits)."""
    if value is None or not value.isascii() or not value.isdigit() or len(value) > 20:
        raise RefusedError("501 5.5.4 Bad value of SIZE")
    return int(value)


def xtext(value: str | None, *, keyword: str) -> str:
    """Decode xtext (RFC 3461 4)."""
    if value is None or not _XTEXT.fullmatch(value):
        raise RefusedError(f"501 5.5.4 Bad value of {keyword}: not xtext")
    return _HEX.sub(lambda code: chr(int(code[1], 16)), value)


def envelope_id(value: str | None) -> str:
    """The decoded ENVID (RFC 3461 4.4: at most 100 characters, encoded)."""
    if value is not None and len(value) > LONGEST_ENVID:
        raise RefusedError(f"501 5.5.4 ENVID is longer than {LONGEST_ENVID} characters")
    decoded = xtext(value, keyword="ENVID")
    if not all(" " <= char <= "~" for char in decoded):
        raise RefusedError("501 5.5.4 Bad value of ENVID: only printable ASCII is allowed")
    return decoded


def notify_value(value: str | None) -> None:
    """Check ``NOTIFY=`` (RFC 3461 4.1): NEVER alone, else a list."""
    wishes = (value or "").upper().split(",")
    if wishes == ["NEVER"]:
        return
    if len(set(wishes)) != len(wishes) or not set(wishes) <= {"SUCCESS", "FAILURE", "DELAY"}:
        raise RefusedError("501 5.5.4 Bad value of NOTIFY")


def original_recipient(value: str | None, *, smtputf8: bool) -> None:
    """Check ``ORCPT=type;address`` (RFC 3461 4.2; RFC 6533 3 for the type ``utf-8``)."""
    kind, semicolon, address = (value or "").partition(";")
    if not semicolon or not kind or not address or len(value or "") > LONGEST_ORCPT:
        raise RefusedError("501 5.5.4 Bad value of ORCPT")
    if kind.lower() == "utf-8":
        if not smtputf8 and not address.isascii():
            raise RefusedError("501 5.5.4 Bad value of ORCPT: raw UTF-8 needs SMTPUTF8")
        return
    xtext(address, keyword="ORCPT")


def return_value(value: str | None) -> None:
    """Check ``RET=`` (RFC 3461 4.3)."""
    if (value or "").upper() not in {"FULL", "HDRS"}:
        raise RefusedError("501 5.5.4 Bad value of RET")
