"""Undelivered or skipped messages sent again, with what the patients' cards say now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import moves_store, onward_store, store
from clinic_dispatch_plugin.messages.afresh import Fresh, fresh_facts
from clinic_dispatch_plugin.messages.blocks import blocked_by_hand
from clinic_dispatch_plugin.messages.fingerprints import fingerprint
from clinic_dispatch_plugin.messages.repeats import goes_there_already
from clinic_dispatch_plugin.messages.restart import from_the_first, places_of
from clinic_dispatch_plugin.messages.routes import Onward, Route
from clinic_dispatch_plugin.messages.selection import Chosen, batches
from clinic_dispatch_plugin.messages.service import (
    RESENDABLE,
    Outcome,
    Refusal,
    audit,
    movable,
    queue_again,
    unblock_addresses,
)
from clinic_dispatch_plugin.registry import Dispatch

#: A message as it would go out.
Row = Mapping[Any, Any]


def resend(
    dispatch: Dispatch, actor: Actor, chosen: Chosen, *, asked_again: bool = False
) -> Outcome:
    """Send undelivered or skipped messages again; a finished mailing runs again, what failed stays on the attempts.

    A message of several channels begins with the first one again: whatever was put right, on the card or at the
    service, gets its chance, and what still does not work there goes on as before.

    An address that was mended on the patient's card is used. A block made by the program is lifted, as a person
    ordered it; what a colleague blocked stays blocked until somebody lifts it. What the recipient asked for
    themselves stays, and consent is asked of the host once more before anything goes out.

    :param asked_again: a person says that these recipients want again what they had unsubscribed from. The host's
        word alone does not do: nobody knows whether the card's *yes* is older than the unsubscribing.
    """
    outcome = Outcome()
    for ids in batches(dispatch, actor, chosen, RESENDABLE):
        facts = from_the_first(dispatch, ids, fresh_facts(dispatch, ids))

        def work(
            connection: Connection, ids: list[int] = ids, facts: Mapping[int, Fresh] = facts
        ) -> Outcome:
            return _resend(dispatch, connection, actor, ids, facts, asked_again=asked_again)

        outcome.add(dispatch.database.run(work))
    if outcome.done:
        dispatch.doorbell.ring()
    return outcome


def _resend(
    dispatch: Dispatch,
    connection: Connection,
    actor: Actor,
    ids: Sequence[int],
    facts: Mapping[int, Fresh],
    *,
    asked_again: bool,
) -> Outcome:
    rows, outcome = movable(dispatch, connection, ids, RESENDABLE, facts)
    as_now = [_with(row, facts.get(row["id"], Fresh())) for row in rows]
    unsubscribed = _unsubscribed(dispatch, connection, as_now)
    by_hand = blocked_by_hand(dispatch, connection, as_now)
    going: list[Row] = []
    for row in as_now:
        if row["id"] in unsubscribed and not asked_again:
            outcome.refused[Refusal.UNSUBSCRIBED] += 1
        elif row["id"] in by_hand:
            outcome.refused[Refusal.BLOCKED] += 1
        elif _moved(facts, row) and goes_there_already(dispatch, connection, row, going):
            outcome.refused[Refusal.DUPLICATE] += 1
        else:
            going.append(row)
    _take_over(dispatch, connection, going, facts)
    unblock_addresses(
        dispatch, connection, [place for row in going for place in places_of(dispatch, row)]
    )
    _subscribe_again(
        dispatch, connection, actor, [row for row in going if row["id"] in unsubscribed]
    )
    gone = {row["id"] for row in going}
    return queue_again(
        dispatch,
        connection,
        actor,
        [row for row in rows if row["id"] in gone],
        outcome,
        action="resend",
        states=RESENDABLE,
    )


def _with(row: Row, fresh: Fresh) -> Row:
    address = row["address"] if fresh.address is None else fresh.address
    channel = fresh.channel or row["channel"]
    return {
        **row,
        "channel": channel,
        "address": address,
        "data": row["data"] if fresh.data is None else fresh.data,
    }


def _moved(facts: Mapping[int, Fresh], row: Row) -> bool:
    return facts.get(row["id"], Fresh()).address is not None


def _take_over(
    dispatch: Dispatch, connection: Connection, rows: Iterable[Row], facts: Mapping[int, Fresh]
) -> None:
    for row in rows:
        fresh = facts.get(row["id"], Fresh())
        if fresh.data is not None:
            moves_store.set_data(connection, row["id"], fresh.data)
        if fresh.channel is not None and fresh.address is not None:
            way = accounts.way(dispatch, connection, fresh.channel, row["purpose"])
            assert way is not None
            start = Onward(
                channel=fresh.channel,
                account_id=way.row_id,
                address=fresh.address,
            )
            route = Route.read(row["route"]).anew({fresh.channel: fresh.address})
            onward_store.start_over(connection, row["id"], start, route)
        elif fresh.address is not None:
            moves_store.set_address(connection, row["id"], fresh.address)


def _unsubscribed(dispatch: Dispatch, connection: Connection, rows: Iterable[Row]) -> set[int]:
    """Messages whose recipients said "no more of these"."""
    kinds: dict[tuple[str, str], dict[int, str]] = {}
    for row in rows:
        digest = fingerprint(dispatch, row["channel"], row["address"])
        kinds.setdefault((row["channel"], row["purpose"]), {})[row["id"]] = digest
    found: set[int] = set()
    for (channel, purpose), digests in kinds.items():
        said = store.unsubscribed(connection, channel, digests.values(), purpose)
        found |= {message_id for message_id, digest in digests.items() if digest in said}
    return found


def _subscribe_again(
    dispatch: Dispatch, connection: Connection, actor: Actor, rows: Iterable[Row]
) -> None:
    """A person says that the recipient asked for it; who said so stays in the trail."""
    for row in rows:
        digest = fingerprint(dispatch, row["channel"], row["address"])
        store.subscribe_again(connection, row["channel"], digest, row["purpose"])
        details = {"channel": row["channel"], "purpose": row["purpose"], "digest": digest}
        audit(connection, actor, "subscribe_again", [row], details)
