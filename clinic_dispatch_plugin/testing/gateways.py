"""What a gateway may do to a channel, the door by which the contract asks for it, and a gateway in memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class How(StrEnum):
    """What a gateway does with the messages to one address."""

    ACCEPT = "accept"
    #: Refused, and never any different.
    REFUSE = "refuse"
    #: Refused, and later it may work.
    REFUSE_FOR_NOW = "refuse_for_now"
    #: Everything is read, nothing is said.
    SILENCE = "silence"
    #: Something is said that the protocol does not know.
    RUBBISH = "rubbish"
    #: Accepted, after a pause that is well within the channel's own patience.
    SLOW = "slow"
    #: The connection ends before the channel has written the whole message.
    LOST_BEFORE = "lost_before"
    #: The connection ends after the message was read to its end, without an answer.
    LOST_AFTER = "lost_after"


class GatewayUnderTest(Protocol):
    """The other side of a channel, as a contract test commands it."""

    def address(self, name: str) -> str:
        """An address the channel takes as valid and already normalised; different names, different addresses."""

    def behave(self, address: str, how: How) -> None:
        """What happens to messages to this address from now on; all others are accepted.

        :raises NotImplementedError: this gateway has no such way; the test that asks for it is left out by name.
        """

    def refuse_account(self) -> None:
        """From now on the account is not let in: wrong password, no balance."""

    def taken(self) -> Sequence[str]:
        """The address of every message read to its end, refused ones left out, in order; a repeat stands twice."""


class GatewayGone(ConnectionError):
    """The connection ended; ``handed_over`` says whether the message was whole by then."""

    def __init__(self, *, handed_over: bool) -> None:
        super().__init__("the connection was closed by the gateway")
        self.handed_over = handed_over


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayReply:
    """What a gateway in memory says, as a client library would hand it on."""

    code: str
    text: str = ""
    message_id: str | None = None


class FakeGateway:
    """A gateway in memory for channels of one call per message: stands in for the client such a channel uses.

    Its answers have these codes: ``ok``, ``no_such_recipient`` (for good), ``try_later`` (for now), ``denied`` (the
    account); rubbish has none.
    """

    def __init__(self, *, domain: str = "example.org", slow_seconds: float = 0.3) -> None:
        """Accept everything.

        :param slow_seconds: what *slow* takes.
        """
        self._domain = domain
        self._slow = slow_seconds
        self._ways: dict[str, How] = {}
        self._denied = False
        self._taken: list[str] = []

    def address(self, name: str) -> str:
        return f"{name}@{self._domain}"

    def behave(self, address: str, how: How) -> None:
        self._ways[address] = how

    def refuse_account(self) -> None:
        self._denied = True

    def taken(self) -> Sequence[str]:
        return tuple(self._taken)

    def call(self, address: str, text: str, *, timeout: float) -> GatewayReply:
        """Send one message, as a channel's client would.

        :param timeout: seconds for the whole call.
        :raises TimeoutError: no answer within ``timeout``; it may have been taken.
        :raises GatewayGone: the connection ended.
        """
        if self._denied:
            return GatewayReply(code="denied", text="Wrong key")
        match self._ways.get(address, How.ACCEPT):
            case How.REFUSE:
                return GatewayReply(code="no_such_recipient", text=f"Nobody is called {address}")
            case How.REFUSE_FOR_NOW:
                return GatewayReply(code="try_later", text="Busy, try later")
            case How.LOST_BEFORE:
                raise GatewayGone(handed_over=False)
            case How.SLOW:
                time.sleep(min(self._slow, timeout))
                if (
                    self._slow > timeout
                ):  # whoever cannot wait learns nothing, and it is taken all the same
                    self._taken.append(address)
                    raise TimeoutError
            case _:
                pass
        self._taken.append(address)
        match self._ways.get(address):
            case How.SILENCE:
                time.sleep(timeout)
                raise TimeoutError
            case How.RUBBISH:
                return GatewayReply(code="", text="<html>It works!</html>")
            case How.LOST_AFTER:
                raise GatewayGone(handed_over=True)
            case _:
                return GatewayReply(code="ok", message_id=f"m{len(self._taken)}")
