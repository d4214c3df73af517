"""The event loop: as many connections as the work needs, driven by the calling thread alone."""

from __future__ import annotations

import logging
import selectors
import time
from collections import deque
from collections.abc import Iterator, Sequence

from clinic_dispatch_email.connection import Connection, Phase, Surroundings
from clinic_dispatch_email.mime import CannotSendError, Composer
from clinic_dispatch_email.names import Names
from clinic_dispatch_email.problems import no_connection, reason_of
from clinic_dispatch_email.settings import EmailSettings, client_tls
from clinic_dispatch_email.transactions import Flight, Take
from clinic_dispatch_plugin.api import (
    AccountError,
    Answer,
    Batch,
    ChannelError,
    ConnectionFailed,
    DeliveryReport,
    Money,
    OutgoingMessage,
    Refused,
    SendResult,
    SentMessage,
)

logger = logging.getLogger(__name__)

#: Waiting messages that are worth one more connection.
_SHARE = 5
#: Seconds without a result after which a single waiting message is worth one more, too.
_SLOW = 0.2
#: Seconds between looks at a batch that may get more while replies are awaited.
_LOOK = 0.02
#: Seconds without new connections after the relay refused one of several.
_ENOUGH_FOR_NOW = 30.0
#: Seconds for goodbyes at the end.
_GOODBYE = 2.0


class EmailSender:
    """An open set of connections to one relay; used by one thread, kept over many batches."""

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        self._composer = Composer(settings)
        self._selector: selectors.BaseSelector | None = None
        self._results: deque[SendResult] = deque()
        self._connections: list[Connection] = []
        self._shared: Surroundings | None = None
        self._names = Names(
            settings.host,
            settings.port,
            timeout=settings.connect_timeout,
            allowed=settings.allowed,
        )
        self._no_more_until = 0.0
        self._looked_at = 0.0
        self._progress_at = 0.0
        #: What ends the batch: set once, raised when nothing is in hand any more.
        self._fatal: AccountError | None = None
        self._failed: ChannelError | None = None

    def send(self, batch: Batch) -> Iterator[SendResult]:
        """Hand over the batch; one result per taken message, in the order of the answers.

        :raises AccountError: the relay refuses our sign-in, or cannot be trusted.
        :raises ConnectionFailed: no connection could be made, or none that works.
        """
        self._fatal = self._failed = None
        self._progress_at = time.monotonic()
        try:
            self._turn(0.0)
            self._failed = (
                None  # connections that ended since the last batch are no failure of this one
            )
            while True:
                yield from self._known()
                self._raise_if_over()
                self._advance(batch)
                yield from self._known()
                if batch.ended and not self._in_hand():
                    self._raise_if_over()
                    return
                self._turn(self._patience(batch))
        finally:
            self._drop_unfinished()

    def check(self, sent: Sequence[SentMessage]) -> Iterator[DeliveryReport]:
        """Nothing: SMTP has no question for the fate of a message."""
        return iter(())

    def balance(self) -> Money | None:
        """None: a relay keeps no account of money."""
        return None

    def price(self, batch: Sequence[OutgoingMessage]) -> Money | None:
        """None: a relay names no price."""
        return None

    def sign_in(self) -> None:
        """Open one connection and end it in good order.

        :raises AccountError: the account or the settings are at fault.
        :raises ConnectionFailed: the relay cannot be reached or does not want us now.
        """
        self._fatal = self._failed = None
        self._open()
        while any(each.opening for each in self._connections):
            self._turn(self._until_next_look())
        self._raise_if_over()
        self.close()

    def close(self) -> None:
        """Say goodbye on every connection; what is in hand is dropped."""
        for connection in self._connections:
            connection.quit()
        enough = time.monotonic() + _GOODBYE
        while self._alive() and time.monotonic() < enough:
            self._turn(0.1)
        for connection in self._connections:
            connection.abort()
        self._connections.clear()
        if self._selector is not None:
            self._selector.close()
        self._selector = self._shared = None

    # One turn of the loop

    def _turn(self, timeout: float) -> None:
        """Wait for the network, let the connections go on, and bury those that ended."""
        if self._selector is None:
            return
        events = self._selector.select(timeout)
        for key, mask in events:
            key.data.on_ready(mask)
        now = time.monotonic()
        if self._results:
            self._progress_at = now
        # What has come is read before anybody is called late: we may have been the slow ones.
        if not events or now >= self._looked_at + 0.25:
            self._looked_at = now
            for connection in self._connections:
                connection.on_time(now)
        self._bury()

    def _bury(self) -> None:
        for connection in [each for each in self._connections if each.phase is Phase.CLOSED]:
            self._connections.remove(connection)
            error = connection.error
            if isinstance(error, AccountError):
                self._fatal = self._fatal or error
            elif error is not None:
                self._failed = error
                self._names.forget()
                if self._alive():  # the relay wants fewer of us
                    self._no_more_until = time.monotonic() + _ENOUGH_FOR_NOW

    def _known(self) -> Iterator[SendResult]:
        """The results so far; taken out before new messages are, so that little is ever in doubt."""
        while self._results:
            yield self._results.popleft()

    def _raise_if_over(self) -> None:
        if self._fatal is not None and not self._in_hand():
            self._abort_all()
            raise self._fatal
        if self._failed is not None:
            if not self._alive():
                raise self._failed
            if not any(each.opening for each in self._connections):
                self._failed = None  # others work

    def _advance(self, batch: Batch) -> None:
        now = time.monotonic()
        probes = len(batch)
        # The idle ones first: a message need not wait behind another's text while somebody is free.
        for connection in sorted(self._connections, key=_busy):
            if connection.is_stale(now):
                if probes > 0:
                    probes -= 1
                    connection.probe()
            elif connection.phase is Phase.READY:
                connection.advance(self._taker(batch, connection))
        self._bury()
        if self._fatal is None and self._failed is None:
            self._open_more(len(batch), now)

    def _taker(self, batch: Batch, connection: Connection) -> Take | None:
        if self._fatal is not None:
            return None
        return lambda: self._take(batch, connection)

    def _take(self, batch: Batch, connection: Connection) -> Flight | None:
        """Take the message whose bytes go next; one that cannot be sent gets its result and no successor yet."""
        message = batch.poll()
        if message is None:
            return None
        try:
            return Flight(message, self._composer.compose(message, connection.offers))
        except CannotSendError as error:
            answer = error.answer
        except Exception as error:
            logger.error(
                "The mail of attempt %d cannot be built: %s",
                message.attempt_id,
                type(error).__name__,
            )
            answer = Answer(system="dispatch", code="harmful", text=type(error).__name__)
        self._results.append(Refused(attempt_id=message.attempt_id, answer=answer))
        return None

    def _patience(self, batch: Batch) -> float:
        """Seconds to wait for the network now."""
        if all(each.idle for each in self._connections):
            if not len(batch) and not batch.ended:
                batch.wait(1.0)
                return 0.0
            return 0.001
        patience = self._until_next_look()
        if batch.ended:
            return patience
        if len(batch):
            return min(patience, _SLOW)  # then one more connection may be worth it
        return min(patience, _LOOK)

    def _until_next_look(self) -> float:
        now = time.monotonic()
        nearest = min((each.deadline for each in self._connections), default=now)
        return min(max(nearest - now, 0.001), 1.0)

    # Opening and closing

    def _open_more(self, ready: int, now: float) -> None:
        """Open what the waiting messages are worth: one first, and more when it works."""
        if ready == 0 or any(each.idle for each in self._connections):
            return
        alive = self._alive()
        opening = sum(each.opening for each in self._connections)
        if alive == 0:
            self._open()
            return
        if opening == alive or now < self._no_more_until:
            return
        wanted = ready // _SHARE
        if wanted == 0 and now - self._progress_at > _SLOW:
            wanted = 1
        room = self._settings.connections - len(self._connections)
        for _ in range(min(wanted - opening, room)):
            self._progress_at = now
            self._open()

    def _open(self) -> None:
        try:
            # With nothing open there is nothing that waiting could hold up.
            addresses = self._names.addresses(wait=not self._connections)
            connection = Connection(self._surroundings(), addresses)
        except OSError as problem:
            where = f"{self._settings.host}:{self._settings.port}"
            self._failed = ConnectionFailed(no_connection(reason_of(problem), where=where))
            return
        self._connections.append(connection)
        self._bury()

    def _surroundings(self) -> Surroundings:
        if self._shared is None:
            settings = self._settings
            self._selector = selectors.DefaultSelector()
            self._shared = Surroundings(
                settings=settings,
                selector=self._selector,
                tls=client_tls(settings) if settings.encrypted else None,
                deliver=self._results.append,
            )
        return self._shared

    def _alive(self) -> int:
        return len(self._connections)

    def _in_hand(self) -> bool:
        return any(each.in_hand for each in self._connections)

    def _drop_unfinished(self) -> None:
        """The batch was left: what is half-way would answer into the next one."""
        for connection in self._connections:
            if connection.in_hand:
                connection.abort()
        self._bury()
        self._results.clear()

    def _abort_all(self) -> None:
        for connection in self._connections:
            connection.abort()
        self._bury()


def _busy(connection: Connection) -> bool:
    return not connection.idle
