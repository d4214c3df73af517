"""Endless people, each used once, and what the gateways do with them: everything follows from the number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TypeVar

from clinic_dispatch_plugin.host.types import Recipient
from clinic_dispatch_plugin.simulators.gateways.plans import Plan as HttpPlan
from clinic_dispatch_plugin.simulators.gateways.plans import Plans, Reports, Trouble
from clinic_dispatch_plugin.simulators.smpp import Plan as SmppPlan
from clinic_dispatch_plugin.simulators.smpp import Way

Fate = TypeVar("Fate")

#: Share of each fate; who draws none is served well.
EMAIL: Mapping[str, float] = {
    "unknown": 0.012,
    "full": 0.006,
    "strange": 0.004,
    "spam": 0.002,
    "greylist": 0.008,
    "lost": 0.008,
    "lost_before_dot": 0.004,
    "close_421": 0.002,
}
SMPP: Mapping[SmppPlan, float] = {
    SmppPlan(status=0x0B): 0.008,
    SmppPlan(state=5, error="034"): 0.010,
    SmppPlan(way=Way.SILENT): 0.003,
    SmppPlan(way=Way.LOST_ANSWER): 0.004,
    SmppPlan(way=Way.CUT_AFTER): 0.002,
    SmppPlan(way=Way.CUT_BEFORE): 0.002,
    SmppPlan(way=Way.NOISE): 0.001,
    SmppPlan(way=Way.THROTTLED): 0.004,
    SmppPlan(way=Way.TWICE): 0.040,
    SmppPlan(way=Way.DISORDERED): 0.040,
    SmppPlan(way=Way.EARLY): 0.040,
    SmppPlan(way=Way.NO_RECEIPT): 0.010,
}
SMSC: Mapping[HttpPlan, float] = {
    HttpPlan(refusal="1008"): 0.010,
    HttpPlan(failure="1"): 0.010,
    HttpPlan(throttled=1): 0.004,
    HttpPlan(trouble=Trouble.CUT): 0.001,
    HttpPlan(trouble=Trouble.SILENCE): 0.0005,
    HttpPlan(trouble=Trouble.ERROR): 0.001,
    HttpPlan(trouble=Trouble.HALF): 0.0005,
    HttpPlan(trouble=Trouble.CUT, taken=False): 0.001,
    HttpPlan(reports=Reports.TWICE): 0.040,
    HttpPlan(reports=Reports.REVERSED): 0.040,
    HttpPlan(reports=Reports.EARLY): 0.001,
    HttpPlan(reports=Reports.CONTRADICTING): 0.020,
    HttpPlan(reports=Reports.NEVER): 0.010,
}
#: What leaves whoever has it, or was under way beside them, in doubt.
_DOUBTFUL_WAYS = {
    Way.SILENT,
    Way.LOST_ANSWER,
    Way.CUT_AFTER,
    Way.CUT_BEFORE,
    Way.NOISE,
}


def person(number: int) -> Recipient:
    """The person of a number."""
    return Recipient(
        ref=f"r{number}",
        name=f"P{number}",
        locale="de",
        addresses={"email": mail_address(number), "sms": phone(number), "viber": phone(number)},
        values={"name": f"P{number}"},
    )


def people(start: int, end: int) -> Iterator[Recipient]:
    """Some of them."""
    return (person(number) for number in range(start, end))


def phone(number: int) -> str:
    """A mobile number nobody else has."""
    return f"+49151{number:08d}"


def mail_address(number: int) -> str:
    """An address nobody else has; its tag tells the relay what to do."""
    fate = mail_fate(number)
    return f"p{number}+{fate}@patient.example" if fate else f"p{number}@patient.example"


def number_of(address: str) -> int:
    """Whose address this is."""
    if "@" in address:
        return int(address[1:].partition("@")[0].partition("+")[0])
    return int("".join(filter(str.isdigit, address))[-8:])


def mail_fate(number: int) -> str:
    """What the relay does; empty: it takes the mail."""
    return _drawn("email", number, EMAIL) or ""


def smpp_plan(number: int) -> SmppPlan:
    """What the message centre does."""
    return _drawn("smpp", number, SMPP) or SmppPlan()


def smsc_plan(number: int) -> HttpPlan:
    """What the HTTP gateway does."""
    return _drawn("smsc", number, SMSC) or HttpPlan()


def brings_doubt(channel: str, number: int) -> bool:
    """Whether the gateway leaves a message to this person without an answer."""
    if channel == "email":
        # A short mail is gone in one piece, before the relay could cut it off.
        return mail_fate(number) in ("lost", "lost_before_dot")
    if channel == "sms":
        return smpp_plan(number).way in _DOUBTFUL_WAYS
    plan = smsc_plan(number)
    # An early report is made before the answer, which waits for the pages with it.
    return plan.trouble is not None or not plan.taken or plan.reports is Reports.EARLY


class ByPerson:
    """The message centre's behaviour."""

    def plan(self, destination: str) -> SmppPlan:
        """What happens to a text to this number."""
        return smpp_plan(number_of(destination))


class PlansByPerson(Plans):
    """The HTTP gateway's plans."""

    def of(self, number: str) -> HttpPlan:
        """What happens to a number's messages."""
        return smsc_plan(number_of(number))


def _drawn(salt: str, number: int, shares: Mapping[Fate, float]) -> Fate | None:
    told = hashlib.blake2s(f"{salt}:{number}".encode(), digest_size=4).digest()
    point = int.from_bytes(told, "big") / 2**32
    for fate, share in shares.items():
        point -= share
        if point < 0:
            return fate
    return None
