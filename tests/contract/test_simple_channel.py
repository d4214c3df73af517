"""A channel as a third party writes it, one call a message, against the contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from clinic_dispatch_plugin.api import (
    Accepted,
    Account,
    AccountError,
    Answer,
    Channel,
    ConnectionFailed,
    InvalidAddress,
    OutgoingMessage,
    PermanentError,
    SimpleChannel,
    TemporaryError,
    UncertainError,
)
from clinic_dispatch_plugin.testing import (
    ChannelContract,
    FakeGateway,
    GatewayGone,
    GatewayReply,
    GatewayUnderTest,
)

KEY = "canary-key-4711"


@dataclass(frozen=True)
class PigeonSettings:
    key: str = field(repr=False)


class PigeonChannel(SimpleChannel):
    """Sends through a client that is called once a message."""

    key = "pigeon"
    label = "Carrier pigeon"
    timeout = 0.5

    def __init__(self, client: FakeGateway) -> None:
        self._client = client

    def accounts(self) -> Sequence[Account]:
        return (Account(channel="pigeon", label="the loft", settings=PigeonSettings(KEY)),)

    def normalise_address(self, raw: str, *, region: str) -> str:
        if "@" not in raw:
            raise InvalidAddress(self._own("malformed_address"))
        return raw.strip()

    def send_one(self, message: OutgoingMessage, *, account: Account, timeout: float) -> Accepted:
        try:
            reply = self._client.call(message.address, message.content.text, timeout=timeout)
        except TimeoutError:
            raise UncertainError(self._own("timeout")) from None
        except GatewayGone as gone:
            if gone.handed_over:
                raise UncertainError(self._own("connection_lost")) from None
            raise ConnectionFailed(self._own("connect_failed")) from None
        return self._understand(reply, message)

    def _understand(self, reply: GatewayReply, message: OutgoingMessage) -> Accepted:
        answer = Answer(system="pigeon", code=reply.code or "unknown_answer", text=reply.text)
        match reply.code:
            case "ok":
                return Accepted(attempt_id=message.attempt_id, provider_id=reply.message_id)
            case "no_such_recipient":
                raise PermanentError(answer)
            case "try_later":
                raise TemporaryError(answer)
            case "denied":
                raise AccountError(answer)
        raise UncertainError(answer)

    def _own(self, code: str) -> Answer:
        return Answer(system="dispatch", code=code)


class TestPigeonChannel(ChannelContract):
    secrets = (KEY,)
    no_addresses = ("", "anna")

    @contextmanager
    def gateway(self) -> Iterator[GatewayUnderTest]:
        yield FakeGateway(slow_seconds=0.1)

    def make_channel(self, gateway: GatewayUnderTest) -> Channel:
        assert isinstance(gateway, FakeGateway)
        return PigeonChannel(gateway)
