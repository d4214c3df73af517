"""Messages of which no report comes in the time their mailing waits for one go on by the next channel."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping
from sqlalchemy.exc import IntegrityError

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.database.connection import now as database_now
from clinic_dispatch_plugin.engine.asking import HostUnavailable, ask_host
from clinic_dispatch_plugin.engine.onward import Stuck, stuck, ways_on
from clinic_dispatch_plugin.error_reference.service import note_answer
from clinic_dispatch_plugin.host.types import Recipient
from clinic_dispatch_plugin.messages import onward_store, silence_store
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.routes import order_of, silences_of
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.reports import asking_store, inbox_store
from clinic_dispatch_plugin.reports.askable import askables
from clinic_dispatch_plugin.reports.schedule import PATIENCE_SECONDS, Turn, turn_of
from clinic_dispatch_plugin.reports.tables import Asking

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
    #: Up to which message nothing waits for its gateway: when it was sent, and its id; by mailing and channel.
    until: dict[tuple[int, str], tuple[datetime, int]] = field(default_factory=dict)
    #: Beyond that, the messages that were looked at.
    beyond: dict[tuple[int, str], set[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wait:
    """A channel of a mailing that is not waited for without end."""

    mailing: Mapping[Any, Any]
    channel: str
    #: Seconds without a report.
    seconds: float

    @property
    def place(self) -> tuple[int, str]:
        return int(self.mailing["id"]), self.channel

    def find(
        self, connection: Connection, since: tuple[datetime, int] | None
    ) -> Sequence[RowMapping]:
        return silence_store.silent(
            connection,
            *self.place,
            seconds=self.seconds,
            since=since,
            limit=PORTION,
            join=(Asking.__table__, Asking.attempt_id),
            more=(Asking.asked_at, Asking.next_at),
        )


def go_on_in_silence(dispatch: Dispatch) -> int:
    """Send on what waited long enough and may go on; before it goes out everything is looked at once more.

    A gateway that can be asked is asked first, so that nobody gets twice what arrived and was not reported.

    Call it when every report that came is done: what waits to be read is no silence.

    :returns: how many messages were looked at.
    """
    looked_at = 0
    with dispatch.database.begin() as connection:
        seen = _seen(dispatch, connection)
        waiting = silence_store.waiting_mailings(
            connection, since=seen.since, within=GOES_ON_WITHIN
        )
    windows = {each.account_id: each.window for each in askables(dispatch)} if waiting else {}
    scale = dispatch.settings.retry_scale
    for mailing in waiting:
        for channel, minutes in silences_of(mailing["channel"], mailing["fallbacks"]).items():
            wait = _Wait(mailing=mailing, channel=channel, seconds=minutes * 60.0 * scale)
            try:
                looked_at += _listen(dispatch, wait, windows, seen)
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


def _listen(dispatch: Dispatch, wait: _Wait, windows: Mapping[int, float], seen: _Seen) -> int:
    """Move what may go on, in portions; returns how many were looked at."""
    beyond = seen.beyond.setdefault(wait.place, set())
    since, one_waits, looked_at = seen.until.get(wait.place), False, 0
    while True:
        with dispatch.database.begin() as connection:
            rows = wait.find(connection, since)
            now = database_now(connection)
        if not rows:
            break
        turns = {row["id"]: _turn(dispatch, wait, row, windows, now) for row in rows}
        _want_asked(dispatch, [row for row in rows if turns[row["id"]] is Turn.WAITS], now)
        ripe = [
            row for row in rows if turns[row["id"]] is not Turn.WAITS and row["id"] not in beyond
        ]
        if ripe and not _move(dispatch, wait, ripe, turns, since):
            break  # an answer came meanwhile: it is read first
        looked_at += len(ripe)
        beyond.update(row["id"] for row in ripe)
        since = (rows[-1]["sent_at"], rows[-1]["id"])
        one_waits = one_waits or Turn.WAITS in turns.values()
        if not one_waits:
            seen.until[wait.place] = since
    if not one_waits:
        beyond.clear()
    return looked_at


def _turn(
    dispatch: Dispatch, wait: _Wait, row: RowMapping, windows: Mapping[int, float], now: datetime
) -> Turn:
    window = windows.get(row["account_id"])
    if window is None or row["report"] is not None:
        return Turn.GOES_ON
    if (now - row["opened_at"]).total_seconds() >= window:
        return Turn.GOES_ON
    return turn_of(
        over_at=row["sent_at"] + timedelta(seconds=wait.seconds),
        asked_at=row["asked_at"],
        now=now,
        patience=PATIENCE_SECONDS * dispatch.settings.retry_scale,
    )


def _want_asked(dispatch: Dispatch, rows: Sequence[RowMapping], now: datetime) -> None:
    """Have gateways asked for what waits for their answer, unless they will be anyway."""
    wanted = [row["attempt_id"] for row in rows if row["next_at"] is None or row["next_at"] > now]
    if not wanted:
        return
    try:
        dispatch.database.run(lambda connection: asking_store.want_now(connection, wanted))
    except IntegrityError:  # another process wanted the same first
        return


def _move(
    dispatch: Dispatch,
    wait: _Wait,
    rows: Sequence[RowMapping],
    turns: Mapping[int, Turn],
    since: tuple[datetime, int] | None,
) -> bool:
    """Move one portion; False: nothing was moved, because a gateway's answer waits to be read."""
    # Asked while nothing is held; who says no by now stays with the channel that has the message.
    refs = sorted({row["ref"] for row in rows if row["ref"]})
    cards = ask_host(dispatch, refs, meanwhile=lambda: None)

    def work(connection: Connection) -> bool:
        silence_store.hold_mailing(connection, wait.place[0])
        still = {row["id"] for row in wait.find(connection, since)}
        # A gateway's answer is kept before it is written down that it was asked.
        if inbox_store.answers_to_read(connection, {row["account_id"] for row in rows}):
            return False
        several = [
            one
            for row in rows
            if row["id"] in still
            and (one := _stuck(wait.mailing, wait.channel, row, cards)) is not None
        ]
        _send_on(dispatch, connection, wait, several, {row["id"]: row for row in rows}, turns)
        return True

    return dispatch.database.run(work)


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
    wait: _Wait,
    several: Sequence[Stuck],
    rows: Mapping[int, RowMapping],
    turns: Mapping[int, Turn],
) -> None:
    ways = ways_on(dispatch, connection, several) if several else {}
    if not ways:
        return
    answer_id, _ = note_answer(dispatch, connection, NO_REPORT, channel=wait.channel)
    moved = [
        one.message_id
        for one in several
        if (onward := ways.get(one.message_id)) is not None
        and onward_store.go_on_sent(
            connection,
            one.message_id,
            rows[one.message_id]["attempt_id"],
            onward,
            one.route.passing(wait.channel, answer_id),
            answer_id,
        )
    ]
    for turn in (Turn.ASKED_IN_VAIN, Turn.NOT_ASKED):
        _write_down(connection, wait, turn, [each for each in moved if turns[each] is turn])


def _write_down(
    connection: Connection, wait: _Wait, turn: Turn, message_ids: Sequence[int]
) -> None:
    """In the history of each message: what its gateway said when it was asked, or that it could not be."""
    messages.write_audit(
        connection,
        actor_ref="program",
        actor_name="",
        action=turn.value,
        mailing_id=wait.place[0],
        message_ids=message_ids,
        details={"channel": wait.channel},
    )
