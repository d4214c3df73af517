"""One bound session with the centre: opening, packets both ways, proof of life, and a goodbye."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from clinic_dispatch_plugin.api import AccountError, Answer, ConnectionFailed
from clinic_dispatch_sms.smpp import statuses
from clinic_dispatch_sms.smpp.pdu import (
    ANSWER,
    HIGHEST_SEQUENCE,
    Command,
    NotSmppError,
    Packet,
    PacketReader,
)
from clinic_dispatch_sms.smpp.requests import bind_body
from clinic_dispatch_sms.smpp.settings import SmppSettings
from clinic_dispatch_sms.smpp.wire import Wire, no_connection, reason_of

logger = logging.getLogger(__name__)

#: Seconds for the answers nobody needs: to unbind.
_GOODBYE = 2.0
#: Octets that go in one write.
_VOLLEY = 16_384
#: Seconds for the answer to enquire_link; a shorter ``timeout`` counts instead.
_SIGN_OF_LIFE = 30.0


class LinkEndedError(Exception):
    """The session is over; what is open has to be settled.

    :param answer: what ended it.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.code)
        self.answer = answer


class Link:
    """A session bound as transceiver; whatever breaks it raises :class:`LinkEndedError`."""

    def __init__(self, settings: SmppSettings) -> None:
        """Connect and bind.

        :raises ConnectionFailed: the centre cannot be reached, or does not want us now.
        :raises AccountError: the sign-in or the certificate is wrong.
        """
        self._settings = settings
        self._where = f"{settings.host}:{settings.port}"
        self._reader = PacketReader()
        self._sequence = 0
        self._enquired_at: float | None = None
        self.closed = False
        #: The centre said goodbye: it may still answer what it took, and gets no more.
        self.leaving = False
        self._wire = Wire(settings)
        self.opened_at = self.heard_at = time.monotonic()
        try:
            self._bind()
        except BaseException:
            self._wire.close()
            raise

    @property
    def written(self) -> int:
        """Octets of the stream that the network took."""
        return self._wire.written

    def request(self, command: Command, body: bytes = b"") -> tuple[int, int]:
        """Queue a request; gives its number, and where in the stream it ends."""
        self._sequence = self._sequence % HIGHEST_SEQUENCE + 1
        ends_at = self._wire.queue(Packet(command, 0, self._sequence, body).encode())
        return self._sequence, ends_at

    def answer(self, packet: Packet, status: int) -> None:
        """Queue the answer to a packet of the centre's."""
        # deliver_sm_resp and data_sm_resp hold an id that says nothing (4.6.2).
        body = b"\0" if packet.command in (Command.DELIVER_SM, Command.DATA_SM) else b""
        reply = Packet(packet.command | ANSWER, status, packet.sequence, body)
        self._wire.queue(reply.encode())

    def flush(self) -> None:
        """Write what is queued, as far as it goes without waiting."""
        try:
            self._wire.flush()
        except OSError as problem:
            raise self._lost(problem) from None

    def is_full(self) -> bool:
        """Whether the network takes no more for now: what is queued then would only be in doubt."""
        if self._wire.backlog > _VOLLEY:
            self.flush()
        return self.leaving or self._wire.backlog > _VOLLEY

    def turn(self, seconds: float) -> Iterator[Packet]:
        """Wait for the network and give the packets that are for the sender: answers and deliveries."""
        self.flush()
        ready = self._wire.wait(seconds)
        while ready:
            try:
                data = self._wire.read()
            except OSError as problem:
                raise self._lost(problem) from None
            if data is None:
                break
            if not data:
                raise self._ended("the connection was closed by the message centre")
            self.heard_at = time.monotonic()
            yield from self._packets(data)
        self.flush()

    def look_after(self, now: float) -> None:
        """Ask a silent centre whether it lives, and believe its silence.

        :raises LinkEndedError: it did not answer.
        """
        if self._enquired_at is not None:
            patience = min(self._settings.timeout, _SIGN_OF_LIFE)
            if now - self._enquired_at > patience:
                raise self._ended(
                    f"no answer to enquire_link within {patience:g} s", code="timeout"
                )
        elif now - self.heard_at >= self._settings.enquire:
            self.request(Command.ENQUIRE_LINK)
            self._enquired_at = now
            self.flush()

    @property
    def in_question(self) -> bool:
        """Whether it was silent for so long that nothing should be entrusted to it before it answers."""
        silent = time.monotonic() - self.heard_at
        return self._enquired_at is not None or silent >= self._settings.enquire

    def unbind(self) -> None:
        """End in good order, or at once where the centre is slow."""
        try:
            number, _ = self.request(Command.UNBIND)
            until = time.monotonic() + _GOODBYE
            while (left := until - time.monotonic()) > 0:
                answers = [each for each in self.turn(left) if each.sequence == number]
                if any(each.command == Command.UNBIND | ANSWER for each in answers):
                    break
        except LinkEndedError:
            pass
        self.close()

    def close(self) -> None:
        """End at once."""
        if not self.closed:
            self.closed = True
            self._wire.close()

    def silent(self, what: str) -> LinkEndedError:
        """The centre does not answer any more."""
        return self._ended(
            f"no answer to {what} within {self._settings.timeout:g} s", code="timeout"
        )

    def goodbye(self) -> LinkEndedError:
        """The centre said goodbye, and has answered all it will."""
        return self._ended("the message centre said goodbye (unbind)")

    def overdue(self, what: str) -> Answer:
        """One request was not answered, while others were."""
        return self.silent(what).answer

    # What comes

    def _packets(self, data: bytes) -> Iterator[Packet]:
        try:
            for packet in self._reader.feed(data):
                if self._is_for_the_sender(packet):
                    yield packet
        except NotSmppError as problem:
            raise self._ended(f"the message centre does not speak SMPP: {problem}") from None

    def _is_for_the_sender(self, packet: Packet) -> bool:
        if packet.is_answer:
            if packet.command == Command.ENQUIRE_LINK | ANSWER:
                self._enquired_at = None
                return False
            return True
        if packet.command in (Command.DELIVER_SM, Command.DATA_SM):
            return True
        if packet.command == Command.ENQUIRE_LINK:
            self.answer(packet, statuses.OK)
        elif packet.command == Command.UNBIND:
            self.answer(packet, statuses.OK)
            self.leaving = True
        elif packet.command != Command.ALERT_NOTIFICATION:
            nack = Packet(Command.GENERIC_NACK, statuses.UNKNOWN_COMMAND, packet.sequence)
            self._wire.queue(nack.encode())
        return False

    # Opening

    def _bind(self) -> None:
        number, _ = self.request(Command.BIND_TRANSCEIVER, bind_body(self._settings))
        until = time.monotonic() + max(self._settings.connect_timeout, self._settings.timeout)
        try:
            while (left := until - time.monotonic()) > 0:
                for packet in self.turn(left):
                    if packet.sequence == number and packet.is_answer:
                        self._bound(packet.status)
                        return
            raise self.silent("bind_transceiver")
        except LinkEndedError as end:
            raise ConnectionFailed(end.answer) from None

    def _bound(self, status: int) -> None:
        if status == statuses.OK:
            return
        answer = statuses.answer_of(status, about=f"{self._where}: bind_transceiver")
        if status in statuses.NEEDS_A_PERSON:
            raise AccountError(answer)
        raise ConnectionFailed(answer)

    # Words

    def _lost(self, problem: OSError) -> LinkEndedError:
        return self._ended(reason_of(problem))

    def _ended(self, text: str, *, code: str = "connection_lost") -> LinkEndedError:
        answer = no_connection(text, where=self._where)
        return LinkEndedError(Answer(system="dispatch", code=code, text=answer.text))
