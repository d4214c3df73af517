"""The sender of every gateway that speaks HTTP: takes messages, groups them, asks, and says what became of each."""

from __future__ import annotations

import abc
import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence

from clinic_dispatch_plugin.channels.channel import Batch
from clinic_dispatch_plugin.channels.errors import AccountError, ConnectionFailed
from clinic_dispatch_plugin.channels.http import (
    HttpFailure,
    HttpLimits,
    HttpReply,
    HttpRequest,
    unusable,
)
from clinic_dispatch_plugin.channels.http_client import HttpClient
from clinic_dispatch_plugin.channels.types import (
    Answer,
    DeliveryReport,
    Money,
    OutgoingMessage,
    Refused,
    SendResult,
    SentMessage,
    Uncertain,
)

log = logging.getLogger(__name__)

#: Seconds between looks at a batch that may get more while answers are awaited.
_LOOK = 0.02
#: Seconds for which a second request waits to become a full list while another one is under way.
_FILL = 0.2


class CannotSendError(Exception):
    """This message cannot be put into a request; the others can."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.code)
        self.answer = answer


class SendApart(Exception):
    """Somebody among these is at fault, nobody was taken, and it is not said who: ask with half of them each."""


class HttpProtocol(abc.ABC):
    """What is particular to one gateway; the connections, the grouping and the doubt are ours.

    A gateway implements :meth:`compose` and :meth:`understand`, and what else it can of the questions below.
    """

    #: Most messages one request takes.
    most: int = 1

    def admit(self, message: OutgoingMessage) -> None:
        """Look at a message before it goes into a request.

        :raises CannotSendError: the gateway could not take it.
        """

    def together(self, group: Sequence[OutgoingMessage], message: OutgoingMessage) -> bool:
        """Whether a message may join these in one request."""
        return True

    @abc.abstractmethod
    def compose(self, group: Sequence[OutgoingMessage]) -> HttpRequest:
        """The request that hands these over, 1 to ``most``."""

    @abc.abstractmethod
    def understand(
        self, group: Sequence[OutgoingMessage], reply: HttpReply
    ) -> Sequence[SendResult]:
        """What an answer says of each of them; whoever it says nothing of is in doubt.

        :raises AccountError: the account is at fault, none was taken.
        :raises ConnectionFailed: the gateway wants none now (throttled, in repair): none was taken, none used a try.
        :raises SendApart: nobody was taken for somebody's fault.
        :raises HttpFailure: the answer is not the gateway's own (see ``unusable``).
        """

    def doubt(self, message: OutgoingMessage, answer: Answer) -> Uncertain:
        """What to say of a message whose request got no usable answer."""
        return Uncertain(attempt_id=message.attempt_id, answer=answer)


class HttpSender:
    """An open set of connections to one account; used by one thread, kept over many batches."""

    def __init__(self, protocol: HttpProtocol, limits: HttpLimits) -> None:
        self._protocol = protocol
        self._client: HttpClient[list[OutgoingMessage]] = HttpClient(limits)
        #: Taken, and first in the next request.
        self._carried: OutgoingMessage | None = None
        #: Taken, refused together, and due again in smaller groups.
        self._apart: deque[list[OutgoingMessage]] = deque()
        #: What ends the batch when nothing is under way any more.
        self._over: AccountError | ConnectionFailed | None = None
        self._answered_at = 0.0

    def send(self, batch: Batch) -> Iterator[SendResult]:
        """Hand over the batch; one result per taken message, in the order of the answers.

        :raises AccountError: the gateway refuses the account.
        :raises ConnectionFailed: it cannot be reached, or wants nothing now.
        """
        self._over, self._carried = None, None
        self._apart.clear()
        self._answered_at = time.monotonic()
        try:
            while True:
                yield from self._begin(batch)
                if not self._client.under_way:
                    if self._over is not None:
                        raise self._over
                    if batch.ended:
                        return
                    batch.wait(1.0)
                    continue
                for group, outcome in self._client.finished(self._patience(batch)):
                    self._answered_at = time.monotonic()
                    yield from self._settle(group, outcome)
        finally:
            self._client.drop()

    def check(self, sent: Sequence[SentMessage]) -> Iterator[DeliveryReport]:
        """Nothing, unless the gateway can be asked."""
        return iter(())

    def balance(self) -> Money | None:
        """None, unless the gateway says."""
        return None

    def price(self, batch: Sequence[OutgoingMessage]) -> Money | None:
        """None, unless the gateway says."""
        return None

    def ask(self, request: HttpRequest) -> HttpReply:
        """One question beside the sending.

        :raises HttpFailure: there is no usable answer.
        """
        return self._client.ask(request)

    def close(self) -> None:
        """End every connection."""
        self._client.close()

    def _begin(self, batch: Batch) -> Iterator[SendResult]:
        """Begin as many requests as there are messages for and connections."""
        while self._over is None and self._client.free > 0 and self._worth_a_request(batch):
            group, refused = self._group(batch)
            if group:
                refused += self._start(group)
            yield from refused
            if not group and not refused:
                return

    def _start(self, group: list[OutgoingMessage]) -> list[SendResult]:
        try:
            request = self._protocol.compose(group)
        except Exception as error:
            # What its words hold may be a patient's.
            log.error("a request cannot be built: %s", type(error).__name__)
            return [_harmful(message, error) for message in group]
        self._client.start(request, group)
        return []

    def _worth_a_request(self, batch: Batch) -> bool:
        """With nothing under way anything is; beside others a list is worth waiting for, a little."""
        in_hand = self._carried is not None or bool(self._apart)
        ready = len(batch) + in_hand
        if not self._client.under_way or batch.ended or in_hand:
            return ready > 0
        if ready >= self._protocol.most:
            return True
        return ready > 0 and time.monotonic() - self._answered_at > _FILL

    def _group(self, batch: Batch) -> tuple[list[OutgoingMessage], list[SendResult]]:
        if self._apart:
            return self._apart.popleft(), []
        group: list[OutgoingMessage] = []
        refused: list[SendResult] = []
        while len(group) + len(refused) < self._protocol.most:
            message, self._carried = self._carried or batch.poll(), None
            if message is None:
                break
            try:
                self._protocol.admit(message)
            except CannotSendError as error:
                refused.append(Refused(attempt_id=message.attempt_id, answer=error.answer))
                continue
            if group and not self._protocol.together(group, message):
                self._carried = message
                break
            group.append(message)
        return group, refused

    def _patience(self, batch: Batch) -> float:
        if batch.ended or self._over is not None or self._client.free <= 0:
            return 1.0
        return _FILL / 2 if len(batch) else _LOOK

    def _settle(
        self, group: Sequence[OutgoingMessage], outcome: HttpReply | HttpFailure
    ) -> Iterator[SendResult]:
        try:
            if isinstance(outcome, HttpFailure):
                raise outcome
            results = list(self._protocol.understand(group, outcome))
        except (AccountError, ConnectionFailed) as error:
            # The group has no result then, which says that it was not sent.
            self._end(error)
            return
        except SendApart:
            if len(group) > 1:
                half = (len(group) + 1) // 2
                self._apart += [list(group[:half]), list(group[half:])]
                return
            results = []
        except HttpFailure as failure:
            if not failure.maybe_sent:
                self._end(nothing_sent(failure))
                return
            results = [self._protocol.doubt(message, failure.answer) for message in group]
        except Exception as error:
            log.error("an answer cannot be understood: %s", type(error).__name__)
            assert isinstance(outcome, HttpReply)
            answer = unusable(outcome).answer
            results = [self._protocol.doubt(message, answer) for message in group]
        yield from results
        told = {result.attempt_id for result in results}
        silent = Answer(system="dispatch", code="unknown_answer", text="the answer leaves it out")
        for message in group:
            if message.attempt_id not in told:
                yield self._protocol.doubt(message, silent)

    def _end(self, error: AccountError | ConnectionFailed) -> None:
        if self._over is None or isinstance(error, AccountError):
            self._over = error


def nothing_sent(failure: HttpFailure) -> AccountError | ConnectionFailed:
    """The error to raise where the server surely did nothing."""
    if failure.account:
        return AccountError(failure.answer)
    return ConnectionFailed(failure.answer, retry_after=failure.retry_after)


def _harmful(message: OutgoingMessage, error: Exception) -> Refused:
    answer = Answer(system="dispatch", code="harmful", text=type(error).__name__)
    return Refused(attempt_id=message.attempt_id, answer=answer)
