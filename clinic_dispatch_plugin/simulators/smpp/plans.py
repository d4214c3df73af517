"""What happens to a text, chosen by the number it goes to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from clinic_dispatch_plugin.simulators.scenarios import digits_of, read_table


class Way(StrEnum):
    """Special ways of a centre; the value is the name a table uses."""

    #: Taken, delivered, one receipt.
    ORDINARY = "ordinary"
    #: Taken, and nothing is ever said about it: neither an answer nor a receipt.
    SILENT = "silent"
    #: Taken, no answer; the receipt comes all the same.
    LOST_ANSWER = "lost_answer"
    #: Taken, then the link ends instead of the answer; the receipt comes on the next link.
    CUT_AFTER = "cut_after"
    #: The link ends before the text is taken.
    CUT_BEFORE = "cut_before"
    #: Every receipt comes twice.
    TWICE = "twice"
    #: The final receipt comes before the passing one.
    DISORDERED = "disordered"
    #: The receipt comes before the answer.
    EARLY = "early"
    #: An answer nobody can read, in a good frame.
    RUBBISH = "rubbish"
    #: Bytes that are no packet.
    NOISE = "noise"
    #: generic_nack instead of an answer.
    NACK = "nack"
    #: "Too fast" for the first tries.
    THROTTLED = "throttled"
    SLOW = "slow"
    #: Taken, no receipt.
    NO_RECEIPT = "no_receipt"
    #: The answer names the id in hexadecimal, the receipt in decimal with zeros before it.
    HEX_ID = "hex_id"
    #: A receipt whose words stand elsewhere and are spelt otherwise.
    ODD_WORDS = "odd_words"
    #: A receipt without words, by optional parameters alone.
    TLV_ONLY = "tlv_only"
    #: A receipt without optional parameters, as many centres send it.
    WORDS_ONLY = "words_only"
    #: The answer names no id.
    NO_ID = "no_id"


#: Numbers choose a way by its place here: 003 00001 is the one after the first.
_WAYS = tuple(Way)
STATES = (
    "SCHEDULED", "ENROUTE", "DELIVRD", "EXPIRED", "DELETED",
    "UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD", "SKIPPED",
)  # fmt: skip
DELIVERED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What happens to one text."""

    way: Way = Way.ORDINARY
    #: The command status of the answer; not 0: refused.
    status: int = 0
    #: The state of the receipt, see ``STATES``.
    state: int = DELIVERED
    #: The provider's own code in the receipt.
    error: str = "000"


class Behaviour(Protocol):
    """Decides about texts; called on the centre's thread, so it must not wait for anything."""

    def plan(self, destination: str) -> Plan:
        """What happens to a text to this number (digits, perhaps with a plus)."""
        ...


ORDINARY = Plan()
#: A number that asks for something: it ends with ``00``, a kind, and five digits.
_ASKING = re.compile(r"00([123])(\d{5})$")


class ByNumber:
    """A table first, then the number's last eight digits: ``00``, a kind, and five digits.

    Kind 1 is refused with this command status in decimal (00100011 is 0x0B, 00101041 is 0x411). Kind 2 is taken, and
    its receipt has the first digit as state and the last three as err (00230034: EXPIRED, 034). Kind 3 goes the way
    of this place in :class:`Way`.
    """

    def __init__(self, table: Mapping[str, Plan] | None = None) -> None:
        """Use this table; plus signs do not matter."""
        self._table = {digits_of(number): plan for number, plan in (table or {}).items()}

    @classmethod
    def from_file(cls, path: Path) -> ByNumber:
        """Read the table from a JSON file: number to ``"cut_after"``, ``"status 0x0B"`` or ``"receipt EXPIRED 034"``.

        :raises OSError: the file cannot be read.
        :raises ValueError: it is no such object.
        """
        table = read_table(path, "what happens")
        return cls({number: plan_of(words) for number, words in table.items()})

    def plan(self, destination: str) -> Plan:
        """What the table or the digits say; every other text is delivered."""
        digits = digits_of(destination)
        if digits in self._table:
            return self._table[digits]
        found = _ASKING.search(digits)
        if found is None:
            return ORDINARY
        kind, rest = found.groups()
        if kind == "1":
            return Plan(status=int(rest))
        if kind == "2":
            return Plan(state=int(rest[0]), error=rest[2:])
        place = int(rest)
        return Plan(way=_WAYS[place]) if place < len(_WAYS) else ORDINARY


def plan_of(words: str) -> Plan:
    """Understand one line of a table.

    :raises ValueError: it says nothing that can happen.
    """
    kind, *rest = words.split()
    if kind == "status" and len(rest) == 1:
        return Plan(status=int(rest[0], 0))
    if kind == "receipt" and rest and rest[0] in STATES:
        return Plan(state=STATES.index(rest[0]), error=rest[1] if len(rest) > 1 else "000")
    if words in set(Way):
        return Plan(way=Way(words))
    raise ValueError(
        f"{words!r} cannot happen; write one of {', '.join(Way)}, or such as"
        ' "status 0x0B" or "receipt EXPIRED 034"'
    )


def number_for(plan: Plan, *, prefix: str = "+49151") -> str:
    """A number that asks for this plan."""
    if plan.status:
        return f"{prefix}001{plan.status:05d}"
    if plan.way is not Way.ORDINARY:
        return f"{prefix}003{_WAYS.index(plan.way):05d}"
    return f"{prefix}002{plan.state}{plan.error:0>4}"
