"""What an account at Twilio is asked: to send, what became of messages, what is left, what it would cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, timedelta
from typing import Any, ClassVar

from clinic_dispatch_plugin.api import (
    DeliveryReport,
    HttpReply,
    HttpRequest,
    Money,
    OutgoingMessage,
    SentMessage,
)
from clinic_dispatch_sms.countries import CountryPrices
from clinic_dispatch_sms.http_gateway import AskingSender, told
from clinic_dispatch_sms.reading import balance, mappings, money, words
from clinic_dispatch_sms.twilio.protocol import TwilioProtocol, error_in, of_the_account
from clinic_dispatch_sms.twilio.reports import created_at, report_of
from clinic_dispatch_sms.twilio.settings import TwilioSettings

#: How far the gateway's clock and ours may be apart when a message is looked for.
_AROUND = timedelta(minutes=5)
_MOST_LISTED = 100


class TwilioSender(AskingSender[SentMessage]):
    """An open account."""

    #: What is sent, as addresses name it, and the field that tells when it was.
    resource: ClassVar[str] = "Messages"
    sent_at: ClassVar[str] = "DateSent"

    def __init__(self, settings: TwilioSettings, protocol: TwilioProtocol | None = None) -> None:
        super().__init__(protocol or TwilioProtocol(settings), settings.limits)
        self._settings = settings
        self._prices = CountryPrices(self._ask_price)

    def check(self, sent: Sequence[SentMessage]) -> Iterator[DeliveryReport]:
        """Ask for each message by its identifier; one whose identifier was lost is looked for in the list.

        :raises ChannelError: the gateway could not be asked.
        """
        named = [
            (each, self._get(f"{self.resource}/{each.provider_id}.json"))
            for each in sent
            if each.provider_id
        ]
        for _, reply in self.ask_each(named):
            report = None if reply.status == 404 else self.report(self._said(reply))
            if report is not None:
                yield report
        claimed = {each.provider_id for each in sent}
        lost = [(each, self._list(each)) for each in sent if not each.provider_id]
        for each, reply in self.ask_each(lost):
            found = self._only_one(each, self._said(reply), claimed)
            report = self.report(found, attempt_key=each.attempt_key)
            if report is not None:
                claimed.add(report.provider_id)
                yield report

    def report(
        self, said: Mapping[str, Any], *, attempt_key: str | None = None
    ) -> DeliveryReport | None:
        """What the gateway says of one; None: it holds no state we know."""
        return report_of(said, attempt_key=attempt_key)

    def sign_in(self) -> None:
        """Ask for one message: every key may, where the balance is told to whole accounts alone.

        :raises ChannelError: the gateway refuses, or could not be asked.
        """
        self._said(self.ask_one(self._get(f"{self.resource}.json", [("PageSize", "1")])))

    def balance(self) -> Money | None:
        """What is left on the account; None where it is another's child.

        :raises ChannelError: the gateway could not be asked.
        """
        reply = self.ask_one(self._get("Balance.json"))
        if reply.status == 404:
            return None
        said = self._said(reply)
        return balance(said.get("balance"), said.get("currency"))

    def price(self, batch: Sequence[OutgoingMessage]) -> Money | None:
        """What these messages would cost at most; None where a country's price is not told.

        :raises ChannelError: the gateway could not be asked.
        """
        return self._prices.of(batch)

    def _ask_price(self, country: str) -> Money | None:
        url = f"{self._settings.prices}/v1/Messaging/Countries/{country}"
        reply = self.ask_one(HttpRequest.get(url, headers=self._settings.basic))
        if reply.status == 404:
            return None
        said = self._said(reply)
        prices = [
            money(price.get("current_price"), said.get("price_unit"))
            for carrier in mappings(said.get("outbound_sms_prices"))
            for price in mappings(carrier.get("prices"))
        ]
        return max((each for each in prices if each), key=lambda each: each.amount, default=None)

    def _get(self, what: str, fields: Sequence[tuple[str, str]] = ()) -> HttpRequest:
        url = f"{self._settings.address}/{what}"
        return HttpRequest.get(url, fields, headers=self._settings.basic)

    def _list(self, sent: SentMessage) -> HttpRequest:
        """The messages to this number around the time of the attempt."""
        moments = ((f"{self.sent_at}>", -_AROUND), (f"{self.sent_at}<", _AROUND))
        fields = [("To", sent.address), ("PageSize", str(_MOST_LISTED))]
        fields += [
            (name, f"{(sent.opened_at + apart).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
            for name, apart in moments
        ]
        return self._get(f"{self.resource}.json", fields)

    def _only_one(
        self, sent: SentMessage, said: Mapping[str, Any], claimed: set[str | None]
    ) -> Mapping[str, Any]:
        """The one message that can only be this attempt's; empty where there is none, or more than one.

        None is no proof that nothing was taken: lists lag.
        """
        found = [
            each
            for each in mappings(said.get(self.resource.lower()))
            if each.get("to") == sent.address
            and words(each.get("sid"), 64) not in claimed
            and self._is_ours(each)
            and self._is_of_that_time(each, sent)
            and self._says(each, sent)
        ]
        return found[0] if len(found) == 1 and not said.get("next_page_uri") else {}

    def _says(self, each: Mapping[str, Any], sent: SentMessage) -> bool:
        return "body" not in each or sent.text in {"", each["body"]}

    def _is_ours(self, each: Mapping[str, Any]) -> bool:
        sender = self._settings.sender
        return sender in {each.get("from"), each.get("messaging_service_sid")}

    def _is_of_that_time(self, each: Mapping[str, Any], sent: SentMessage) -> bool:
        at = created_at(each.get("date_created"))
        if at is None or at.tzinfo is None:
            return False
        return abs(at - sent.opened_at) <= _AROUND

    def _said(self, reply: HttpReply) -> Mapping[str, Any]:
        """The gateway's words on a question.

        :raises ChannelError: it refuses.
        """
        return told(reply, error_in=error_in, of_the_account=of_the_account)
