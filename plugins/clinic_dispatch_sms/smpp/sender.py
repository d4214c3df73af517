"""Sends texts over one link with a window of open requests, and hears what became of them; one thread does it all."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

from clinic_dispatch_plugin.api import (
    Accepted,
    Answer,
    Batch,
    ChannelError,
    ConnectionFailed,
    DeliveryReport,
    Money,
    OutgoingMessage,
    Refused,
    ReportStatus,
    SendResult,
    SentMessage,
    Uncertain,
    fail_point,
)
from clinic_dispatch_sms.smpp import statuses
from clinic_dispatch_sms.smpp.asking import Questions
from clinic_dispatch_sms.smpp.known import Known, Sent, doubt_id, reference_of, report_of
from clinic_dispatch_sms.smpp.link import Link, LinkEndedError
from clinic_dispatch_sms.smpp.pace import Pace
from clinic_dispatch_sms.smpp.pdu import ANSWER, BadPacketError, Command, Packet
from clinic_dispatch_sms.smpp.receiving import Inbox
from clinic_dispatch_sms.smpp.requests import read_message_id
from clinic_dispatch_sms.smpp.settings import SmppSettings
from clinic_dispatch_sms.smpp.texts import Composer
from clinic_dispatch_sms.smpp.window import Flight, Window

logger = logging.getLogger(__name__)

#: Seconds between looks at a batch that may get more while answers are awaited.
_LOOK = 0.02
#: Seconds after which late answers are looked for, however much else is heard.
_LOOK_AT_LEAST = 0.25
#: Seconds in which the end of an unused new link still counts as a failure to open one.
_TOO_SOON = 1.0


class SmppSender:
    """A link to one centre, opened when it is first needed and kept over many batches."""

    def __init__(self, settings: SmppSettings) -> None:
        self._settings = settings
        self._composer = Composer(settings)
        self._pace = Pace(settings.rate)
        self._inbox = Inbox()
        self._known = Known(key_tlv=settings.key_tlv)
        self._link: Link | None = None
        self._window = self._new_window()
        self._answered_at = 0.0
        self._looked_at = 0.0
        self._results: deque[SendResult] = deque()
        self._late: deque[DeliveryReport] = deque()
        #: Why no further link is opened in this batch.
        self._failed: ChannelError | None = None

    # What the core asks

    def send(self, batch: Batch) -> Iterator[SendResult]:
        """Hand over the batch; one result per taken message, in the order of the answers.

        :raises AccountError: the centre refuses our sign-in, or cannot be trusted.
        :raises ConnectionFailed: no link could be made, or none that works.
        """
        self._failed = None
        try:
            while True:
                yield from self._results_so_far()
                if self._failed is not None:
                    raise self._failed
                if batch.ended and not self._window.in_hand:
                    return
                if self._window.in_hand or len(batch):
                    self._one_step(batch)
                else:
                    batch.wait(min(1.0, self._settings.enquire))
                    self._look_after_link()
        finally:
            if (
                self._window.in_hand
            ):  # the batch was left: what is half-way would answer into the next one
                self._drop_link(Answer(system="dispatch", code="connection_lost", text="left"))
            self._results.clear()

    def reports(self) -> Generator[DeliveryReport, None, None]:
        """What the centre said by itself, oldest first.

        Asking for the next report means that this one is kept: only then is the centre told so, and what
        nobody keeps it brings again.
        """
        self._look_after_link()
        while self._late:
            yield self._late[0]
            self._late.popleft()
        for receipt in self._inbox.hand_over():
            sent = self._known.find(receipt)
            yield report_of(receipt, sent, errors=self._settings.errors)

    def check(self, sent: Sequence[SentMessage]) -> Iterator[DeliveryReport]:
        """Hear the receipts that wait, and ask (query_sm) about those whose id is known.

        :raises AccountError: the centre refuses our sign-in, or cannot be trusted.
        :raises ConnectionFailed: no link could be made, or it ended.
        """
        self._failed = None
        self._connect()
        assert self._link is not None
        questions = Questions(sent, self._settings, self._link, self._inbox, self._on_packet)
        try:
            yield from questions.answers()
        except LinkEndedError as end:
            self._on_end(end.answer)
            raise ConnectionFailed(end.answer) from None

    def balance(self) -> Money | None:
        """None: the protocol has no word for it."""
        return None

    def price(self, batch: Sequence[OutgoingMessage]) -> Money | None:
        """None: the protocol has no word for it."""
        return None

    def sign_in(self) -> None:
        """Bind, and end in good order.

        :raises AccountError: the sign-in or the certificate is wrong.
        :raises ConnectionFailed: the centre cannot be reached, or does not want us now.
        """
        self._connect()
        self.close()

    def close(self) -> None:
        """Say goodbye; what is in hand is dropped, and receipts nobody kept are brought again."""
        self._inbox.send_back(all_of_them=True)
        link, self._link = self._link, None
        if link is not None and not link.closed:
            link.unbind()
        self._window = self._new_window()

    # One step

    def _one_step(self, batch: Batch) -> None:
        try:
            if not self._window.in_hand:
                self._connect()
            self._fill(batch)
            self._turn(self._patience(batch))
        except ChannelError as error:
            self._failed = error
        except LinkEndedError as end:
            self._on_end(end.answer)

    def _fill(self, batch: Batch) -> None:
        link, window = self._link, self._window
        assert link is not None
        wrote = False
        while self._pace.ready_at() <= (now := time.monotonic()) and not link.is_full():
            if window.wants_more:
                flight = self._take(batch)
                if flight is None:
                    break
                window.take(flight)
            if not window.may_write:
                break
            request = window.next_request()
            number, request.ends_at = link.request(
                Command.SUBMIT_SM, request.flight.bodies[request.place]
            )
            request.sent_at = now
            window.opened(number, request)
            self._pace.sent(now)
            wrote = True
        if wrote:
            link.flush()
            fail_point("send.after_bytes")

    def _take(self, batch: Batch) -> Flight | None:
        """Take the message whose bytes go next; one that cannot be sent gets its result and no successor yet."""
        message = batch.poll()
        if message is None:
            return None
        try:
            return self._composer.compose(message)
        except ChannelError as error:
            answer = error.answer
        except Exception as error:
            name = type(error).__name__
            logger.error("The text of attempt %d cannot be built: %s", message.attempt_id, name)
            answer = Answer(system="dispatch", code="harmful", text=name)
        self._results.append(Refused(attempt_id=message.attempt_id, answer=answer))
        return None

    def _turn(self, seconds: float) -> None:
        link = self._link
        assert link is not None
        heard = False
        for packet in link.turn(seconds):
            heard = True
            self._on_packet(packet)
        link.flush()
        if link.leaving and not self._window.awaits:
            raise link.goodbye()
        self._inbox.send_back()
        now = time.monotonic()
        if (
            not heard
        ):  # what has come is read before anybody is called late: we may have been the slow ones
            link.look_after(now)
            self._call_late(now)

    def _patience(self, batch: Batch) -> float:
        """Seconds to wait for the network now."""
        now = time.monotonic()
        until = [now + 1.0]
        oldest = self._window.oldest
        if oldest is not None:
            until.append(oldest.sent_at + self._settings.timeout)
        if self._results:
            until.append(now)
        if self._link is not None and self._link.is_full():
            pass  # the network says when it takes more
        elif self._window.may_write or (self._window.wants_more and len(batch)):
            until.append(self._pace.ready_at())
        elif self._window.wants_more and not batch.ended:
            until.append(now + _LOOK)
        return max(min(until) - now, 0.0)

    # What comes

    def _on_packet(self, packet: Packet) -> None:
        link = self._link
        assert link is not None
        if not packet.is_answer:
            self._inbox.take(packet, link)
        elif packet.command in (Command.SUBMIT_SM | ANSWER, Command.GENERIC_NACK):
            self._on_answer(packet)

    def _on_answer(self, packet: Packet) -> None:
        now = time.monotonic()
        number, window = packet.sequence, self._window
        request = window.find(number)
        if request is None:
            self._on_late_answer(packet)
            return
        self._answered_at = now
        if packet.command == Command.GENERIC_NACK and packet.status == statuses.OK:
            window.doubted(number, _unreadable("an answer that says neither yes nor no"))
        elif packet.status == statuses.THROTTLED:
            self._on_throttled(number, request.flight, now)
        elif packet.status != statuses.OK:
            window.refused(number, packet.status)
        else:
            self._pace.went_well(now)
            try:
                window.accepted(number, read_message_id(packet))
            except BadPacketError as problem:
                window.doubted(number, _unreadable(str(problem)))

    def _on_throttled(self, number: int, flight: Flight, now: float) -> None:
        self._pace.throttled(now)
        if flight.throttled_at is None:
            flight.throttled_at = now
        # A text that is taken in part would be lost as a whole: it is tried for longer.
        longest = self._settings.throttle * (10 if any(flight.ids) else 1)
        if self._pace.ready_at() - flight.throttled_at > longest:
            self._window.refused(number, statuses.THROTTLED, wait=max(self._pace.pause, 1.0))
        else:
            self._window.postponed(number)

    def _on_late_answer(self, packet: Packet) -> None:
        """An answer to a request that was given up: the truth about an uncertain message."""
        flight = self._window.late(packet.sequence)
        if flight is None or len(flight.bodies) > 1:
            return
        key = flight.message.attempt_key
        if packet.status != statuses.OK:
            answer = statuses.answer_of(packet.status, about="submit_sm")
            self._late.append(
                DeliveryReport(status=ReportStatus.FAILED, attempt_key=key, answer=answer)
            )
            return
        message_id = read_message_id(packet)
        self._remember(flight, (message_id,) if message_id else ())
        self._late.append(
            DeliveryReport(
                status=ReportStatus.ACCEPTED, attempt_key=key, provider_id=message_id or None
            )
        )

    def _call_late(self, now: float) -> None:
        """Give up what was not answered in time: alone where the link answers others, else with the link."""
        assert self._link is not None
        overdue = self._window.overdue(now - self._settings.timeout)
        if not overdue:
            return
        oldest = self._window.oldest
        if oldest is not None and self._answered_at <= oldest.sent_at:
            raise self._link.silent("submit_sm")
        for number in overdue:
            self._window.doubted(number, self._link.overdue("submit_sm"))

    def _deliver(self, result: SendResult, flight: Flight) -> None:
        if isinstance(result, Accepted):
            self._remember(flight, tuple(filter(None, flight.ids)))
        elif isinstance(result, Uncertain):
            self._remember(flight, ())
            message = flight.message
            ours = doubt_id(message.address, reference_of(message.attempt_key))
            result = replace(result, provider_id=ours)
        self._results.append(result)

    def _remember(self, flight: Flight, ids: tuple[str, ...]) -> None:
        message = flight.message
        self._known.add(
            Sent(message.attempt_key, message.address, ids=ids, parts=len(flight.bodies))
        )

    def _results_so_far(self) -> Iterator[SendResult]:
        while self._results:
            yield self._results.popleft()

    # The link

    def _connect(self) -> None:
        """Have a link that lives.

        :raises ChannelError: there is none.
        """
        self._look_after_link()
        if self._link is not None and self._link.in_question:
            self._prove_alive()
        if self._link is None:
            self._link = Link(self._settings)
            self._window = self._new_window()

    def _prove_alive(self) -> None:
        """Wait for a sign of life before a message is entrusted to a link that was silent for long."""
        try:
            while self._link is not None and self._link.in_question:
                self._turn(0.2)
        except LinkEndedError as end:
            self._on_end(end.answer)
            self._failed = None

    def _look_after_link(self) -> None:
        """Read what came, answer what must be; a link that ended unused is let go."""
        if self._link is None:
            return
        try:
            self._turn(0.0)
        except LinkEndedError as end:
            self._on_end(end.answer)
            self._failed = None

    def _on_end(self, why: Answer) -> None:
        link = self._link
        if link is None:
            return
        unused = not self._window.in_hand and time.monotonic() - link.opened_at > _TOO_SOON
        if self._window.answered == 0 and not unused:
            self._failed = ConnectionFailed(why)
        self._drop_link(why)

    def _drop_link(self, why: Answer) -> None:
        link, self._link = self._link, None
        if link is None:
            return
        link.close()
        self._window.give_up(why, written=link.written)
        self._window = self._new_window()

    def _new_window(self) -> Window:
        return Window(self._settings.window, deliver=self._deliver)


def _unreadable(text: str) -> Answer:
    return Answer(system="dispatch", code="unknown_answer", text=f"submit_sm_resp: {text}")
