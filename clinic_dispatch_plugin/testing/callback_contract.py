"""What a channel promises about later words: what its gateway calls back, and what it says when it is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from clinic_dispatch_plugin.api import (
    Accepted,
    CallbackRefused,
    Channel,
    ChannelError,
    DeliveryReport,
    OutgoingMessage,
    ReportStatus,
    SentMessage,
)
from clinic_dispatch_plugin.testing import sentences as say
from clinic_dispatch_plugin.testing.batches import ListBatch
from clinic_dispatch_plugin.testing.gateways import GatewayUnderTest
from clinic_dispatch_plugin.testing.messages import make_message

_RUBBISH = (b"", b"{", b"\xff\xfe\x00", b"[" * 5_000, b"a=1&" * 300, b"<html></html>")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayCall:
    """A call a gateway makes: headers, with its path and query as ``:path``, and the body."""

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class CallbackContract:
    """The part of the contract about reports."""

    #: Where good and forged callbacks are tried, if not here.
    callbacks_elsewhere = ""

    def gateway(self) -> AbstractContextManager[GatewayUnderTest]:
        """A new gateway that runs until the context ends."""
        raise NotImplementedError

    def make_channel(self, gateway: GatewayUnderTest) -> Channel:
        """The channel with one account at this gateway, with timeouts of a second or so."""
        raise NotImplementedError

    def callbacks(
        self, gateway: GatewayUnderTest, sent: Sequence[tuple[OutgoingMessage, Accepted]]
    ) -> Sequence[GatewayCall]:
        """Calls as the gateway makes them about these, with its signature or secret; none: it calls nobody."""
        return ()

    def _calls(
        self,
    ) -> tuple[Channel, list[tuple[OutgoingMessage, Accepted]], Sequence[GatewayCall]]:
        """A channel that sent two messages, and what its gateway calls back about them."""
        with self.gateway() as gateway:
            channel = self.make_channel(gateway)
            messages = [make_message(gateway.address(name)) for name in ("first", "second")]
            with channel.open(channel.accounts()[0]) as sender:
                results = {each.attempt_id: each for each in sender.send(ListBatch(messages))}
            sent = [
                (message, result)
                for message in messages
                if isinstance(result := results.get(message.attempt_id), Accepted)
            ]
            calls = self.callbacks(gateway, sent)
        if not calls:
            if self.callbacks_elsewhere:
                pytest.skip(f"callbacks are tried in {self.callbacks_elsewhere}")
            assert not channel.capabilities.callbacks, say.CALLBACKS_UNTRIED
            pytest.skip("this gateway calls nobody back, or callbacks() shows no call")
        return channel, sent, calls

    def test_a_good_callback_names_its_message(self) -> None:
        channel, sent, calls = self._calls()
        keys = {message.attempt_key for message, _ in sent}
        ids = {result.provider_id for _, result in sent} - {None}
        for call in calls:
            reports = _parsed(channel, call)
            assert reports, say.CALLBACK_UNKNOWN
            for each in reports:
                named = each.attempt_key in keys or each.provider_id in ids
                assert named, say.CALLBACK_UNKNOWN
            assert list(_parsed(channel, call)) == list(reports), say.CALLBACK_TWICE

    def test_a_forged_callback_is_refused(self) -> None:
        channel, _, calls = self._calls()
        for call in calls:
            path = call.headers.get(":path", "").partition("?")[0]
            kind = {
                name: value
                for name, value in call.headers.items()
                if name.lower() == "content-type"
            }
            self._check_refused(
                channel, GatewayCall(headers={**kind, ":path": path}, body=call.body[:-1])
            )

    def test_a_callback_of_rubbish_is_refused(self) -> None:
        with self.gateway() as gateway:
            channel = self.make_channel(gateway)
        for body in _RUBBISH:
            self._check_refused(channel, GatewayCall(headers={}, body=body))

    def _check_refused(self, channel: Channel, call: GatewayCall) -> None:
        try:
            _parsed(channel, call)
        except CallbackRefused:
            return
        except Exception as error:
            raise AssertionError(say.CALLBACK_RAISES.format(error=type(error).__name__)) from error
        raise AssertionError(say.FORGED)

    def test_of_what_was_never_sent_no_good_is_said(self) -> None:
        with self.gateway() as gateway:
            channel = self.make_channel(gateway)
            never = make_message(gateway.address("never"))
            asked = SentMessage(
                attempt_id=never.attempt_id,
                attempt_key=never.attempt_key,
                provider_id=None,
                address=never.address,
                opened_at=datetime.now(UTC),
                text=never.content.text,
            )
            with channel.open(channel.accounts()[0]) as sender:
                try:
                    said = [each.status for each in sender.check([asked])]
                except ChannelError:
                    return
        assert ReportStatus.DELIVERED not in said, say.CHECK_INVENTS


def _parsed(channel: Channel, call: GatewayCall) -> Sequence[DeliveryReport]:
    return channel.parse_callback(channel.accounts()[0], call.headers, call.body)
