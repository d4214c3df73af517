"""What gateways have in common that are a clinic's own exchange."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clinic_dispatch_plugin.api import Sender
from clinic_dispatch_sms.gateway import Gateway
from clinic_dispatch_voice.exchange.sender import Caller, CallingSender
from clinic_dispatch_voice.exchange.settings import CallSettings


class ExchangeGateway(Gateway):
    """An exchange that does not report: whoever calls hears it himself."""

    @abc.abstractmethod
    def caller(self, settings: Any) -> Caller:
        """What makes the calls."""

    @contextmanager
    def open(self, settings: Any) -> Iterator[Sender]:
        """A sender that connects when it first calls."""
        with self._opened(settings) as sender:
            yield sender

    def connect(self, settings: Any) -> None:
        """Ask whether the exchange is there, without calling anybody.

        :raises ChannelError: it is not, does not know us, or nothing here can speak.
        """
        with self._opened(settings) as sender:
            sender.sign_in()

    @contextmanager
    def _opened(self, settings: Any) -> Iterator[CallingSender]:
        assert isinstance(settings, CallSettings)
        sender = CallingSender(settings, self.caller(settings))
        try:
            yield sender
        finally:
            sender.close()
