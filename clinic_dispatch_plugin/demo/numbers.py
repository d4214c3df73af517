"""Who can be reached by telephone, and how: numbers nobody has, and what the gateways will do with them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Protocol

from clinic_dispatch_plugin.demo import names

VIBER, SMS, VOICE, EMAIL = "viber", "sms", "voice", "email"
SEED = 20_251_128


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class End:
    """Where a message ends."""

    channel: str
    state: str
    #: What its gateway reported: ``delivered``, ``read``, ``failed``; empty: nothing.
    report: str = ""


def _arrives(channel: str) -> End:
    return End(channel=channel, state="delivered", report="delivered")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What becomes of a message by Viber, then SMS, then a call, then e-mail."""

    #: Of those with new results.
    people: int
    end: End
    #: By channel, in the words of the simulators; a channel that is not named serves them well.
    plans: Mapping[str, str] = field(default_factory=dict)
    #: ``mobile``, ``landline``; empty: no number.
    number: str = "mobile"


#: "This number has no Viber", and Viber's report that nobody fetched it in time.
_NO_VIBER = {VIBER: "fail:7002"}
_NOT_FETCHED = {VIBER: "fail:50015"}
WAYS: Mapping[str, Way] = {
    "read": Way(
        people=8, plans={VIBER: "seen"}, end=End(channel=VIBER, state="delivered", report="read")
    ),
    # The answer is lost: uncertain, until its report comes.
    "lost": Way(people=1, plans={VIBER: "trouble:cut"}, end=_arrives(VIBER)),
    "twice": Way(people=1, plans={VIBER: "reports:twice"}, end=_arrives(VIBER)),
    "early": Way(people=1, plans={VIBER: "reports:early"}, end=_arrives(VIBER)),
    "no_viber": Way(people=7, plans=_NO_VIBER, end=_arrives(SMS)),
    "not_fetched": Way(people=2, plans=_NOT_FETCHED, end=_arrives(SMS)),
    "silent": Way(people=3, plans={VIBER: "reports:never"}, end=_arrives(SMS)),
    "no_report": Way(
        people=2,
        plans={**_NO_VIBER, SMS: "reports:never"},
        end=End(channel=SMS, state="sent"),
    ),
    "barred": Way(
        people=1,
        plans={**_NO_VIBER, SMS: "fail:255"},
        end=End(channel=SMS, state="undelivered", report="failed"),
    ),
    "phone_off": Way(people=2, plans={**_NO_VIBER, SMS: "fail:6"}, end=_arrives(VOICE)),
    "landline": Way(people=5, number="landline", end=_arrives(VOICE)),
    "confirmed": Way(people=2, number="landline", plans={VOICE: "call:key_2"}, end=_arrives(VOICE)),
    "busy": Way(
        people=2,
        number="landline",
        plans={VOICE: "call:busy"},
        end=End(channel=EMAIL, state="sent"),
    ),
    "machine": Way(
        people=1,
        number="landline",
        plans={VOICE: "call:machine"},
        end=End(channel=EMAIL, state="sent"),
    ),
    "no_number": Way(people=2, number="", end=End(channel=EMAIL, state="sent")),
}


class Reachable(Protocol):
    """A patient to be."""

    email: str
    phone: str
    way: str
    scenario: str


def give_numbers(
    people: Sequence[Reachable], tested: Sequence[Reachable], *, kept: Set[str]
) -> None:
    """A number of their own for everybody who has one; those with new results meet every way there is.

    :param tested: who gets the message about new results, of those that agreed.
    :param kept: numbers that others have.
    """
    rng = random.Random(SEED)
    mobiles, landlines = (_free(rng, each, kept) for each in (names.MOBILES, names.LANDLINES))
    rest = [person for person in tested if "@" in person.email and not person.scenario]
    for name, way in WAYS.items():
        for person in rest[: way.people]:
            person.way = name
            chosen = {"mobile": mobiles, "landline": landlines}.get(way.number)
            person.phone = next(chosen) if chosen is not None else ""
        del rest[: way.people]
    for person in tested:
        if not person.way:
            person.phone = next(mobiles)
    known = {id(person) for person in tested}
    for person in people:
        if id(person) not in known and person.phone.startswith("+"):
            number = next(mobiles, None) if rng.random() < 0.6 else None
            person.phone = number or next(landlines)


def _free(rng: random.Random, ranges: Sequence[tuple[str, int]], kept: Set[str]) -> Iterator[str]:
    numbers = [
        f"{start}{number:0{digits}}" for start, digits in ranges for number in range(10**digits)
    ]
    rng.shuffle(numbers)
    return (number for number in numbers if number not in kept)
