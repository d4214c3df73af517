"""What happens to a call, chosen by the number that is called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from clinic_dispatch_plugin.simulators.scenarios import digits_of, read_table


class Way(StrEnum):
    """Special ways of an exchange; the value is the name a table uses."""

    #: It rings, a person answers, says a word and listens to the end.
    ORDINARY = "ordinary"
    #: Nothing is ever said, not even 100.
    SILENT = "silent"
    #: It rings, and nobody answers.
    RINGS = "rings"
    #: The person presses 1, and listens to the end.
    KEY_1 = "key_1"
    #: The person presses 2.
    KEY_2 = "key_2"
    #: The same, told by SIP INFO and not in the sound.
    KEY_2_INFO = "key_2_info"
    #: The person hangs up at once.
    HANGS_UP = "hangs_up"
    #: A machine with a long greeting.
    MACHINE = "machine"
    #: It rings; then the connection ends, or over UDP nothing is heard any more.
    CUT = "cut"
    #: What is no SIP.
    RUBBISH = "rubbish"
    #: The person answers late.
    SLOW = "slow"
    #: The first good password is said to be too old (stale nonce).
    STALE = "stale"
    #: It rings, and who takes the call back is not heard.
    DEAF = "deaf"
    #: An announcement comes before the answer (183), and then the refusal 404.
    ANNOUNCED = "announced"
    #: It is answered, and takes none of the sounds.
    NO_SOUND = "no_sound"
    #: The far end moves its sound in the middle (INVITE within the call).
    MOVES = "moves"


_WAYS = tuple(Way)
#: A number that asks for something: it ends with ``00``, a kind, and five digits.
_ASKING = re.compile(r"00([123])(\d{5})$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What happens to one call."""

    way: Way = Way.ORDINARY
    #: The reply it is refused with; 0: it is not.
    status: int = 0
    #: The network's own cause beside the reply (Q.850); 0: none.
    cause: int = 0


class Behaviour(Protocol):
    """Decides about calls; asked on the exchange's thread, so it must not wait for anything."""

    def plan(self, number: str) -> Plan:
        """What happens to a call to this number."""
        ...


ORDINARY = Plan()


class ByNumber:
    """A table first, then the number's last eight digits: ``00``, a kind, and five digits.

    Kind 1 is refused with this reply (00100486: busy). Kind 2 is refused with 503 and this Q.850 cause (00200017). Kind
    3 goes the way of this place in :class:`Way`.
    """

    def __init__(self, table: Mapping[str, Plan] | None = None) -> None:
        """Use this table; only digits count."""
        self.table = {digits_of(number): plan for number, plan in (table or {}).items()}

    @classmethod
    def from_file(cls, path: Path) -> ByNumber:
        """Read the table from a JSON file: number to ``"key_2"``, ``"status 486"`` or ``"cause 17"``.

        :raises OSError: the file cannot be read.
        :raises ValueError: it is no such object.
        """
        table = read_table(path, "what happens")
        return cls({number: plan_of(words) for number, words in table.items()})

    def will(self, number: str, plan: Plan) -> None:
        """Change what happens to a number."""
        self.table[digits_of(number)] = plan

    def plan(self, number: str) -> Plan:
        """What the table or the digits say; everybody else answers and listens."""
        digits = digits_of(number)
        if digits in self.table:
            return self.table[digits]
        found = _ASKING.search(digits)
        if found is None:
            return ORDINARY
        kind, value = found[1], int(found[2])
        if kind == "1" and 300 <= value <= 699:
            return Plan(status=value)
        if kind == "2" and 1 <= value <= 127:
            return Plan(status=503, cause=value)
        return Plan(way=_WAYS[value]) if kind == "3" and value < len(_WAYS) else ORDINARY


def plan_of(words: str) -> Plan:
    """Understand one line of a table.

    :raises ValueError: it says nothing that can happen.
    """
    kind, *rest = words.split()
    if kind == "status" and len(rest) == 1:
        return Plan(status=int(rest[0]))
    if kind == "cause" and len(rest) == 1:
        return Plan(status=503, cause=int(rest[0]))
    if words in set(Way):
        return Plan(way=Way(words))
    raise ValueError(
        f"{words!r} cannot happen; write one of {', '.join(Way)}, or such as"
        ' "status 486" or "cause 17"'
    )


def number_for(plan: Plan, *, prefix: str = "+49151") -> str:
    """A number that asks for this plan."""
    if plan.cause:
        return f"{prefix}002{plan.cause:05d}"
    if plan.status:
        return f"{prefix}001{plan.status:05d}"
    return f"{prefix}003{_WAYS.index(plan.way):05d}"
