"""The open requests of a link: what each answer, each silence and the link's end say about which message.

Knows no socket and no clock. A text of several parts is several requests and one message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from clinic_dispatch_plugin.api import (
    Accepted,
    Answer,
    NotSent,
    OutgoingMessage,
    Refused,
    SendResult,
    Uncertain,
)
from clinic_dispatch_sms.smpp import statuses

#: Between the ids of a text's parts, where one word has to name them all.
BETWEEN_IDS = ".."
#: What is kept of an id; all ids of a text together.
_LONGEST_ID = 200


@dataclass(slots=True, eq=False)
class Flight:
    """One message in hand."""

    message: OutgoingMessage
    bodies: Sequence[bytes] = field(repr=False)
    ids: list[str | None] = field(default_factory=list)
    #: Requests that are written or wait to be.
    pending: int = 0
    refusal: int | None = None
    refused_part: int = 0
    #: How long the centre asked us to wait; None: it did not.
    wait: float | None = None
    #: Why nobody knows; None: nothing is in doubt.
    doubt: Answer | None = None
    #: When the centre first asked us to wait with it.
    throttled_at: float | None = None

    def __post_init__(self) -> None:
        self.ids = [None] * len(self.bodies)
        self.pending = len(self.bodies)

    @property
    def provider_id(self) -> str:
        """The ids of all parts in one word; parts beyond what fits are left out."""
        word = ""
        for each in filter(None, self.ids):
            longer = f"{word}{BETWEEN_IDS}{each}" if word else each
            if len(longer) > _LONGEST_ID:
                break
            word = longer
        return word

    def result(self) -> SendResult:
        """What became of it; to be asked when nothing is pending."""
        attempt_id = self.message.attempt_id
        if self.refusal is not None:
            return self._refused(self.refusal)
        if self.doubt is not None:
            return Uncertain(attempt_id=attempt_id, answer=self.doubt)
        return Accepted(
            attempt_id=attempt_id, provider_id=self.provider_id or None, parts=len(self.bodies)
        )

    def result_at_the_end(self, why: Answer) -> SendResult:
        """What became of it when the link ended while something was pending."""
        if self.refusal is None and self.doubt is None:
            if not self._taken:
                return NotSent(attempt_id=self.message.attempt_id, answer=why)
            words = f"{why.text}; {self._taken} of {len(self.bodies)} parts were taken before"
            self.doubt = Answer(system=why.system, code=why.code, text=words)
        return self.result()

    @property
    def _taken(self) -> int:
        return sum(each is not None for each in self.ids)

    def _refused(self, status: int) -> Refused:
        parts = len(self.bodies)
        about = f"submit_sm, part {self.refused_part} of {parts}" if parts > 1 else "submit_sm"
        answer = statuses.answer_of(status, about=about)
        retryable = True if self.wait is not None else None
        if self._taken or self.doubt is not None:
            # Once more would bring the parts that were taken a second time.
            words = f"{answer.text}; {self._taken} parts were taken before"
            answer, retryable = Answer(system=answer.system, code=answer.code, text=words), False
        return Refused(
            attempt_id=self.message.attempt_id,
            answer=answer,
            retryable=retryable,
            retry_after=self.wait,
        )


@dataclass(slots=True, eq=False)
class Request:
    """One part of a message."""

    flight: Flight
    place: int
    #: Where in the link's stream its packet ends; 0: not written.
    ends_at: int = 0
    sent_at: float = 0.0


class Window:
    """The requests of one link."""

    def __init__(self, size: int, *, deliver: Callable[[SendResult, Flight], None]) -> None:
        """Begin without any.

        :param size: requests that may be open.
        :param deliver: gets each result once.
        """
        self._size = size
        self._deliver = deliver
        self._waiting: deque[Request] = deque()
        self._open: dict[int, Request] = {}
        #: Requests given up for want of an answer: one that comes after all still says something.
        self._late: dict[int, Flight] = {}
        #: Requests that were answered, whatever the answer.
        self.answered = 0

    @property
    def wants_more(self) -> bool:
        """Whether another message may be taken."""
        return not self._waiting and len(self._open) < self._size

    @property
    def may_write(self) -> bool:
        """Whether a request waits and may go."""
        return bool(self._waiting) and len(self._open) < self._size

    @property
    def in_hand(self) -> bool:
        """Whether a message has no result yet."""
        return bool(self._waiting or self._open)

    @property
    def awaits(self) -> bool:
        """Whether an answer is due."""
        return bool(self._open)

    @property
    def oldest(self) -> Request | None:
        """The open request that waits longest for its answer."""
        return min(self._open.values(), key=lambda each: each.sent_at, default=None)

    def take(self, flight: Flight) -> None:
        """Take a message in hand."""
        self._waiting.extend(Request(flight, place) for place in range(len(flight.bodies)))

    def next_request(self) -> Request:
        """The request whose bytes go next."""
        return self._waiting.popleft()

    def opened(self, sequence: int, request: Request) -> None:
        """Its packet is queued under this number."""
        self._open[sequence] = request

    def find(self, sequence: int) -> Request | None:
        """The open request of this number."""
        return self._open.get(sequence)

    def accepted(self, sequence: int, message_id: str) -> None:
        """The centre took it."""
        request = self._close(sequence)
        request.flight.ids[request.place] = message_id
        self._settle(request.flight)

    def refused(self, sequence: int, status: int, *, wait: float | None = None) -> None:
        """The centre did not take it; what waits of the same message is not sent."""
        request = self._close(sequence)
        flight = request.flight
        if flight.refusal is None:
            flight.refusal, flight.refused_part, flight.wait = status, request.place + 1, wait
        self._drop_waiting(flight)
        self._settle(flight)

    def postponed(self, sequence: int) -> None:
        """The centre did not take it and wants it later: it goes first when the link goes on."""
        request = self._close(sequence)
        request.flight.pending += 1
        request.ends_at = 0
        self._waiting.appendleft(request)

    def doubted(self, sequence: int, why: Answer) -> None:
        """No answer came in time."""
        request = self._close(sequence)
        self.answered -= 1
        flight = request.flight
        flight.doubt = flight.doubt or why
        self._drop_waiting(flight)
        self._late[sequence] = flight
        while len(self._late) > self._size:
            del self._late[next(iter(self._late))]
        self._settle(flight)

    def late(self, sequence: int) -> Flight | None:
        """The message of a request that was given up; it is asked once."""
        return self._late.pop(sequence, None)

    def overdue(self, before: float) -> list[int]:
        """Numbers of the requests written before this time."""
        return [number for number, each in self._open.items() if each.sent_at < before]

    def give_up(self, why: Answer, *, written: int) -> None:
        """The link ended: what had left is in doubt, what had not is unsent.

        :param written: octets of the stream that the network took.
        """
        flights: dict[Flight, None] = {}
        for request in self._open.values():
            flights[request.flight] = None
            if request.ends_at <= written:
                request.flight.doubt = request.flight.doubt or why
        flights.update((request.flight, None) for request in self._waiting)
        self._open.clear()
        self._waiting.clear()
        for flight in flights:
            self._deliver(flight.result_at_the_end(why), flight)

    def _close(self, sequence: int) -> Request:
        self.answered += 1
        request = self._open.pop(sequence)
        request.flight.pending -= 1
        return request

    def _drop_waiting(self, flight: Flight) -> None:
        kept = [each for each in self._waiting if each.flight is not flight]
        flight.pending -= len(self._waiting) - len(kept)
        self._waiting = deque(kept)

    def _settle(self, flight: Flight) -> None:
        if flight.pending == 0:
            self._deliver(flight.result(), flight)
