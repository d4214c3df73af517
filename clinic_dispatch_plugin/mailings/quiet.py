"""Quiet hours of a mailing: what is put off when its messages are written, and what its check says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.database.connection import now
from clinic_dispatch_plugin.error_reference.service import note_answer
from clinic_dispatch_plugin.mailings.drafts import Draft
from clinic_dispatch_plugin.messages.quiet import QUIET, any_hour, hours_of
from clinic_dispatch_plugin.quiet_hours import due_after, next_allowed, zone_named
from clinic_dispatch_plugin.registry import Dispatch


class Quiet:
    """Puts messages off that would be due in quiet hours, so that their lists say so at once."""

    def __init__(self, dispatch: Dispatch, row: RowMapping) -> None:
        self._dispatch = dispatch
        self._purpose, self._not_after = row["purpose"], row["not_after"]
        self._any_hour = any_hour(row["purpose"], row["selection"])

    def put_off(
        self,
        connection: Connection,
        rows: Sequence[dict[str, Any]],
        at: datetime,
        zones: Sequence[str],
    ) -> None:
        """Change when these new messages are due.

        :param zones: the zone of each recipient; empty: the clinic's.
        """
        if self._any_hour:
            return
        answer_id: int | None = None
        hours = {
            key: hours_of(self._dispatch, self._purpose, key)
            for key in {row["channel"] for row in rows}
        }
        for row, zone in zip(rows, zones, strict=True):
            if row["due_at"] is None or not hours[row["channel"]]:
                continue
            due = due_after(
                at,
                zone_named(zone, self._dispatch.settings.timezone),
                hours[row["channel"]],
                not_after=self._not_after,
            )
            if due is None:
                continue
            if answer_id is None:
                answer_id, _ = note_answer(self._dispatch, connection, QUIET)
            row["due_at"], row["answer_id"] = due, answer_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """What a draft's check says of one channel."""

    channel: str
    count: int
    #: By the clinic's clock; a patient elsewhere waits by their own.
    until: datetime
    #: The mailing's last moment comes before.
    too_late: bool


def waits(dispatch: Dispatch, draft: Draft, by_channel: Mapping[str, int]) -> list[Wait]:
    """The channels whose messages would wait for the end of quiet hours if it were sent now, or at its time.

    :param by_channel: how many messages begin with each.
    """
    with dispatch.database.begin() as connection:
        at = now(connection)
    if draft.start_at is not None:
        at = max(at, draft.start_at)
    found = []
    for channel, count in by_channel.items():
        hours = hours_of(dispatch, draft.purpose, channel, any_hour=draft.any_hour)
        until = next_allowed(at, dispatch.settings.timezone, hours)
        if until > at and count:
            late = draft.not_after is not None and draft.not_after <= until
            found.append(Wait(channel=channel, count=count, until=until, too_late=late))
    return found
