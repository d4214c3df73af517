"""What the relay does with a recipient: the scenarios, their words, and who gets which."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

#: Waiting pairs beyond this number push out the oldest: strangers must not eat the memory.
GREYLIST_PAIRS = 200_000


class Scenario(StrEnum):
    """What can happen to a recipient; the value is also the tag that asks for it (``a+tag@…``)."""

    ACCEPTED = "accepted"
    #: Nobody has this address.
    UNKNOWN = "unknown"
    #: The mailbox is full, for good as far as this relay is concerned.
    FULL = "full"
    #: The mailbox is full, but may be emptied.
    FULL_TEMPORARY = "full_temporary"
    DISABLED = "disabled"
    MOVED = "moved"
    #: Refused until the same sender tries the same recipient again, later.
    GREYLIST = "greylist"
    SPAM = "spam"
    TOOBIG = "toobig"
    #: An answer that no list of SMTP answers knows.
    STRANGE = "strange"
    #: The whole message is read, then the connection ends without an answer.
    LOST = "lost"
    #: The connection ends while the message is still on its way.
    LOST_BEFORE_DOT = "lost_before_dot"
    #: The relay says that it goes away, and goes (RFC 5321 3.8).
    CLOSE_421 = "close_421"


class Ending(StrEnum):
    """How the connection goes on after the recipient's moment has come."""

    STAYS = "stays"
    #: Closed right after the refusal.
    CLOSES_AFTER_REPLY = "closes_after_reply"
    #: Closed when the first bytes of the content are there.
    CLOSES_IN_DATA = "closes_in_data"
    #: Closed after the final dot, without an answer.
    CLOSES_AFTER_DOT = "closes_after_dot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What happens to one recipient of one transaction.

    ``at_rcpt`` and ``after_data`` are whole replies without line end (``550 5.1.1 …``); None: 250.
    """

    scenario: str = Scenario.ACCEPTED
    at_rcpt: str | None = None
    #: Counts for the whole message, for DATA has one answer (RFC 5321 4.1.1.4): the first
    #: recipient with such a reply decides.
    after_data: str | None = None
    ending: Ending = Ending.STAYS


class Behaviour(Protocol):
    """Decides about recipients; called on the relay's thread, so it must not wait for anything."""

    def verdict(self, *, sender: str, recipient: str, now: float) -> Verdict:
        """What happens to this recipient now.

        :param sender: the envelope's sender, ``""`` for the null sender.
        :param now: seconds of a clock that never goes back.
        """
        ...


ACCEPTED = Verdict()


def verdict_of(scenario: Scenario, *, recipient: str) -> Verdict:
    """The replies of a scenario, worded as relays in use word them.

    ``GREYLIST`` gives the first refusal; remembering the pair is the behaviour's part.
    """
    shown = f"<{recipient}>"
    match scenario:
        case Scenario.ACCEPTED:
            return ACCEPTED
        case Scenario.UNKNOWN:
            refusal = f"550 5.1.1 {shown}: Recipient address rejected"
            reply = f"{refusal}: User unknown in virtual mailbox table"
        case Scenario.FULL:
            reply = f"552 5.2.2 {shown}: Mailbox is over quota"
        case Scenario.FULL_TEMPORARY:
            reply = f"452 4.2.2 {shown}: Mailbox is over quota"
        case Scenario.DISABLED:
            reply = f"550 5.2.1 {shown}: Recipient address rejected: The account is disabled"
        case Scenario.MOVED:
            reply = f"551 5.1.6 {shown}: User not local; please try <{_new_address(recipient)}>"
        case Scenario.GREYLIST:
            reply = (
                f"450 4.2.0 {shown}: Recipient address rejected: Greylisted, please try again later"
            )
        case Scenario.STRANGE:
            reply = "554 5.9.87 Frobnication 7Q"
        case Scenario.CLOSE_421:
            reply = "421 4.3.2 Service shutting down"
            return Verdict(scenario=scenario, at_rcpt=reply, ending=Ending.CLOSES_AFTER_REPLY)
        case Scenario.SPAM:
            reply = "550 5.7.1 Message rejected as spam by content filter"
            return Verdict(scenario=scenario, after_data=reply)
        case Scenario.TOOBIG:
            return Verdict(
                scenario=scenario, after_data="552 5.3.4 Message size exceeds fixed limit"
            )
        case Scenario.LOST:
            return Verdict(scenario=scenario, ending=Ending.CLOSES_AFTER_DOT)
        case Scenario.LOST_BEFORE_DOT:
            return Verdict(scenario=scenario, ending=Ending.CLOSES_IN_DATA)
    return Verdict(scenario=scenario, at_rcpt=reply)


class ScriptedBehaviour:
    """A table of addresses first, then the tag in the local part (``anna+full@example.org``)."""

    def __init__(
        self,
        table: Mapping[str, str] | None = None,
        *,
        greylist_seconds: float = 1.0,
        read_tags: bool = True,
    ) -> None:
        """Read the table.

        :param table: address to scenario name; upper and lower case do not differ.
        :param greylist_seconds: a pair that was refused is taken when this much time has passed.
        :param read_tags: whether tags count; without them whoever is not in the table is accepted.
        :raises ValueError: the table names a scenario that does not exist.
        """
        self._table = {address.lower(): _scenario(name) for address, name in (table or {}).items()}
        self._greylist_seconds = greylist_seconds
        self._read_tags = read_tags
        self._first_seen: dict[tuple[str, str], float] = {}

    @classmethod
    def from_file(cls, path: Path, *, greylist_seconds: float = 1.0) -> ScriptedBehaviour:
        """Read the table from a JSON file: one object, address to scenario name.

        :raises OSError: the file cannot be read.
        :raises ValueError: it is no such object.
        """
        table = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(table, dict) or not all(isinstance(name, str) for name in table.values()):
            raise ValueError(f"{path} must hold one JSON object of address to scenario name")
        return cls(table, greylist_seconds=greylist_seconds)

    def verdict(self, *, sender: str, recipient: str, now: float) -> Verdict:
        """What the table or the tag says; everybody else is accepted."""
        scenario = self._table.get(recipient.lower())
        if scenario is None:
            scenario = _tagged(recipient) if self._read_tags else Scenario.ACCEPTED
        if scenario is Scenario.ACCEPTED:
            return ACCEPTED
        if scenario is Scenario.GREYLIST and self._waited(
            sender=sender, recipient=recipient, now=now
        ):
            return Verdict(scenario=scenario)
        return verdict_of(scenario, recipient=recipient)

    def _waited(self, *, sender: str, recipient: str, now: float) -> bool:
        pair = (sender.lower(), recipient.lower())
        first = self._first_seen.setdefault(pair, now)
        if len(self._first_seen) > GREYLIST_PAIRS:
            del self._first_seen[next(iter(self._first_seen))]
        # The first call has just set the pair; it is no return, not even with 0 seconds.
        return now > first and now - first >= self._greylist_seconds


_BY_TAG = {scenario.value: scenario for scenario in Scenario}


def _scenario(name: str) -> Scenario:
    try:
        return Scenario(name)
    except ValueError:
        raise ValueError(f"{name!r} is no scenario; there are: {', '.join(Scenario)}") from None


def _tagged(recipient: str) -> Scenario:
    local = recipient.rpartition("@")[0] or recipient
    if "+" not in local:
        return Scenario.ACCEPTED
    for tag in local.strip('"').lower().split("+")[1:]:
        if tag in _BY_TAG:
            return _BY_TAG[tag]
    return Scenario.ACCEPTED


def _new_address(recipient: str) -> str:
    local, _, domain = recipient.rpartition("@")
    return f"{(local or recipient).partition('+')[0]}@new.{domain or 'example.org'}"
