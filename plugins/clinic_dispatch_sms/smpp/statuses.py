"""What a message centre's status means for us, and its name beside the number (5.1.3)."""

from __future__ import annotations

from clinic_dispatch_plugin.api import Answer

OK = 0x00
NOT_BOUND = 0x04
ALREADY_BOUND = 0x05
SYSTEM_ERROR = 0x08
UNKNOWN_COMMAND = 0x03
BIND_FAILED = 0x0D
WRONG_PASSWORD = 0x0E
WRONG_SYSTEM_ID = 0x0F
QUEUE_FULL = 0x14
WRONG_SYSTEM_TYPE = 0x53
THROTTLED = 0x58
#: Our word to a receipt that cannot be kept now: the centre brings it again.
TRY_AGAIN = 0x64
#: Our word to what we have no place for: the centre need not bring it again.
NEVER = 0x65

#: Refusals of a bind that only a person can mend; every other one may be over in a while.
NEEDS_A_PERSON = frozenset({BIND_FAILED, WRONG_PASSWORD, WRONG_SYSTEM_ID, WRONG_SYSTEM_TYPE, 0x15})

_NAMES = {
    0x01: "ESME_RINVMSGLEN",
    0x02: "ESME_RINVCMDLEN",
    0x03: "ESME_RINVCMDID",
    0x04: "ESME_RINVBNDSTS",
    0x05: "ESME_RALYBND",
    0x06: "ESME_RINVPRTFLG",
    0x07: "ESME_RINVREGDLVFLG",
    0x08: "ESME_RSYSERR",
    0x0A: "ESME_RINVSRCADR",
    0x0B: "ESME_RINVDSTADR",
    0x0C: "ESME_RINVMSGID",
    0x0D: "ESME_RBINDFAIL",
    0x0E: "ESME_RINVPASWD",
    0x0F: "ESME_RINVSYSID",
    0x11: "ESME_RCANCELFAIL",
    0x13: "ESME_RREPLACEFAIL",
    0x14: "ESME_RMSGQFUL",
    0x15: "ESME_RINVSERTYP",
    0x43: "ESME_RINVESMCLASS",
    0x45: "ESME_RSUBMITFAIL",
    0x48: "ESME_RINVSRCTON",
    0x49: "ESME_RINVSRCNPI",
    0x50: "ESME_RINVDSTTON",
    0x51: "ESME_RINVDSTNPI",
    0x53: "ESME_RINVSYSTYP",
    0x58: "ESME_RTHROTTLED",
    0x61: "ESME_RINVSCHED",
    0x62: "ESME_RINVEXPIRY",
    0x64: "ESME_RX_T_APPN",
    0x65: "ESME_RX_P_APPN",
    0x66: "ESME_RX_R_APPN",
    0x67: "ESME_RQUERYFAIL",
    0xC0: "ESME_RINVOPTPARSTREAM",
    0xC1: "ESME_ROPTPARNOTALLWD",
    0xC2: "ESME_RINVPARLEN",
    0xC3: "ESME_RMISSINGOPTPARAM",
    0xC4: "ESME_RINVOPTPARAMVAL",
    0xFE: "ESME_RDELIVERYFAILURE",
    0xFF: "ESME_RUNKNOWNERR",
    0x100: "ESME_RSERTYPUNAUTH",
    0x101: "ESME_RPROHIBITED",
    0x102: "ESME_RSERTYPUNAVAIL",
    0x103: "ESME_RSERTYPDENIED",
    0x104: "ESME_RINVDCS",
}


def answer_of(status: int, *, about: str) -> Answer:
    """The status as the error reference looks it up.

    :param about: what was refused: ``"submit_sm"``, ``"submit_sm, part 2 of 3"``.
    """
    code = f"0x{status:08X}"
    name = _NAMES.get(status, "")
    return Answer(
        system="smpp", code=code, text=f"{about}: {name} ({code})" if name else f"{about}: {code}"
    )
