"""Receipts between their arrival and the moment somebody keeps them: answered only then."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from clinic_dispatch_sms.smpp import statuses
from clinic_dispatch_sms.smpp.link import Link, LinkEndedError
from clinic_dispatch_sms.smpp.pdu import BadPacketError, Packet
from clinic_dispatch_sms.smpp.receipts import Incoming, Receipt, read_delivery

logger = logging.getLogger(__name__)

#: Receipts held at most; those beyond are brought again by the centre.
MOST = 1_000
#: Seconds a centre waits for an answer in any case; then it is told to come again.
_PATIENCE = 20.0


@dataclass(slots=True, eq=False)
class Held:
    """A receipt that is not kept yet."""

    receipt: Receipt
    packet: Packet
    link: Link
    came_at: float


class Inbox:
    """The receipts that came and are not kept yet."""

    def __init__(self) -> None:
        self._held: deque[Held] = deque()

    def take(self, packet: Packet, link: Link) -> None:
        """Read a delivery; what is no receipt is answered at once."""
        try:
            found = read_delivery(packet)
        except BadPacketError as problem:
            logger.warning("A delivery from the message centre cannot be read: %s", problem)
            link.answer(packet, statuses.NEVER)
            return
        if isinstance(found, Incoming):
            logger.info("A text that is no receipt came in; there is no place for it here")
            link.answer(packet, statuses.NEVER)
            return
        if len(self._held) >= MOST:
            link.answer(packet, statuses.TRY_AGAIN)
            return
        self._held.append(Held(found, packet, link, time.monotonic()))

    def hand_over(self, wanted: Callable[[Receipt], bool] = lambda _: True) -> Iterator[Receipt]:
        """Give the wanted ones, one by one; asking for the next one means that this one is kept."""
        for held in [each for each in self._held if wanted(each.receipt)]:
            if held not in self._held:
                continue
            self._held.remove(held)
            kept = False
            try:
                yield held.receipt
                kept = True
            finally:
                if not kept:
                    self._held.appendleft(held)
            self._answer(held, statuses.OK)

    def send_back(self, *, all_of_them: bool = False) -> None:
        """Let the centre bring again what nobody kept in time."""
        before = time.monotonic() - _PATIENCE
        while self._held and (all_of_them or self._held[0].came_at < before):
            self._answer(self._held.popleft(), statuses.TRY_AGAIN)

    def _answer(self, held: Held, status: int) -> None:
        if held.link.closed:
            return  # the centre brings it again on the next one, which changes nothing
        try:
            held.link.answer(held.packet, status)
            held.link.flush()
        except LinkEndedError:
            held.link.close()
