"""What a gateway does with a recipient: in words, or written into the number itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from clinic_dispatch_plugin.simulators.scenarios import read_table

Kind = TypeVar("Kind", bound=StrEnum)

#: A number that asks for something: it ends with ``00``, a kind, and five digits.
_ASKING = re.compile(r"00([1-9])(\d{5})$")
_WORDS = (
    "refuse:CODE, fail:CODE, reports:HOW, throttle:N, slow:MILLISECONDS,"
    " trouble:WHAT, untaken:WHAT, call:HOW, seen"
)


class Trouble(StrEnum):
    """What comes instead of a good answer."""

    #: The connection ends without an answer.
    CUT = "cut"
    #: Nothing comes, and the connection stays.
    SILENCE = "silence"
    #: A page for people, with status 200.
    HTML = "html"
    #: The first half of the answer, as if it were whole.
    HALF = "half"
    #: The answer in another encoding than it says.
    CHARSET = "charset"
    #: Status 500 with a page.
    ERROR = "error"
    #: The way to another address.
    REDIRECT = "redirect"
    #: Ten megabytes.
    HUGE = "huge"
    #: Status 200 and nothing else.
    EMPTY = "empty"
    #: Status 502 of something that stands before the gateway.
    BAD_GATEWAY = "bad_gateway"
    #: The connection ends in the middle of the answer.
    UNFINISHED = "unfinished"
    #: Good JSON that says something else.
    STRANGE = "strange"


class Reports(StrEnum):
    """How a message is reported on."""

    ONCE = "once"
    NEVER = "never"
    TWICE = "twice"
    #: The last step first.
    REVERSED = "reversed"
    #: Before the sender has its answer.
    EARLY = "early"
    #: A failure after the delivery.
    CONTRADICTING = "contradicting"


class CallEnd(StrEnum):
    """What becomes of a call."""

    HUMAN = "human"
    MACHINE = "machine"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    FAILED = "failed"
    #: A person who presses 1, and then listens to the end.
    KEY_1 = "key_1"
    #: A person who presses 2.
    KEY_2 = "key_2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What happens to one message."""

    #: The code it is refused with at once; empty: it is taken.
    refusal: str = ""
    #: The code that is reported later; empty: it arrives.
    failure: str = ""
    trouble: Trouble | None = None
    #: Whether a message is kept although its sender learns nothing good.
    taken: bool = True
    #: Requests that hear "too many" before one gets through.
    throttled: int = 0
    #: Seconds before the answer.
    delay: float = 0.0
    reports: Reports = Reports.ONCE
    call: CallEnd = CallEnd.HUMAN
    #: Whether a message of a messenger is opened.
    seen: bool = False


ORDINARY = Plan()


class Plans:
    """Who gets which plan: a table first, then what the number itself asks for; everybody else is served well."""

    def __init__(self, table: Mapping[str, str] | None = None) -> None:
        """Read the table.

        :param table: number to words such as ``refuse:21211``; only a number's digits count.
        :raises ValueError: there are no such words.
        """
        self._table = {digits_of(number): plan_of(words) for number, words in (table or {}).items()}
        self._throttled: Counter[str] = Counter()

    @classmethod
    def from_file(cls, path: Path) -> Plans:
        """Read the table from a JSON file: one object, number to words.

        :raises OSError: the file cannot be read.
        :raises ValueError: it is no such object.
        """
        return cls(read_table(path))

    def will(self, number: str, words: str) -> None:
        """Change what happens to a number.

        :raises ValueError: there are no such words.
        """
        self._table[digits_of(number)] = plan_of(words)

    def of(self, number: str) -> Plan:
        """What happens to a number's messages."""
        digits = digits_of(number)
        return self._table.get(digits) or asked_for(digits)

    def is_throttled(self, number: str) -> bool:
        """Whether this request for the number is one too many; counts it."""
        digits = digits_of(number)
        if self._throttled[digits] >= self.of(digits).throttled:
            return False
        self._throttled[digits] += 1
        return True


def digits_of(number: str) -> str:
    """A number's digits without a leading 00."""
    return re.sub(r"\D", "", number).removeprefix("00")


def plan_of(words: str) -> Plan:
    """The plan that words ask for: ``refuse:21211``, ``fail:30003``, ``trouble:html`` …

    :raises ValueError: there are no such words.
    """
    kind, _, what = words.partition(":")
    try:
        match kind:
            case "refuse":
                return Plan(refusal=what)
            case "fail":
                return Plan(failure=what)
            case "reports":
                return Plan(reports=Reports(what))
            case "throttle":
                return Plan(throttled=int(what))
            case "slow":
                return Plan(delay=int(what) / 1000)
            case "trouble" | "untaken":
                return Plan(trouble=Trouble(what), taken=kind == "trouble")
            case "call":
                return Plan(call=CallEnd(what))
            case "seen":
                return Plan(seen=True)
            case "" | "accept":
                return ORDINARY
    except ValueError as error:
        raise ValueError(f"{words!r}: {error}; there are: {_WORDS}") from None
    raise ValueError(f"{words!r} is nothing a gateway does; there are: {_WORDS}")


def asked_for(digits: str) -> Plan:
    """The plan a number asks for by its last eight digits: ``00``, a kind from 1 to 9, and five digits.

    Kinds: 1 refused at once with this code, 2 reported later with this code, 3 the n-th way of :class:`Reports`,
    4 throttled n times, 5 the n-th :class:`Trouble` after taking the message, 6 the same without taking it,
    7 n milliseconds late, 8 the n-th :class:`CallEnd`, 9 opened.
    """
    found = _ASKING.search(digits)
    if found is None:
        return ORDINARY
    kind, number = found[1], int(found[2])
    match kind:
        case "1":
            return Plan(refusal=str(number))
        case "2":
            return Plan(failure=str(number))
        case "3":
            return Plan(reports=_nth(Reports, number))
        case "4":
            return Plan(throttled=number)
        case "5" | "6":
            return Plan(trouble=_nth(Trouble, number), taken=kind == "5")
        case "7":
            return Plan(delay=number / 1000)
        case "8":
            return Plan(call=_nth(CallEnd, number))
        case _:
            return Plan(seen=True)


def _nth(kinds: type[Kind], number: int) -> Kind:
    several = list(kinds)
    return several[(number - 1) % len(several)]
