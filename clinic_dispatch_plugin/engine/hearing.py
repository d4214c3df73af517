"""What a gateway reports by itself over the connection that sends: kept between two results, on the sending thread."""

from __future__ import annotations

import logging
import time
from contextlib import closing

from sqlalchemy.exc import SQLAlchemyError

from clinic_dispatch_plugin.channels.channel import HearsReports, Sender
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)

#: Seconds between two looks while results come.
EVERY_SECONDS = 0.25
#: Reports kept in one look, so that sending does not wait long for them.
AT_ONCE = 20
#: Seconds without a look after one that went wrong.
_PAUSE = 5.0


class Hearing:
    """Listens to one sender; to most there is nothing to hear."""

    def __init__(
        self, dispatch: Dispatch, sender: Sender, *, channel: str, account_id: int
    ) -> None:
        self._dispatch = dispatch
        self._sender = sender if isinstance(sender, HearsReports) else None
        self._channel = channel
        self._account_id = account_id
        self._next = 0.0

    def between(self) -> None:
        """Keep a few of what came, now and then."""
        if self._sender is not None and time.monotonic() >= self._next:
            self._listen(AT_ONCE)

    def at_the_end(self) -> None:
        """Keep all that came."""
        if self._sender is not None:
            self._listen(None)

    def _listen(self, most: int | None) -> None:
        """Each is kept before the next is asked for; what is not kept, the gateway brings again."""
        assert self._sender is not None
        self._next = time.monotonic() + EVERY_SECONDS
        try:
            with closing(self._sender.reports()) as reports:
                for number, report in enumerate(reports, start=1):
                    self._dispatch.hear(self._channel, self._account_id, report)
                    if number == most:
                        return
        except SQLAlchemyError as error:
            log.warning("a report could not be kept: %s", type(error).__name__)
            self._next = time.monotonic() + _PAUSE
        except Exception as error:
            # Reports must not keep messages from going out.
            log.error("channel %s cannot say what it heard: %s", self._channel, places(error))
            self._next = time.monotonic() + _PAUSE
