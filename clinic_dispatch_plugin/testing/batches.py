"""A batch from a plain list, so that a sender can be tried without an engine."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

from clinic_dispatch_plugin.api import Batch, OutgoingMessage


class ListBatch(Batch):
    """Hands out the messages of a list and remembers which were taken, in order."""

    def __init__(self, messages: Iterable[OutgoingMessage] = (), *, closed: bool = True) -> None:
        """Hold these messages.

        :param closed: False: more may come by :meth:`add` until :meth:`close`.
        """
        #: What was taken so far, first one first.
        self.taken: list[OutgoingMessage] = []
        self._waiting = deque(messages)
        self._closed = closed
        self._changed = threading.Condition()

    def add(self, *messages: OutgoingMessage) -> None:
        """Put more at the end, from any thread."""
        with self._changed:
            self._waiting.extend(messages)
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing more will come; what waits can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def stop(self) -> None:
        """End the stream at once, as a pause does: what was not taken stays."""
        with self._changed:
            self._waiting.clear()
            self._closed = True
            self._changed.notify_all()

    def poll(self) -> OutgoingMessage | None:
        """Take the next one; None when there is none now."""
        with self._changed:
            if not self._waiting:
                return None
            message = self._waiting.popleft()
            self.taken.append(message)
            return message

    def wait(self, timeout: float) -> bool:
        """Wait for :meth:`add`, :meth:`close` or :meth:`stop`."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._waiting) or self._closed, timeout)

    @property
    def ended(self) -> bool:
        """Whether nothing is left and nothing will come."""
        return self._closed and not self._waiting

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)
