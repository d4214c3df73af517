"""What gateways that speak HTTP have in common as the channel sees them."""

from __future__ import annotations

import abc
import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from clinic_dispatch_plugin.api import (
    Answer,
    ChannelError,
    GatewayUrl,
    HttpClient,
    HttpFailure,
    HttpLimits,
    HttpProtocol,
    HttpReply,
    HttpRequest,
    HttpSender,
    Money,
    Sender,
    nothing_sent,
)
from clinic_dispatch_sms.gateway import Gateway, GatewaySettings
from clinic_dispatch_sms.reading import mapping_of

Token = TypeVar("Token")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings(GatewaySettings):
    """One account at such a gateway. All times in seconds."""

    #: The server's root, without a slash at its end.
    root: str
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    sender: str = ""
    #: Where the gateway reports to; empty: it is asked instead.
    callback_url: str = field(default="", repr=False)
    #: What its reports are known by, where it signs none.
    callback_secret: str = field(default="", repr=False)
    connect_timeout: float = 10.0
    timeout: float = 30.0
    ca_file: str | None = None
    #: A person typed where to: private networks it may be in.
    allowed: tuple[str, ...] | None = None

    @property
    def limits(self) -> HttpLimits:
        """How patient its client is."""
        return HttpLimits(
            connect_timeout=self.connect_timeout,
            timeout=self.timeout,
            connections=self.connections,
            ca_file=self.ca_file,
            allowed=self.allowed,
        )

    @property
    def basic(self) -> Mapping[str, str]:
        """The header that says who asks."""
        login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {login}"}


def common_options(url: GatewayUrl, *, connections: int) -> dict[str, Any]:
    """The options that mean the same everywhere."""
    return {
        "rate": url.rate(),
        "connections": url.whole("connections", connections, lowest=1, highest=100),
        "connect_timeout": url.seconds("connect_timeout", 10.0),
        "timeout": url.seconds("timeout", 30.0),
        "ca_file": url.ca_file(),
        "allowed": url.allowed,
    }


def told(
    reply: HttpReply,
    *,
    error_in: Callable[[Mapping[str, Any], HttpReply], Answer],
    of_the_account: Callable[[Answer, HttpReply], ChannelError | None],
) -> Mapping[str, Any]:
    """A gateway's words on a question.

    :param error_in: what it refuses with.
    :param of_the_account: the error for a refusal that is about the whole account; None: it is about the question.
    :raises ChannelError: it refuses.
    """
    try:
        said = mapping_of(reply)
        if reply.ok:
            return said
        answer = error_in(said, reply)
    except HttpFailure as failure:
        raise nothing_sent(failure) from None
    raise of_the_account(answer, reply) or ChannelError(answer)


class AskingSender(HttpSender, Generic[Token]):
    """A sender that can be asked many things at once."""

    def __init__(self, protocol: HttpProtocol, limits: HttpLimits) -> None:
        super().__init__(protocol, limits)
        self._asking: HttpClient[tuple[int, Token]] = HttpClient(limits)

    def ask_each(
        self, questions: Sequence[tuple[Token, HttpRequest]]
    ) -> Iterator[tuple[Token, HttpReply]]:
        """Ask them all, as many at once as there are connections; the answers in any order.

        :raises ChannelError: one of them got no usable answer.
        """
        waiting = list(enumerate(questions))[::-1]
        try:
            while waiting or self._asking.under_way:
                while waiting and self._asking.free > 0:
                    number, (token, request) = waiting.pop()
                    self._asking.start(request, (number, token))
                for (_, token), outcome in self._asking.finished(1.0):
                    if isinstance(outcome, HttpFailure):
                        raise nothing_sent(outcome)
                    yield token, outcome
        finally:
            self._asking.drop()

    def ask_one(self, request: HttpRequest) -> HttpReply:
        """Ask once.

        :raises ChannelError: there is no usable answer.
        """
        try:
            return self.ask(request)
        except HttpFailure as failure:
            raise nothing_sent(failure) from None

    def sign_in(self) -> None:
        """Ask something that takes the login and costs nothing; the balance, unless there is something better.

        :raises ChannelError: the gateway refuses, or could not be asked.
        """
        self.balance()

    def close(self) -> None:
        """End every connection."""
        self._asking.close()
        super().close()


class HttpGateway(Gateway):
    """A gateway whose sender speaks HTTP."""

    @abc.abstractmethod
    def sender(self, settings: Any) -> AskingSender[Any]:
        """A new sender; it has not connected yet."""

    @contextmanager
    def open(self, settings: Any) -> Iterator[Sender]:
        """A sender that connects when it first asks."""
        sender = self.sender(settings)
        try:
            yield sender
        finally:
            sender.close()

    def connect(self, settings: Any) -> None:
        """Ask something that takes the login and costs nothing.

        :raises ChannelError: the login is wrong, or the gateway cannot be reached.
        """
        sender = self.sender(settings)
        try:
            sender.sign_in()
        finally:
            sender.close()


def added(prices: Sequence[Money | None]) -> Money | None:
    """The sum; None where one is unknown or they are in several currencies."""
    known = [each for each in prices if each is not None]
    if not known or len(known) < len(prices) or len({each.currency for each in known}) > 1:
        return None
    total = sum((each.amount for each in known[1:]), known[0].amount)
    return Money(amount=total, currency=known[0].currency)
