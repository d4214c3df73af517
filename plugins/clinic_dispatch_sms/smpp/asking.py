"""Asking the centre about texts it took: receipts that wait first, then query_sm, several questions at once."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from clinic_dispatch_plugin.api import DeliveryReport, ReportStatus, SentMessage
from clinic_dispatch_sms.smpp import statuses
from clinic_dispatch_sms.smpp.known import DOUBT, Known, Sent, report_of
from clinic_dispatch_sms.smpp.link import Link
from clinic_dispatch_sms.smpp.pdu import ANSWER, BadPacketError, Command, Packet
from clinic_dispatch_sms.smpp.receipts import Receipt
from clinic_dispatch_sms.smpp.receiving import Inbox
from clinic_dispatch_sms.smpp.requests import query_body, read_state
from clinic_dispatch_sms.smpp.settings import SmppSettings
from clinic_dispatch_sms.smpp.window import BETWEEN_IDS

#: Seconds without a receipt after which no more are expected, and the longest wait for them.
_QUIET, _LONGEST = 0.3, 3.0


class Questions:
    """What is asked about some attempts over one link; what ends the link ends it, too."""

    def __init__(
        self,
        sent: Sequence[SentMessage],
        settings: SmppSettings,
        link: Link,
        inbox: Inbox,
        on_packet: Callable[[Packet], None],
    ) -> None:
        self._sent = [_remembered(each) for each in sent]
        self._known = Known(self._sent, key_tlv=settings.key_tlv)
        self._settings = settings
        self._link = link
        self._inbox = inbox
        self._on_packet = on_packet
        self._open: dict[int, tuple[Sent, str]] = {}
        self._left: deque[tuple[Sent, str]] = deque()
        #: Questions of each attempt that have no answer yet.
        self._awaited: dict[Sent, int] = {}
        self._found: deque[tuple[Receipt, Sent]] = deque()

    def answers(self) -> Iterator[DeliveryReport]:
        """One report for each thing learnt."""
        self._listen()
        yield from self._receipts()
        self._prepare()
        until = time.monotonic() + self._settings.timeout
        while (self._left or self._open) and time.monotonic() < until:
            if self._ask_and_hear():
                until = time.monotonic() + self._settings.timeout
            while self._found:
                receipt, sent = self._found.popleft()
                yield report_of(receipt, sent, errors=self._settings.errors)
        yield from self._receipts()

    def _listen(self) -> None:
        until = time.monotonic() + _LONGEST
        while time.monotonic() < until:
            packets = list(self._link.turn(_QUIET))
            if not packets:
                return
            for packet in packets:
                self._on_packet(packet)

    def _receipts(self) -> Iterator[DeliveryReport]:
        for receipt in self._inbox.hand_over(lambda each: self._known.find(each) is not None):
            yield report_of(receipt, self._known.find(receipt), errors=self._settings.errors)

    def _prepare(self) -> None:
        for sent in self._sent:
            open_ids = [each for each in sent.ids if not _is_final(sent.said.get(each))]
            if open_ids:
                self._awaited[sent] = len(open_ids)
                self._left.extend((sent, each) for each in open_ids)

    def _ask_and_hear(self) -> bool:
        while self._left and len(self._open) < self._settings.window:
            sent, message_id = self._left.popleft()
            try:
                body = query_body(message_id, self._settings)
            except ValueError:
                continue
            number, _ = self._link.request(Command.QUERY_SM, body)
            self._open[number] = (sent, message_id)
        heard = False
        for packet in self._link.turn(0.5):
            if packet.is_answer and packet.sequence in self._open:
                heard = True
                self._on_answer(packet)
            else:
                self._on_packet(packet)
        if not heard:
            self._link.look_after(time.monotonic())
        return heard

    def _on_answer(self, packet: Packet) -> None:
        sent, message_id = self._open.pop(packet.sequence)
        if packet.command != Command.QUERY_SM | ANSWER or packet.status == statuses.UNKNOWN_COMMAND:
            self._left.clear()  # this centre knows no questions: only receipts tell
            return
        if packet.status != statuses.OK:
            return  # it does not know, or does not say
        try:
            state, error = read_state(packet)
        except BadPacketError:
            return
        receipt = Receipt(
            message_id=message_id,
            state=state,
            error=f"{error:03d}" if error else "",
            said=f"query_sm: id:{message_id} stat:{state} err:{error:03d}",
        )
        sent.hear(receipt)
        self._awaited[sent] -= 1
        if self._awaited[sent] == 0:
            self._found.append((receipt, sent))


def _remembered(sent: SentMessage) -> Sent:
    ids = tuple(filter(None, (sent.provider_id or "").split(BETWEEN_IDS)))
    if ids and ids[0].startswith(DOUBT):  # no id of the centre's
        ids = ()
    return Sent(sent.attempt_key, sent.address, ids=ids, parts=max(1, len(ids)))


def _is_final(receipt: Receipt | None) -> bool:
    return receipt is not None and receipt.status in (ReportStatus.DELIVERED, ReportStatus.FAILED)
