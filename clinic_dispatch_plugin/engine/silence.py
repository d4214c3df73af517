"""Messages of which no report comes in the time their mailing waits for one go on by the next channel."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.engine.asking import HostUnavailable, ask_host
from clinic_dispatch_plugin.engine.onward import Stuck, stuck, ways_on
from clinic_dispatch_plugin.error_reference.service import note_answer
from clinic_dispatch_plugin.host.types import Recipient
from clinic_dispatch_plugin.messages import onward_store, silence_store
from clinic_dispatch_plugin.messages.routes import order_of, silences_of
from clinic_dispatch_plugin.registry import Dispatch

NO_REPORT = Answer(system="dispatch", code="no_report")
#: Seconds since a mailing was started in which its messages go on: a reminder of last week helps nobody.
GOES_ON_WITHIN = 2 * 86_400.0
#: Messages moved in one transaction.
PORTION = 200
_CACHE = "silence"
#: Seconds after which everything is looked at once more: a block may have ended, an account been added.
_ANEW_SECONDS = 600.0


@dataclass(slots=True)
class _Seen:
    """How far this process has looked, so that messages without a way on are not looked at in every round."""

    begun: float
    #: No older mailing has messages that wait.
    since: int
    #: When the last message looked at was sent, and its id, by mailing and channel.
    until: dict[tuple[int, str], tuple[datetime, int]] = field(default_factory=dict)


def go_on_in_silence(dispatch: Dispatch) -> int:
    """Send on what waited long enough and may go on; before it goes out everything is looked at once more.

    Call it when every report that came is done: what waits to be read is no silence.

    :returns: how many messages were looked at.
    """
    looked_at = 0
    with dispatch.database.begin() as connection:
        seen = _seen(dispatch, connection)
        waiting = silence_store.waiting_mailings(
            connection, since=seen.since, within=GOES_ON_WITHIN
        )
    for mailing in waiting:
        for channel, minutes in silences_of(mailing["channel"], mailing["fallbacks"]).items():
            try:
                while number := _portion(dispatch, mailing, channel, minutes, seen):
                    looked_at += number
            except HostUnavailable:  # asked again in the next round
                return looked_at
    return looked_at


def _seen(dispatch: Dispatch, connection: Connection) -> _Seen:
    known: _Seen | None = dispatch.cache.get(_CACHE)
    if known is None or time.monotonic() - known.begun > _ANEW_SECONDS:
        oldest = silence_store.oldest_mailing(connection, within=GOES_ON_WITHIN)
        known = _Seen(begun=time.monotonic(), since=oldest or 0)
        dispatch.cache[_CACHE] = known
    return known


def _portion(
    dispatch: Dispatch, mailing: Mapping[Any, Any], channel: str, minutes: int, seen: _Seen
) -> int:
    """Move one portion; returns how many were looked at."""
    place = (int(mailing["id"]), channel)
    seconds = minutes * 60.0 * dispatch.settings.retry_scale
    since = seen.until.get(place)

    def find(connection: Connection) -> Sequence[RowMapping]:
        return silence_store.silent(connection, *place, seconds=seconds, since=since, limit=PORTION)

    with dispatch.database.begin() as connection:
        rows = find(connection)
    if not rows:
        return 0
    # Asked while nothing is held; who says no by now stays with the channel that has the message.
    refs = sorted({row["ref"] for row in rows if row["ref"]})
    cards = ask_host(dispatch, refs, meanwhile=lambda: None)

    def work(connection: Connection) -> None:
        silence_store.hold_mailing(connection, place[0])
        still = {row["id"] for row in find(connection)}
        several = [
            one
            for row in rows
            if row["id"] in still and (one := _stuck(mailing, channel, row, cards)) is not None
        ]
        _send_on(dispatch, connection, channel, several, {row["id"]: row for row in rows})

    dispatch.database.run(work)
    seen.until[place] = (rows[-1]["sent_at"], rows[-1]["id"])
    return len(rows)


def _stuck(
    mailing: Mapping[Any, Any], channel: str, row: RowMapping, cards: Mapping[str, Recipient]
) -> Stuck | None:
    """The message as its patient's card is now; None: there is none any more, or nobody is to be written to."""
    order = order_of(mailing["channel"], mailing["fallbacks"])
    one = stuck({**row}, order=order, purpose=mailing["purpose"], channel=channel)
    if not row["ref"]:
        return replace(one, consent={})
    card = cards.get(row["ref"])
    if card is None or not card.active:
        return None
    if mailing["source"] == "file":
        return replace(one, consent=card.consent)
    addresses = {key: value or "" for key, value in card.addresses.items()}
    return replace(one, consent=card.consent, addresses=addresses)


def _send_on(
    dispatch: Dispatch,
    connection: Connection,
    channel: str,
    several: Sequence[Stuck],
    rows: Mapping[int, RowMapping],
) -> None:
    ways = ways_on(dispatch, connection, several) if several else {}
    if not ways:
        return
    answer_id, _ = note_answer(dispatch, connection, NO_REPORT, channel=channel)
    for one in several:
        if (onward := ways.get(one.message_id)) is not None:
            onward_store.go_on_sent(
                connection,
                one.message_id,
                rows[one.message_id]["attempt_id"],
                onward,
                one.route.passing(channel, answer_id),
                answer_id,
            )
