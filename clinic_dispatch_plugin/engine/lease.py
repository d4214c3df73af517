"""A run's lease as its own process sees it: renewed by a thread, and looked at before every message."""

from __future__ import annotations

import logging
import threading
import time

from sqlalchemy.exc import SQLAlchemyError

from clinic_dispatch_plugin.engine import store
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)

#: The sender's longest single call, in seconds: the wait after a mail's final dot (RFC 5321 4.5.3.2.6).
LONGEST_CALL_SECONDS = 600.0
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def clock() -> float:
    """Seconds since this machine started, sleep counted: a suspended laptop must not think its lease still holds."""
    return time.clock_gettime(_CLOCK)


class Lease:
    """Holds while the database was told so less than eleven twelfths of a lease ago."""

    def __init__(self, dispatch: Dispatch, run_id: int) -> None:
        self._dispatch = dispatch
        self.run_id = run_id
        self.seconds = dispatch.settings.lease_seconds
        self._until = clock() + self.seconds * 11 / 12
        self._progress = clock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="dispatch-lease", daemon=True)

    def start(self) -> None:
        """Begin to renew by itself."""
        self._thread.start()

    def stop(self) -> None:
        """Renew no more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def renewed(self, asked_at: float) -> None:
        """The database renewed it; it was asked at this time of :func:`clock`."""
        self._until = max(self._until, asked_at + self.seconds * 11 / 12)

    def progress(self) -> None:
        """The sender did something."""
        self._progress = clock()

    def lost(self) -> None:
        """The database said that this run is over."""
        self._until = 0.0

    @property
    def holds(self) -> bool:
        """Whether another message may go out."""
        return clock() < self._until

    def _beat(self) -> None:
        while not self._over.wait(self.seconds / 4):
            if clock() - self._progress > LONGEST_CALL_SECONDS + self.seconds / 2:
                log.error("run %s makes no progress; its lease is left to run out", self.run_id)
                return
            asked_at = clock()
            try:
                with self._dispatch.database.begin() as connection:
                    alive = store.renew(connection, self.run_id, self.seconds)
            except SQLAlchemyError as error:
                log.warning("lease of run %s not renewed: %s", self.run_id, type(error).__name__)
                continue
            if not alive:
                self.lost()
                return
            self.renewed(asked_at)
