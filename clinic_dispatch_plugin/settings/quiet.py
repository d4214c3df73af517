"""Quiet hours as the settings page keeps them: read again every few seconds by every process that sends."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time as day_time
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from clinic_dispatch_plugin.config import PREFIX
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages.blocks_store import write_audit
from clinic_dispatch_plugin.quiet_hours import Hours, QuietHours
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.settings import store
from clinic_dispatch_plugin.settings.service import Changed

log = logging.getLogger(__name__)

NAME = "quiet_hours"
#: The variable that wins over the page.
VARIABLE = f"{PREFIX}QUIET_HOURS"
#: The keeper's place among the caches of an application.
KEEPER = "settings.quiet_hours"
#: Seconds after which a change made elsewhere is known here.
FRESH_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What somebody decided, when and who."""

    hours: QuietHours
    version: str = ""
    by: str = ""
    at: Any = None


class Keeper:
    """What this process knows of the page's quiet hours."""

    def __init__(self, dispatch: Dispatch) -> None:
        """Know nothing yet."""
        self._dispatch = dispatch
        self._known: QuietHours | None = None
        self._read_at: float | None = None
        self._lock = threading.Lock()

    def hours(self) -> QuietHours | None:
        """Those of the page; None: there are none, or the configuration has some of its own."""
        if self._read_at is None:
            self.look()
        return self._known

    def look(self) -> None:
        """Read again what may have changed; called before each transaction, and quick when it is not yet time."""
        read_at = self._read_at
        fresh = read_at is not None and time.monotonic() - read_at < FRESH_SECONDS
        if fresh or configured(self._dispatch) or not self._lock.acquire(blocking=False):
            return
        try:
            self._read_at = time.monotonic()
            with self._dispatch.database.begin() as connection:
                row = store.kept(connection, NAME)
            self._known = None if row is None else read(row["value"])
        except SQLAlchemyError as error:
            # What was known last holds; without any, what the configuration says.
            log.debug("the quiet hours cannot be read: %s", type(error).__name__)
        finally:
            self._lock.release()

    def forget(self) -> None:
        """Something was changed here just now."""
        self._read_at = None


def configured(dispatch: Dispatch) -> bool:
    """Whether the configuration says its own, which win."""
    return bool(dispatch.config.get(VARIABLE))


def decided(dispatch: Dispatch) -> Decided:
    """What holds, and what a form needs to change it."""
    if configured(dispatch):
        return Decided(hours=dispatch.settings.quiet_hours)
    with dispatch.database.begin() as connection:
        row = store.kept(connection, NAME)
    if row is None:
        return Decided(hours=dispatch.settings.quiet_hours)
    return Decided(
        hours=read(row["value"]),
        version=row["changed_at"].isoformat(),
        by=row["changed_by"],
        at=row["changed_at"],
    )


def decide(dispatch: Dispatch, actor: Actor, hours: QuietHours, *, version: str) -> None:
    """Let these hold from now on.

    :param version: when the form's were decided; empty: nobody had.
    :raises Changed: somebody else decided meanwhile.
    """

    def work(connection: Connection) -> None:
        was = store.kept(connection, NAME)
        if (was["changed_at"].isoformat() if was is not None else "") != version:
            raise Changed
        by = actor.name or actor.ref
        if not store.keep(connection, NAME, written(hours), by=by, was=was):
            raise Changed
        _audit(connection, actor, "quiet_hours_changed", hours)

    _done(dispatch, work)


def as_shipped(dispatch: Dispatch, actor: Actor) -> None:
    """Let what is shipped hold again."""

    def work(connection: Connection) -> None:
        if store.forget(connection, NAME):
            _audit(connection, actor, "quiet_hours_reset", None)

    _done(dispatch, work)


def written(hours: QuietHours) -> dict[str, str]:
    """As the database keeps them: ``20:00-08:00`` by name, empty where any hour will do."""
    return {
        name: f"{each.begin:%H:%M}-{each.end:%H:%M}" if each is not None else ""
        for name, each in hours.by_name.items()
    }


def read(value: Mapping[str, Any]) -> QuietHours:
    """What :func:`written` wrote; what cannot be read is left out."""
    found: dict[str, Hours | None] = {}
    for name, text in value.items():
        try:
            found[name] = _hours(str(text)) if text else None
        except ValueError:
            log.error("the quiet hours kept for %s cannot be read", name)
    return QuietHours(found)


def _hours(text: str) -> Hours:
    begin, _, end = text.partition("-")
    return Hours(begin=day_time.fromisoformat(begin), end=day_time.fromisoformat(end))


def _done(dispatch: Dispatch, work: Any) -> None:
    dispatch.database.run(work)
    keeper = dispatch.cache.get(KEEPER)
    if isinstance(keeper, Keeper):
        keeper.forget()
    dispatch.doorbell.ring()


def _audit(connection: Connection, actor: Actor, action: str, hours: QuietHours | None) -> None:
    details = {"hours": written(hours)} if hours is not None else {}
    write_audit(
        connection, actor_ref=actor.ref, actor_name=actor.name, action=action, details=details
    )
