"""The messages a sender takes from, filled while it sends; taking one writes it into the journal first."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

from clinic_dispatch_plugin.channels.channel import Batch
from clinic_dispatch_plugin.channels.faults import fail_point
from clinic_dispatch_plugin.channels.types import OutgoingMessage
from clinic_dispatch_plugin.engine.journal import Journal


class Feed(Batch):
    """Open windows on one side, a sender on the other.

    :param may_take: asked before each message: lease, drain; False ends the stream.
    """

    def __init__(self, journal: Journal, may_take: Callable[[], bool]) -> None:
        self._journal = journal
        self._may_take = may_take
        self._ready: deque[OutgoingMessage] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._stopped = False
        #: Why a message could not be written into the journal; nothing is handed over without that.
        self.failed: OSError | None = None
        #: Attempts a sender took and has not answered: never more than it holds, however long the stream.
        self.taken: set[int] = set()

    def add(self, messages: Iterable[OutgoingMessage]) -> None:
        """Messages whose attempts are committed."""
        with self._changed:
            self._ready.extend(messages)
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing more will be added; what is ready may still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def stop(self) -> None:
        """End the stream now; what is ready stays untaken."""
        with self._changed:
            self._closed = True
            self._stopped = True
            self._changed.notify_all()

    def fail(self, error: OSError) -> None:
        """The journal cannot be written: nothing more is handed over."""
        self.failed = self.failed or error
        self.stop()

    def poll(self) -> OutgoingMessage | None:
        """Take the next one; its journal line is written before anybody can send a byte of it."""
        with self._changed:
            if self._stopped or not self._ready:
                return None
            if not self._may_take():
                self._closed = self._stopped = True
                self._changed.notify_all()
                return None
            message = self._ready[0]
            try:
                self._journal.handed_over(message.attempt_id)
            except OSError as error:
                self.fail(error)
                return None
            self._ready.popleft()
            self.taken.add(message.attempt_id)
            if not self._ready:
                self._changed.notify_all()
        fail_point("send.before_bytes")
        return message

    def answered(self, attempt_id: int) -> None:
        """A sender said what became of one it took."""
        self.taken.discard(attempt_id)

    def wait(self, timeout: float) -> bool:
        """Wait for a message or the end."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._ready) or self._closed, timeout)

    @property
    def ended(self) -> bool:
        """True when nothing will come any more."""
        return self._stopped or (self._closed and not self._ready)

    @property
    def stopped(self) -> bool:
        """True when the stream was ended before it was empty."""
        return self._stopped

    def __len__(self) -> int:
        return len(self._ready)

    def untaken(self) -> list[OutgoingMessage]:
        """What was ready and never taken: provably unsent."""
        with self._changed:
            rest = list(self._ready)
            self._ready.clear()
            return rest
