"""What the exchange's last word on a call means to us."""

from __future__ import annotations

import re

from clinic_dispatch_plugin.api import AccountError, Answer
from clinic_dispatch_voice.exchange.outcome import NotTakenError
from clinic_dispatch_voice.sip.message import Message

SIP, NETWORK = "sip", "q850"
_CAUSE = re.compile(r"\bq\.850\s*;.*?cause\s*=\s*(\d{1,3})", re.IGNORECASE)
#: The account is at fault: its name and password, its money.
_OF_THE_ACCOUNT = (401, 402, 407)


def refusal(final: Message, *, rang: float | None = None) -> NotTakenError:
    """What to raise for a call that nobody took.

    :param rang: seconds after which we took it back ourselves; None: we did not.
    :raises AccountError: the account is at fault, and no other call would fare better.
    """
    answer = answer_of(final)
    if final.status in _OF_THE_ACCOUNT:
        raise AccountError(answer)
    if rang is not None and final.status == 487:
        answer = Answer(system=SIP, code="487", text=f"nobody answered within {rang:g} s")
    found = re.match(r"\s*(\d{1,6})", final.get("retry-after"))
    return NotTakenError(answer, retry_after=float(found[1]) if found else None)


def answer_of(final: Message) -> Answer:
    """The network's own cause where it is told (RFC 6432), for it is closer to the truth; else the reply."""
    said = f"{final.status} {final.reason}".strip()
    found = next(filter(None, map(_CAUSE.search, final.all("reason"))), None)
    if found is not None and found[1] not in ("0", "16"):
        return Answer(system=NETWORK, code=str(int(found[1])), text=f"SIP {said}")
    return Answer(system=SIP, code=str(final.status), text=said)


def end_in(bye: Message) -> str:
    """Why the far end hung up, where it says so (RFC 3326)."""
    return bye.get("reason")[:200]
