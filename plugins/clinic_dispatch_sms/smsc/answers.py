"""What SMSC says, understood: JSON of its own or none of its words at all, errors of the account, amounts."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from clinic_dispatch_plugin.api import (
    AccountError,
    Answer,
    ChannelError,
    ConnectionFailed,
    HttpReply,
    Money,
    unusable,
)

SEND = "smsc_send"
QUERY = "smsc_status_query"
#: Login, and money: the whole account is at fault.
_OF_THE_ACCOUNT = {2, 3}
#: Seconds to keep still: shut out for a while, and asked too often.
_KEEP_STILL = {4: 600.0, 9: 60.0}


def read(reply: HttpReply) -> Any:
    """The JSON of an answer.

    :raises HttpFailure: these are not the gateway's words.
    """
    if not reply.ok:
        raise unusable(reply)
    try:
        said = reply.json(exact=True)
    except ValueError:
        raise unusable(reply) from None
    if not isinstance(said, dict | list):
        raise unusable(reply)
    return said


def error_of(said: Any, system: str) -> Answer | None:
    """The error in an answer; None: there is none."""
    if not isinstance(said, Mapping) or "error_code" not in said:
        return None
    code = whole(said["error_code"])
    text = str(said.get("error") or "")[:2000]
    return Answer(system=system, code="*" if code is None else str(code), text=text)


def of_the_account(answer: Answer) -> ChannelError | None:
    """The error that concerns more than the request; None: only the request is at fault."""
    code = whole(answer.code)
    if answer.system == QUERY and code == 3:  # here it means that there is no such message
        return None
    if code in _OF_THE_ACCOUNT:
        return AccountError(answer)
    if code in _KEEP_STILL:
        return ConnectionFailed(answer, retry_after=_KEEP_STILL[code])
    return None


def whole(value: Any) -> int | None:
    """A whole number, also as text; None: it is none."""
    if isinstance(value, bool):
        return None
    try:
        return int(value) if isinstance(value, int) else int(str(value)[:12])
    except ValueError:
        return None


def money(value: Any, currency: str) -> Money | None:
    """An amount; None where it or its currency is missing."""
    try:
        amount = Decimal(str(value)[:30].replace(",", "."))
    except InvalidOperation:
        return None
    return Money(amount=amount, currency=currency) if currency and amount.is_finite() else None
