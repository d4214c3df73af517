"""What an account at SMSC is asked: to send, what became of a message, what is left, what it would cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from clinic_dispatch_plugin.api import (
    ChannelError,
    DeliveryReport,
    HttpFailure,
    HttpLimits,
    HttpRequest,
    HttpSender,
    Money,
    OutgoingMessage,
    SentMessage,
    nothing_sent,
)
from clinic_dispatch_sms.smsc.answers import QUERY, SEND, error_of, money, of_the_account, read
from clinic_dispatch_sms.smsc.ids import digits_of, request_id_of
from clinic_dispatch_sms.smsc.protocol import SmscProtocol, texts
from clinic_dispatch_sms.smsc.reports import report_of
from clinic_dispatch_sms.smsc.settings import SmscSettings

#: Messages one question about states holds.
ASKED_AT_ONCE = 100


class SmscSender(HttpSender):
    """An open account."""

    def __init__(self, settings: SmscSettings) -> None:
        self._settings = settings
        self._currency = settings.currency
        limits = HttpLimits(
            connect_timeout=settings.connect_timeout,
            timeout=settings.timeout,
            connections=settings.connections,
            ca_file=settings.ca_file,
            allowed=settings.allowed,
        )
        super().__init__(SmscProtocol(settings), limits)

    def check(self, sent: Sequence[SentMessage]) -> Iterator[DeliveryReport]:
        """Ask for the states, a hundred with each question; the gateway takes one such question a minute.

        An attempt without an id from us cannot be asked for: in whose request it went was not written down.

        :raises ChannelError: the gateway could not be asked; with ``retry_after`` where it wants a pause.
        """
        askable = [(each, key) for each in sent if (key := request_id_of(each.provider_id))]
        for start in range(0, len(askable), ASKED_AT_ONCE):
            yield from self._ask_states(askable[start : start + ASKED_AT_ONCE])

    def balance(self) -> Money | None:
        """What is left on the account.

        :raises ChannelError: the gateway could not be asked.
        """
        said = self._said("balance.php", {"cur": "1"})
        if not isinstance(said, Mapping):
            return None
        self._currency = self._currency or str(said.get("currency") or "")[:3].upper()
        return money(said.get("balance"), self._currency)

    def price(self, batch: Sequence[OutgoingMessage]) -> Money | None:
        """What these messages would cost; nothing is sent.

        :raises ChannelError: the gateway could not be asked.
        """
        if not self._currency:
            self.balance()
        total = Money(amount=Decimal(0), currency=self._currency)
        for start in range(0, len(batch), self._settings.most):
            group = batch[start : start + self._settings.most]
            kind = self._settings.kind
            fields = {**texts(group, kind), **kind.fields(group), **self._sender_field()}
            said = self._said("send.php", {**fields, "cost": "1"})
            cost = money(said.get("cost"), self._currency) if isinstance(said, Mapping) else None
            if cost is None:
                return None
            total = Money(amount=total.amount + cost.amount, currency=cost.currency)
        return total

    def _sender_field(self) -> dict[str, str]:
        return {"sender": self._settings.sender} if self._settings.sender else {}

    def _ask_states(self, asked: Sequence[tuple[SentMessage, str]]) -> Iterator[DeliveryReport]:
        # The comma at the end keeps the form of a list also for a single one.
        fields = {
            "phone": "".join(f"{digits_of(each.address)}," for each, _ in asked),
            "id": "".join(f"{key}," for _, key in asked),
            "all": "1",
        }
        said = self._said("status.php", fields)
        rows = said if isinstance(said, list) else [said]
        by_both = {
            (str(row.get("id")), digits_of(str(row.get("phone")))): row for row in _maps(rows)
        }
        for each, key in asked:
            row = by_both.get((key, digits_of(each.address)))
            report = self._report(row, each) if row is not None else None
            if report is not None:
                yield report

    def _report(self, row: Mapping[str, Any], sent: SentMessage) -> DeliveryReport | None:
        return report_of(row, sent.provider_id or "", self._settings.kind, currency=self._currency)

    def _said(self, page: str, fields: Mapping[str, str]) -> Any:
        """The gateway's words on a question.

        :raises ChannelError: it refuses, or cannot be asked.
        """
        all_fields = {**self._settings.credentials, **fields, "fmt": "3", "charset": "utf-8"}
        request = HttpRequest.form(f"{self._settings.root}/sys/{page}", all_fields)
        try:
            said = read(self.ask(request))
        except HttpFailure as failure:
            raise nothing_sent(failure) from None
        answer = error_of(said, SEND if page == "send.php" else QUERY)
        if answer is not None:
            raise of_the_account(answer) or ChannelError(answer)
        return said


def _maps(rows: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    return (row for row in rows if isinstance(row, Mapping))
