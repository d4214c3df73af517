"""Delivery receipts as centres really write them: by key and not by place, with or without optional parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from clinic_dispatch_plugin.api import Answer, ReportStatus
from clinic_dispatch_sms.smpp.pdu import BadPacketError, BodyReader, Command, Packet, Tlv

#: Of a receipt's text so much is read; the standard's is 130 characters.
_LONGEST = 1_000

#: message_state (5.2.28) as the word receipts use.
STATES = {
    0: "SCHEDULED",
    1: "ENROUTE",
    2: "DELIVRD",
    3: "EXPIRED",
    4: "DELETED",
    5: "UNDELIV",
    6: "ACCEPTD",
    7: "UNKNOWN",
    8: "REJECTD",
    9: "SKIPPED",
}
_MEANINGS = {
    "DELIVRD": ReportStatus.DELIVERED,
    "EXPIRED": ReportStatus.FAILED,
    "DELETED": ReportStatus.FAILED,
    "UNDELIV": ReportStatus.FAILED,
    "REJECTD": ReportStatus.FAILED,
    "SKIPPED": ReportStatus.FAILED,
}
#: Spellings met beside the seven letters of the standard, by their beginning.
_SPELLINGS = (
    ("DELIV", "DELIVRD"),
    ("DELET", "DELETED"),
    ("EXPIR", "EXPIRED"),
    ("UNDEL", "UNDELIV"),
    ("FAIL", "UNDELIV"),
    ("REJ", "REJECTD"),
    ("SKIP", "SKIPPED"),
    ("ACC", "ACCEPTD"),
    ("ENROUTE", "ENROUTE"),
    ("EN_ROUTE", "ENROUTE"),
    ("BUFF", "ENROUTE"),
    ("SCHED", "SCHEDULED"),
    ("UNKNOWN", "UNKNOWN"),
)
_KEY = re.compile(
    r"(?:^|(?<=[\s,;|]))(id|sub|dlvrd|submit[ _]?date|done[ _]?date|stat(?:us)?|err(?:or)?|text)\s?[:=]\s{0,3}",
    re.IGNORECASE,
)
_TEXT = re.compile(r"(?:^|(?<=[\s,;|]))text\s?[:=]", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a centre says about one part of one message."""

    #: The centre's id; empty where it names none.
    message_id: str
    #: One of :data:`STATES`.
    state: str
    #: The provider's own code, ``"000"`` and nothing left out.
    error: str = ""
    #: Kind of network and code, ``(3, 34)``; None: not said.
    network_error: tuple[int, int] | None = None
    #: The number the message went to, digits only.
    address: str = field(default="", repr=False)
    #: What we gave as user_message_reference; None: not said.
    reference: int | None = None
    #: The optional parameters as they came.
    tlvs: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    #: The receipt's words without the message's own beginning, which may name a patient.
    said: str = field(default="", repr=False)
    submitted: str = ""
    done: str = ""

    @property
    def status(self) -> ReportStatus:
        """What it means for the message; a state that is not final, and UNKNOWN, leave it open."""
        return _MEANINGS.get(self.state, ReportStatus.UNDER_WAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A text or a note from the network that is no receipt; nobody here reads it."""


def read_delivery(packet: Packet) -> Receipt | Incoming:
    """Understand a deliver_sm or data_sm.

    :raises BadPacketError: it cannot be read.
    """
    body = BodyReader(packet.body)
    body.text()  # service_type
    _, _, source = body.number(), body.number(), body.text()
    _, _, _ = body.number(), body.number(), body.text()
    esm_class = body.number()
    text = b""
    if packet.command == Command.DELIVER_SM:
        body.octets(2)
        body.text()
        body.text()
        body.octets(2)
        coding, _, length = body.number(), body.number(), body.number()
        text = body.octets(length)
    elif packet.command == Command.DATA_SM:
        body.number()
        coding = body.number()
    else:
        raise BadPacketError("no delivery")
    tlvs = body.tlvs()
    return understood(
        _decoded(tlvs.get(Tlv.MESSAGE_PAYLOAD, b"") or text, coding),
        tlvs,
        esm_class=esm_class,
        address=source,
    )


def understood(
    text: str, tlvs: Mapping[int, bytes], *, esm_class: int, address: str
) -> Receipt | Incoming:
    """What these words say, the optional parameters first (5.3.2.12, 5.3.2.35)."""
    text = text[:_LONGEST]
    said = _said(text)
    number = _number(tlvs, Tlv.MESSAGE_STATE, 1)
    state = STATES.get(-1 if number is None else number) or _state(said.get("stat", ""))
    kind = esm_class & 0x3C
    # Some centres forget the mark; what reads like a receipt is one.
    if kind not in (0x04, 0x20) and not (kind == 0 and state and "id" in said):
        return Incoming()
    identity = tlvs.get(Tlv.RECEIPTED_MESSAGE_ID, b"").rstrip(b"\0").decode("latin-1").strip()
    return Receipt(
        message_id=(identity or said.get("id", ""))[:65],
        state=state or "UNKNOWN",
        error=said.get("err", "")[:16],
        network_error=_network_error(tlvs),
        address="".join(filter(str.isdigit, address)),
        reference=_number(tlvs, Tlv.USER_MESSAGE_REFERENCE, 2),
        tlvs=tlvs,
        said=_TEXT.split(text)[0].strip() if said else "",
        submitted=said.get("submitdate", "")[:20],
        done=said.get("donedate", "")[:20],
    )


def answer_of(receipt: Receipt, *, errors: str) -> Answer | None:
    """What the error reference looks up; None: there is nothing to explain.

    :param errors: whose list the provider's codes follow: ``"common"`` (the list several aggregators share),
        ``"map"`` (3GPP TS 29.002), or ``"own"``, which only the clinic can describe.
    """
    if receipt.status is ReportStatus.DELIVERED:
        return None
    text = receipt.said or f"stat:{receipt.state}"
    if receipt.network_error is not None:
        kind, code = receipt.network_error
        text = f"{text} network_error_code:{kind}/{code}"
    if receipt.status is ReportStatus.FAILED:
        error = _error_code(receipt, errors)
        if error:
            return Answer(system="smpp_err", code=error, text=text)
    return Answer(system="smpp_delivery", code=receipt.state, text=text)


def _error_code(receipt: Receipt, errors: str) -> str:
    number = receipt.error.lstrip("0")
    if errors == "map":
        if receipt.network_error is not None:
            return f"map:{receipt.network_error[1]}"
        return f"map:{number}" if number.isdecimal() else ""
    if errors == "common" and number:
        return number.rjust(3, "0") if number.isdecimal() else receipt.error
    return ""


def _said(text: str) -> dict[str, str]:
    """The keys and what stands behind each; the first of a kind counts."""
    found: dict[str, str] = {}
    pieces = _KEY.split(text)
    for key, value in zip(pieces[1::2], pieces[2::2], strict=True):
        name = re.sub("[ _]", "", key.lower())
        name = {"status": "stat", "error": "err"}.get(name, name)
        if name == "text":
            break
        found.setdefault(name, value.strip().strip(",;|").strip())
    return found


def _state(word: str) -> str:
    word = word.upper()
    return next((state for begin, state in _SPELLINGS if word.startswith(begin)), "")


def _number(tlvs: Mapping[int, bytes], tag: int, octets: int) -> int | None:
    value = tlvs.get(tag)
    return int.from_bytes(value, "big") if value is not None and len(value) == octets else None


def _network_error(tlvs: Mapping[int, bytes]) -> tuple[int, int] | None:
    value = tlvs.get(Tlv.NETWORK_ERROR_CODE, b"")
    return (value[0], int.from_bytes(value[1:], "big")) if len(value) == 3 else None


def _decoded(text: bytes, coding: int) -> str:
    if coding == 8:
        return text.decode("utf-16-be", "replace")
    return text.decode("latin-1")
