"""Addresses we do not write to: which, why and until when; a person blocks one, lifts a block, changes its end.

A block belongs to an address. Whoever gets another address has none; the old address keeps its block, for it is as
wrong for the next patient who has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.errors import InvalidAddress
from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.database.connection import now as database_now
from clinic_dispatch_plugin.error_reference.answers import Explained, answers_of_cause, explained
from clinic_dispatch_plugin.error_reference.service import note_answer
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import blocked_store as store
from clinic_dispatch_plugin.messages import blocks_store
from clinic_dispatch_plugin.messages.access import Sight
from clinic_dispatch_plugin.messages.fingerprints import fingerprint
from clinic_dispatch_plugin.messages.lists import Line, lines
from clinic_dispatch_plugin.messages.rules import masked
from clinic_dispatch_plugin.registry import Dispatch

#: Our own code for what a person blocked.
BY_HAND = "blocked_by_hand"
LIMIT = 50
LONGEST_REASON = 200
#: Messages looked at to find those a block kept back, and shown of them.
LOOKED_AT = 20_000
MOST_KEPT_BACK = 200


class BlockedAlready(ValueError):
    """The address is blocked: ``block_id`` names the block, whose end can be changed."""

    def __init__(self, block_id: int) -> None:
        super().__init__(str(block_id))
        self.block_id = block_id


class TooEarly(ValueError):
    """A block cannot end before now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """One block as a person sees it."""

    id: int
    channel: str
    #: Masked; empty where nobody kept it.
    address: str
    #: Empty: for everything; else the one purpose the recipient wants no messages of.
    purpose: str
    since: datetime
    #: None: until the address is changed or somebody lifts it.
    until: datetime | None
    answer: Explained | None
    #: Who blocked it by hand, and their words.
    by: str = ""
    why: str = ""
    #: It has not ended.
    holds: bool = True

    @property
    def by_hand(self) -> bool:
        """Whether a person blocked it."""
        return is_by_hand(self.answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of blocks; ``after`` leads to the next one, None at the end."""

    blocks: Sequence[Blocked]
    after: int | None = None


def is_by_hand(answer: Explained | None) -> bool:
    """Whether this is the reason of what a person blocked."""
    return answer is not None and answer.is_ours(BY_HAND)


def list_blocks(
    dispatch: Dispatch,
    *,
    channel: str = "",
    cause: str = "",
    digests: Sequence[str] | None = None,
    before: int | None = None,
    limit: int = LIMIT,
) -> Page:
    """Blocks that hold, the newest first.

    :param cause: the reason, as :func:`answers_of_cause` names causes.
    :param digests: only of these addresses.
    """
    with dispatch.database.begin() as connection:
        answers = answers_of_cause(dispatch, connection, cause) if cause else None
        rows = store.page(
            connection,
            channel=channel,
            answer_ids=answers,
            digests=digests,
            before=before,
            limit=limit + 1,
        )
        shown = rows[:limit]
        blocks = _blocked(dispatch, connection, shown)
    return Page(blocks=blocks, after=shown[-1]["id"] if len(rows) > limit else None)


def every_block(dispatch: Dispatch) -> Iterable[Blocked]:
    """All that hold, for commands; no transaction is open while the caller has one in hand."""
    before: int | None = None
    while True:
        page = list_blocks(dispatch, before=before, limit=500)
        yield from page.blocks
        if page.after is None:
            return
        before = page.after


def one_block(dispatch: Dispatch, block_id: int) -> tuple[Blocked, Sequence[RowMapping]]:
    """One block, and what people did to it.

    :raises LookupError: there is none of this id.
    """
    with dispatch.database.begin() as connection:
        row = store.one(connection, block_id)
        if row is None:
            raise LookupError(block_id)
        [block] = _blocked(dispatch, connection, [row])
        deeds = [deed for deed in store.trail(connection) if _names(deed, block_id)]
    return block, deeds


def reasons(dispatch: Dispatch) -> list[Explained]:
    """One answer for each reason because of which an address is blocked."""
    with dispatch.database.begin() as connection:
        found = explained(dispatch, connection, store.reasons(connection))
    return list({answer.token: answer for answer in found.values()}.values())


def digests_of(dispatch: Dispatch, value: str, *, channel: str = "") -> list[str]:
    """Fingerprints of an address as each channel writes it; empty: no channel knows such an address."""
    found = []
    for key, each in dispatch.channels.items():
        if channel in ("", key):
            try:
                address = each.normalise_address(value.strip(), region=dispatch.settings.region)
            except InvalidAddress:
                continue
            if address:
                found.append(fingerprint(dispatch, key, address))
    return found


def block_address(
    dispatch: Dispatch,
    actor: Actor,
    *,
    channel: str,
    address: str,
    why: str,
    until: datetime | None = None,
) -> int:
    """A person says that nothing is to be sent to an address; returns the block's id.

    :param address: in its one form.
    :raises BlockedAlready: it is blocked.
    :raises TooEarly: ``until`` has passed.
    """
    digest = fingerprint(dispatch, channel, address)

    def work(connection: Connection) -> int:
        answer = Answer(system="dispatch", code=BY_HAND)
        answer_id, _ = note_answer(dispatch, connection, answer, channel=channel)
        there = store.of_addresses(connection, channel, [digest])
        if there:
            raise BlockedAlready(there[0]["id"])
        _check_end(connection, until)
        blocks_store.block(
            connection, channel=channel, digest=digest, answer_id=answer_id, shown=masked(address)
        )
        block_id = int(store.of_addresses(connection, channel, [digest])[0]["id"])
        if until is not None:
            store.set_end(connection, block_id, until)
        _write_down(connection, actor, "block_address", block_id, why=why, until=_iso(until))
        return block_id

    return dispatch.database.run(work)


def change_end(dispatch: Dispatch, actor: Actor, block_id: int, until: datetime | None) -> None:
    """A block ends then; None: when somebody changes the address or lifts it.

    :raises LookupError: it does not hold any more.
    :raises TooEarly: that moment has passed.
    """

    def work(connection: Connection) -> None:
        found = store.held(connection, [block_id])
        if not found:
            raise LookupError(block_id)
        _check_end(connection, until)
        store.set_end(connection, block_id, until)
        before = _iso(found[0]["until"])
        _write_down(connection, actor, "change_block", block_id, before=before, until=_iso(until))

    dispatch.database.run(work)


def lift(
    dispatch: Dispatch, actor: Actor, ids: Sequence[int], *, asked_again: bool = False
) -> list[int]:
    """A person lifts these blocks; returns those that were lifted.

    :param asked_again: they say that the recipients want again what they had unsubscribed from; without that,
        such a block stays.
    """

    def work(connection: Connection) -> list[int]:
        found = store.held(connection, ids)
        rows = [row for row in found if asked_again or not row["scope"]]
        store.end(connection, [row["id"] for row in rows])
        for row in rows:
            details = {"channel": row["channel"], "address": row["shown"]}
            if row["scope"]:
                details["asked_again"] = row["scope"]
            _write_down(connection, actor, "lift_block", row["id"], **details)
        return [row["id"] for row in rows]

    return dispatch.database.run(work)


def kept_back(dispatch: Dispatch, actor: Actor, ids: Sequence[int]) -> list[Line]:
    """The messages that did not go out because of these blocks and can be sent again, the newest first."""
    with dispatch.database.begin() as connection:
        blocks = store.several(connection, ids)
        reasons = [
            found
            for cause in ("dispatch:blocked", "dispatch:not_agreed")
            for found in answers_of_cause(dispatch, connection, cause)
        ]
        rows = store.kept_back(
            connection,
            channels={block["channel"] for block in blocks},
            answer_ids=reasons,
            limit=LOOKED_AT,
        )
    meant = {(block["address_digest"], block["scope"]) for block in blocks}
    rows = [row for row in rows if _meant(dispatch, row, meant)]
    seen = Sight(dispatch, actor).of(rows, lambda row: str(row["ref"]))
    with dispatch.database.begin() as connection:
        found = lines(dispatch, connection, seen[:MOST_KEPT_BACK])
    return [line for line in found if line.can_be_resent]


def _meant(dispatch: Dispatch, row: Mapping[Any, Any], meant: set[tuple[str, str]]) -> bool:
    digest = fingerprint(dispatch, row["channel"], row["address"])
    return (digest, "") in meant or (digest, row["purpose"]) in meant


def block_of(
    dispatch: Dispatch, connection: Connection, channel: str, address: str
) -> Blocked | None:
    """The block that holds for an address, whatever is sent; None: it has none."""
    rows = store.of_addresses(connection, channel, [fingerprint(dispatch, channel, address)])
    return next(iter(_blocked(dispatch, connection, rows)), None)


def blocked_by_hand(
    dispatch: Dispatch, connection: Connection, rows: Iterable[Mapping[Any, Any]]
) -> set[int]:
    """Messages to addresses that a person blocked: sending again does not lift what a colleague ordered."""
    by_channel: dict[str, dict[int, str]] = {}
    for row in rows:
        digest = fingerprint(dispatch, row["channel"], row["address"])
        by_channel.setdefault(row["channel"], {})[row["id"]] = digest
    found: set[int] = set()
    for channel, digests in by_channel.items():
        blocks = store.of_addresses(connection, channel, set(digests.values()))
        answers = explained(dispatch, connection, (block["answer_id"] for block in blocks))
        ours = {
            block["address_digest"]
            for block in blocks
            if is_by_hand(answers.get(block["answer_id"] or 0))
        }
        found |= {message_id for message_id, digest in digests.items() if digest in ours}
    return found


def _blocked(
    dispatch: Dispatch, connection: Connection, rows: Sequence[RowMapping]
) -> list[Blocked]:
    answers = explained(dispatch, connection, (row["answer_id"] for row in rows))
    by_hand = any(is_by_hand(answer) for answer in answers.values())
    deeds = store.trail(connection) if by_hand else ()
    said = {deed["details"]["block"]: deed for deed in deeds if deed["action"] == "block_address"}
    return [_one(row, answers.get(row["answer_id"] or 0), said.get(row["id"])) for row in rows]


def _one(row: RowMapping, answer: Explained | None, deed: RowMapping | None) -> Blocked:
    told = deed if is_by_hand(answer) else None
    return Blocked(
        id=row["id"],
        channel=row["channel"],
        address=row["shown"],
        purpose=row["scope"],
        since=row["created_at"],
        until=row["until"],
        answer=answer,
        by=(told["actor_name"] or told["actor_ref"]) if told else "",
        why=str(told["details"].get("why", "")) if told else "",
        holds=bool(row.get("holds", True)),
    )


def _names(deed: RowMapping, block_id: int) -> bool:
    return bool((deed["details"] or {}).get("block") == block_id)


def _check_end(connection: Connection, until: datetime | None) -> None:
    if until is not None and until <= database_now(connection):
        raise TooEarly


def _iso(value: datetime | None) -> str:
    return value.isoformat() if value is not None else ""


def _write_down(
    connection: Connection, actor: Actor, action: str, block_id: int, **details: str
) -> None:
    blocks_store.write_audit(
        connection,
        actor_ref=actor.ref,
        actor_name=actor.name,
        action=action,
        details={"block": block_id, **details},
    )
