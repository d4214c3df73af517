"""What an account at Vonage is asked: to send, what became of messages, what is left, what it would cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, timedelta
from typing import Any

from clinic_dispatch_plugin.api import (
    Answer,
    ChannelError,
    ConnectionFailed,
    DeliveryReport,
    HttpFailure,
    HttpReply,
    HttpRequest,
    Money,
    OutgoingMessage,
    SentMessage,
    nothing_sent,
)
from clinic_dispatch_sms.countries import CountryPrices
from clinic_dispatch_sms.http_gateway import AskingSender
from clinic_dispatch_sms.reading import balance, mapping_of, mappings, money, words
from clinic_dispatch_sms.vonage.protocol import VonageProtocol, of_status
from clinic_dispatch_sms.vonage.reports import report_of
from clinic_dispatch_sms.vonage.settings import VonageSettings

#: Records one question asks for.
ASKED_AT_ONCE = 20
#: How far the gateway's clock and ours may be apart when a message is looked for.
_AROUND = timedelta(minutes=5)


class VonageSender(AskingSender[Sequence[SentMessage]]):
    """An open account."""

    def __init__(self, settings: VonageSettings) -> None:
        super().__init__(VonageProtocol(settings), settings.limits)
        self._settings = settings
        self._prices = CountryPrices(self._ask_price)

    def check(self, sent: Sequence[SentMessage]) -> Iterator[DeliveryReport]:
        """Ask the records by the gateway's ids; a message whose id was lost is looked for by ours.

        That none is found there proves nothing: records lag.

        :raises ChannelError: the gateway could not be asked.
        """
        if not self._settings.asks_records:
            return
        named = [each for each in sent if each.provider_id]
        lost = [each for each in sent if not each.provider_id]
        groups = [
            named[start : start + ASKED_AT_ONCE] for start in range(0, len(named), ASKED_AT_ONCE)
        ]
        questions = [(group, self._by_id(group)) for group in groups]
        questions += [([each], self._by_time(each)) for each in lost]
        for group, reply in self.ask_each(questions):
            yield from _told(group, mappings(self._said(reply).get("records")))

    def balance(self) -> Money | None:
        """What is left on the account.

        :raises ChannelError: the gateway could not be asked.
        """
        said = self._said(self.ask_one(self._get("account/get-balance")))
        return balance(said.get("value"), self._settings.currency)

    def price(self, batch: Sequence[OutgoingMessage]) -> Money | None:
        """What these messages would usually cost; None where a country's price is not told.

        :raises ChannelError: the gateway could not be asked.
        """
        return self._prices.of(batch)

    def _ask_price(self, country: str) -> Money | None:
        said = self._said(
            self.ask_one(self._get("account/get-pricing/outbound/sms", [("country", country)]))
        )
        return money(said.get("defaultPrice"), said.get("currency"))

    def _by_id(self, group: Sequence[SentMessage]) -> HttpRequest:
        return self._records([("id", ",".join(each.provider_id or "" for each in group))])

    def _by_time(self, sent: SentMessage) -> HttpRequest:
        moments = (("date_start", -_AROUND), ("date_end", _AROUND))
        return self._records(
            [
                (name, f"{(sent.opened_at + apart).astimezone(UTC):%Y-%m-%dT%H:%M:%S+0000}")
                for name, apart in moments
            ]
        )

    def _records(self, fields: Sequence[tuple[str, str]]) -> HttpRequest:
        settings = self._settings
        same = [("account_id", settings.user), ("product", "SMS"), ("direction", "outbound")]
        url = f"{settings.records}/v2/reports/records"
        return HttpRequest.get(url, [*same, *fields], headers=settings.basic)

    def _get(self, what: str, fields: Sequence[tuple[str, str]] = ()) -> HttpRequest:
        url = f"{self._settings.root}/{what}"
        return HttpRequest.get(url, fields, headers=self._settings.basic)

    def _said(self, reply: HttpReply) -> Mapping[str, Any]:
        """The gateway's words on a question.

        :raises ChannelError: it refuses.
        """
        error = of_status(reply)
        if error is not None:
            raise error
        try:
            said = mapping_of(reply)
        except HttpFailure as failure:
            raise nothing_sent(failure) from None
        if not reply.ok:
            text = words(said.get("title")) or words(said.get("error-code-label"))
            answer = Answer(system="dispatch", code="unknown_answer", text=text)
            raise ConnectionFailed(answer) if reply.status >= 500 else ChannelError(answer)
        return said


def _told(
    group: Sequence[SentMessage], rows: Sequence[Mapping[str, Any]]
) -> Iterator[DeliveryReport]:
    """The reports of a group's messages, and of nobody else's."""
    names = {each.provider_id for each in group if each.provider_id}
    keys = {each.attempt_key for each in group}
    for row in rows:
        report = report_of(row)
        if report is not None and (report.provider_id in names or report.attempt_key in keys):
            yield report
