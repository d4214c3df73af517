"""What a gateway is: everything behind one scheme of ``CLINIC_DISPATCH_SMS_URL``, or of another such variable."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

from clinic_dispatch_plugin.api import (
    CallbackRefused,
    CallbackReply,
    Capabilities,
    DeliveryReport,
    GatewayForm,
    GatewayUrl,
    Sender,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """What the core needs of any account; a gateway's own settings add to it. Secrets have ``repr=False``."""

    #: What pages and logs may show, such as ``"smsc smsc.kz"``; never a secret.
    label: str
    #: Messages a second over all workers; None: no limit of ours.
    rate: float | None = None
    #: Connections one sender holds at most.
    connections: int = 4


class Gateway(abc.ABC):
    """One kind of gateway. It keeps nothing: what an account needs is in its settings."""

    #: How its URLs begin.
    scheme: ClassVar[str]
    #: A right URL, for advice.
    example: ClassVar[str]
    capabilities: ClassVar[Capabilities] = Capabilities()
    #: What the settings page asks for.
    form: ClassVar[GatewayForm | None] = None

    @abc.abstractmethod
    def read(self, url: GatewayUrl) -> GatewaySettings:
        """The settings in a URL; the caller checks afterwards that no option was left over.

        :raises ConfigurationError: something is wrong or missing (``url.wrong``).
        """

    @abc.abstractmethod
    def open(self, settings: Any) -> AbstractContextManager[Sender]:
        """A sender with these settings of this gateway's; its check, balance and price ask the gateway."""

    @abc.abstractmethod
    def connect(self, settings: Any) -> None:
        """Sign in and out again, without sending anything.

        :raises ChannelError: what went wrong.
        """

    def parse_callback(
        self, settings: Any, headers: Mapping[str, str], body: bytes
    ) -> Sequence[DeliveryReport]:
        """Understand what the gateway calls back.

        :param body: of a GET, what stands behind the ``?``.
        :raises CallbackRefused: it is forged or not for us.
        """
        raise CallbackRefused("this gateway takes no callbacks")

    def callback_reply(
        self, settings: Any, headers: Mapping[str, str], body: bytes
    ) -> CallbackReply | None:
        """What the gateway wants to hear on a call that was taken; None: nothing."""
        return None
