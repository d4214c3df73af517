"""A gateway answers for Viber in its codes for texts; where they mean something else, this says whose they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from clinic_dispatch_plugin.api import (
    Answer,
    Batch,
    DeliveryReport,
    Money,
    OutgoingMessage,
    Refused,
    Sender,
    SendResult,
    SentMessage,
)

SMSC, INFOBIP = "viber_smsc", "viber_infobip"
#: Codes that say of a text that a phone, and of a Viber message that Viber did not take it: an SMS may still arrive.
_OWN: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "smsc_delivery": (SMSC, frozenset({"1", "6", "11", "12", "21"})),
    "smsc_status": (SMSC, frozenset({"3", "20", "22", "25"})),
    "infobip_status": (INFOBIP, frozenset({"4", "9", "15"})),
    "infobip_error": (INFOBIP, frozenset({"4098", "4101"})),
}


def retold(answer: Answer) -> Answer:
    """The answer under the system whose entries speak of Viber."""
    system, codes = _OWN.get(answer.system, ("", frozenset()))
    return replace(answer, system=system) if answer.code in codes else answer


def retold_report(report: DeliveryReport) -> DeliveryReport:
    """The report with its answer so told."""
    return report if report.answer is None else replace(report, answer=retold(report.answer))


class RetellingSender:
    """The gateway's sender, telling its answers so."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def send(self, batch: Batch) -> Iterator[SendResult]:
        """Hand over the batch.

        :raises AccountError: the gateway refuses the account.
        :raises ConnectionFailed: it cannot be reached, or wants nothing now.
        """
        for result in self._sender.send(batch):
            yield (
                replace(result, answer=retold(result.answer))
                if isinstance(result, Refused)
                else result
            )

    def check(self, sent: Sequence[SentMessage]) -> Iterator[DeliveryReport]:
        """Ask what became of these.

        :raises ChannelError: the gateway could not be asked.
        """
        for report in self._sender.check(sent):
            yield retold_report(report)

    def balance(self) -> Money | None:
        """What is left on the account.

        :raises ChannelError: the gateway could not be asked.
        """
        return self._sender.balance()

    def price(self, batch: Sequence[OutgoingMessage]) -> Money | None:
        """What these would cost.

        :raises ChannelError: the gateway could not be asked.
        """
        return self._sender.price(batch)
