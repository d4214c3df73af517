"""One client's link: what it asks, what it is told, and the ways in which a link goes wrong."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

from clinic_dispatch_plugin.simulators.smpp import packets as wire
from clinic_dispatch_plugin.simulators.smpp.centre import Centre, Mode, Receipt, Text
from clinic_dispatch_plugin.simulators.smpp.plans import Plan, Way

_BINDS = (wire.BIND_RECEIVER, wire.BIND_TRANSMITTER, wire.BIND_TRANSCEIVER)
_NOISE = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html>It works!</html>"
#: Seconds by which an answer comes after its receipt.
_AFTER_RECEIPT = 0.05


class Session(asyncio.Protocol):
    """Reads packets and answers them, each at its time."""

    def __init__(self, centre: Centre, *, joined: Callable[[Session], None]) -> None:
        self._centre = centre
        self._joined = joined
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._bound: int | None = None
        self._system_id = ""
        self._sequence = 0
        self._unanswered: dict[int, Receipt] = {}
        #: Texts that were taken and not answered.
        self._open = 0
        self._after_sync: list[Callable[[], None]] = []
        self.last_heard = asyncio.get_running_loop().time()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End: receipts without an answer go to the next link."""
        self._transport = None
        if self._takes_receipts:
            self._centre.left(self._system_id, self, list(self._unanswered.values()))
        if self._bound is not None:
            self._centre.links[self._system_id] -= 1
        self._unanswered.clear()
        self._bound = None

    def data_received(self, data: bytes) -> None:
        """Read what came; texts are on the disk before any of them is answered."""
        self.last_heard = asyncio.get_running_loop().time()
        self._buffer += data
        try:
            while self._transport is not None and (pdu := wire.cut(self._buffer)) is not None:
                self._read(pdu)
        except wire.FramingError:
            self._centre.counters.protocol_errors += 1
            self._write(wire.pack(wire.GENERIC_NACK, 0, status=0x02))
            self.cut()
        self._centre.sync()
        answers, self._after_sync = self._after_sync, []
        for answer in answers:
            answer()

    # What the centre calls

    @property
    def gone(self) -> bool:
        """Whether the link has ended."""
        return self._transport is None

    def deliver(self, receipt: Receipt) -> None:
        """Send a receipt; it comes again when it is not answered."""
        self._sequence = self._sequence % 0x7FFFFFFF + 1
        number = self._sequence
        self._unanswered[number] = receipt
        self._write(wire.pack(wire.DELIVER_SM, number, receipt.body))
        patience = max(self._centre.settings.receipt_again, 30.0)
        self._in(patience, lambda: self._receipt_answered(number, None))

    def cut(self) -> None:
        """End the link at once."""
        if self._transport is not None:
            self._transport.abort()

    # What the client says

    def _read(self, pdu: wire.Pdu) -> None:
        if self._centre.mode is Mode.MUTE:
            return
        command = pdu.command
        if command == wire.DELIVER_SM | wire.RESPONSE:
            self._receipt_answered(pdu.sequence, pdu.status)
        elif command & wire.RESPONSE:
            return
        elif command == wire.ENQUIRE_LINK:
            self._answer(pdu)
        elif command in _BINDS:
            self._bind(pdu)
        elif command == wire.UNBIND:
            self._answer(pdu)
            if self._transport is not None:
                self._transport.close()
        elif command in (wire.SUBMIT_SM, wire.QUERY_SM):
            self._request(pdu)
        else:
            self._centre.counters.protocol_errors += 1
            self._write(wire.pack(wire.GENERIC_NACK, pdu.sequence, status=0x03))

    def _request(self, pdu: wire.Pdu) -> None:
        if self._bound not in (wire.BIND_TRANSMITTER, wire.BIND_TRANSCEIVER):
            self._answer(pdu, status=0x04)
            return
        try:
            if pdu.command == wire.SUBMIT_SM:
                self._submit(pdu)
            else:
                self._query(pdu)
        except wire.FieldError as error:
            self._centre.counters.protocol_errors += 1
            self._answer(pdu, status=error.status)

    def _bind(self, pdu: wire.Pdu) -> None:
        status = self._judge_bind(pdu)
        body = b"simulator\0" + (struct.pack(">HHB", 0x0210, 1, 0x34) if status == 0 else b"")
        self._answer(pdu, body, status=status)
        if status:
            return
        self._bound = pdu.command
        self._centre.links[self._system_id] += 1
        self._centre.counters.binds += 1
        if self._takes_receipts:
            self._centre.joined(self._system_id, self)

    def _judge_bind(self, pdu: wire.Pdu) -> int:
        settings = self._centre.settings
        if self._bound is not None:
            return 0x05
        try:
            bind = wire.read_bind(pdu.body)
        except wire.FieldError as error:
            return error.status
        if settings.system_id is not None and bind.system_id != settings.system_id:
            return 0x0F
        wrong = settings.password is not None and bind.password != settings.password
        if wrong or self._centre.mode is Mode.WRONG_PASSWORD:
            return 0x0E
        if self._centre.is_full(bind.system_id):
            return 0x05
        self._system_id = bind.system_id
        return 0

    def _submit(self, pdu: wire.Pdu) -> None:
        submit = wire.read_submit(pdu.body)
        plan = self._centre.settings.behaviour.plan(submit.destination)
        limit = self._centre.settings.window
        if (limit and self._open >= limit) or self._centre.too_fast(submit.destination, plan):
            self._centre.counters.throttled += 1
            self._answer_later(pdu, plan, status=0x58)
        elif plan.status:
            self._centre.counters.refused += 1
            self._answer_later(pdu, plan, status=plan.status)
        elif plan.way is Way.NACK:
            self._centre.counters.refused += 1
            self._write(wire.pack(wire.GENERIC_NACK, pdu.sequence, status=0x03))
        elif plan.way is Way.CUT_BEFORE:
            self.cut()
        else:
            text = self._centre.take(submit, plan, self._system_id)
            self._open += 1
            self._after_sync.append(lambda: self._answer_taken(pdu, text))

    def _answer_taken(self, pdu: wire.Pdu, text: Text) -> None:
        way = text.plan.way
        response = wire.SUBMIT_SM | wire.RESPONSE
        if way is Way.CUT_AFTER:
            self.cut()
        elif way is Way.NOISE:
            self._write(_NOISE)
        elif way is Way.RUBBISH:
            self._write(wire.pack(response, pdu.sequence, _NOISE * 5))
        elif way not in (Way.SILENT, Way.LOST_ANSWER):
            if way is Way.EARLY:
                for receipt in self._centre.early_receipts(text):
                    self.deliver(receipt)
            self._answer_later(pdu, text.plan, text.answer_id.encode() + b"\0")

    def _query(self, pdu: wire.Pdu) -> None:
        fields = wire.Fields(pdu.body)
        message_id = fields.cstring(65)
        fields.take(2)
        found = self._centre.state_of(message_id, fields.cstring(21))
        if found is None:
            self._answer(pdu, b"\0\0\0\0", status=0x0C)
            return
        state, error = found
        code = int(error) if error.isdecimal() else 0
        self._answer(pdu, message_id.encode() + b"\0\0" + bytes([state, min(code, 255)]))

    # What it is told

    def _answer_later(
        self, pdu: wire.Pdu, plan: Plan, body: bytes = b"", *, status: int = 0
    ) -> None:
        settings = self._centre.settings
        seconds = settings.latency
        if plan.way is Way.SLOW:
            seconds += settings.slow_seconds
        if plan.way is Way.EARLY:
            seconds += _AFTER_RECEIPT

        def answer() -> None:
            if status == 0:
                self._open -= 1
            self._answer(pdu, body, status=status)

        self._in(seconds, answer)

    def _answer(self, pdu: wire.Pdu, body: bytes = b"", *, status: int = 0) -> None:
        self._write(wire.pack(pdu.command | wire.RESPONSE, pdu.sequence, body, status=status))

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _receipt_answered(self, number: int, status: int | None) -> None:
        receipt = self._unanswered.pop(number, None)
        if receipt is not None:
            self._centre.receipt_answered(receipt, status)

    def _in(self, seconds: float, action: Callable[[], None]) -> None:
        if seconds <= 0:
            action()
        else:
            self._centre.call_later(seconds, action)

    @property
    def _takes_receipts(self) -> bool:
        return self._bound in (wire.BIND_RECEIVER, wire.BIND_TRANSCEIVER)
