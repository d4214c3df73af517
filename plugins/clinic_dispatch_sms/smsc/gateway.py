"""SMSC as one of the channel's gateways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from clinic_dispatch_plugin.api import Capabilities, DeliveryReport, GatewayForm, GatewayUrl, Sender
from clinic_dispatch_sms import forms
from clinic_dispatch_sms.gateway import Gateway
from clinic_dispatch_sms.smsc.reports import called_back
from clinic_dispatch_sms.smsc.sender import SmscSender
from clinic_dispatch_sms.smsc.settings import MOST, SmscSettings, read_settings


class SmscGateway(Gateway):
    """``smsc://login:password@smsc.kz/?sender=Clinic``."""

    scheme: ClassVar[str] = "smsc"
    example: ClassVar[str] = "smsc://login:password@smsc.kz/?sender=Clinic"
    form: ClassVar[GatewayForm | None] = forms.SMSC
    capabilities: ClassVar[Capabilities] = Capabilities(
        max_batch=MOST,
        query_by_our_id=True,
        # How long states are kept is not said; within two days they are there.
        report_window=2 * 86_400,
        callbacks=True,
        balance=True,
        price=True,
    )

    def read(self, url: GatewayUrl) -> SmscSettings:
        """The settings in a URL."""
        return read_settings(url)

    @contextmanager
    def open(self, settings: Any) -> Iterator[Sender]:
        """A sender that connects when it first asks."""
        assert isinstance(settings, SmscSettings)
        sender = SmscSender(settings)
        try:
            yield sender
        finally:
            sender.close()

    def connect(self, settings: Any) -> None:
        """Ask for the balance: it takes the login and costs nothing.

        :raises ChannelError: the login is wrong, or the gateway cannot be reached.
        """
        assert isinstance(settings, SmscSettings)
        sender = SmscSender(settings)
        try:
            sender.balance()
        finally:
            sender.close()

    def parse_callback(
        self, settings: Any, headers: Mapping[str, str], body: bytes
    ) -> Sequence[DeliveryReport]:
        """One state of one message a call.

        :raises CallbackRefused: it is not signed with the account's secret.
        """
        assert isinstance(settings, SmscSettings)
        report = called_back(body, settings.callback_key, settings.kind, currency=settings.currency)
        return [report] if report is not None else []
