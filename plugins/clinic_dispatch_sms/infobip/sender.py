"""What an account at Infobip is asked: to send, what became of messages, what is left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from clinic_dispatch_plugin.api import (
    DeliveryReport,
    HttpReply,
    HttpRequest,
    Money,
    ReportStatus,
    SentMessage,
)
from clinic_dispatch_sms.http_gateway import AskingSender, told
from clinic_dispatch_sms.infobip.protocol import InfobipProtocol, error_in, of_the_account
from clinic_dispatch_sms.infobip.reports import report_of
from clinic_dispatch_sms.infobip.settings import InfobipSettings
from clinic_dispatch_sms.reading import balance, mappings, words

#: Messages one question holds.
ASKED_AT_ONCE = 50
#: How long the log is sure to know a message that was taken.
_REMEMBERED = timedelta(hours=47)


class InfobipSender(AskingSender[Sequence[SentMessage]]):
    """An open account."""

    #: Where is told what became of messages.
    logs: ClassVar[str] = "sms/3/logs"

    def __init__(self, settings: InfobipSettings, protocol: InfobipProtocol | None = None) -> None:
        super().__init__(protocol or InfobipProtocol(settings), settings.limits)
        self._settings = settings

    def check(self, sent: Sequence[SentMessage]) -> Iterator[DeliveryReport]:
        """Ask the log, by the ids we chose: it tells as often as it is asked, where reports are handed out once.

        :raises ChannelError: the gateway could not be asked.
        """
        groups = [
            sent[start : start + ASKED_AT_ONCE] for start in range(0, len(sent), ASKED_AT_ONCE)
        ]
        for group, reply in self.ask_each([(group, self._question(group)) for group in groups]):
            rows = mappings(self._said(reply).get("results"))
            found = {words(row.get("messageId"), 200): row for row in rows}
            for each in group:
                report = _report(each, found)
                if report is not None:
                    yield report

    def balance(self) -> Money | None:
        """What is left on the account.

        :raises ChannelError: the gateway could not be asked.
        """
        said = self._said(self.ask_one(self._get("account/1/balance")))
        return balance(said.get("balance"), said.get("currency"))

    def _question(self, group: Sequence[SentMessage]) -> HttpRequest:
        fields = [("messageId", each.attempt_key) for each in group]
        return self._get(self.logs, [*fields, ("limit", str(len(group)))])

    def _get(self, what: str, fields: Sequence[tuple[str, str]] = ()) -> HttpRequest:
        headers = {**self._settings.authorization, "Accept": "application/json"}
        return HttpRequest.get(f"{self._settings.root}/{what}", fields, headers=headers)

    def _said(self, reply: HttpReply) -> Mapping[str, Any]:
        """The gateway's words on a question.

        :raises ChannelError: it refuses.
        """
        return told(reply, error_in=error_in, of_the_account=of_the_account)


def _report(each: SentMessage, found: Mapping[str, Mapping[str, Any]]) -> DeliveryReport | None:
    row = found.get(each.attempt_key)
    if row is not None:
        return report_of(row)
    if datetime.now(UTC) - each.opened_at > _REMEMBERED:
        return None  # forgotten is not unknown
    return DeliveryReport(status=ReportStatus.NOT_FOUND, attempt_key=each.attempt_key)
