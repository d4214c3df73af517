"""A channel that breaks one promise of the contract reads in plain words which, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from clinic_dispatch_plugin.api import (
    Accepted,
    Account,
    Answer,
    Batch,
    CallbackRefused,
    Capabilities,
    Channel,
    ConnectionFailed,
    DeliveryReport,
    OutgoingMessage,
    PermanentError,
    Refused,
    ReportStatus,
    Sender,
    SendResult,
    TemporaryError,
    UncertainError,
)
from clinic_dispatch_plugin.testing import ChannelContract, FakeGateway, GatewayCall
from clinic_dispatch_plugin.testing import sentences as say
from clinic_dispatch_plugin.testing.gateways import GatewayUnderTest
from tests.contract.test_simple_channel import KEY, PigeonChannel

SECRET_WORD = "homing"
_AN_ANSWER = Answer(system="pigeon", code="no")


class Honest(PigeonChannel):
    """Keeps every promise, calls back, and may have a sender that does not."""

    capabilities = Capabilities(callbacks=True)
    #: Takes the place of what is sent.
    flaw: Callable[[Any, Batch], Iterator[SendResult]] | None = None

    @contextmanager
    def open(self, account: Account) -> Iterator[Sender]:
        with super().open(account) as sender:
            yield sender if self.flaw is None else _Flawed(sender, type(self).flaw)  # type: ignore[arg-type]

    def parse_callback(
        self, account: Account, headers: Any, body: bytes
    ) -> Sequence[DeliveryReport]:
        if headers.get("X-Word") != SECRET_WORD:
            raise CallbackRefused("it does not know the word")
        return [DeliveryReport(status=ReportStatus.DELIVERED, attempt_key=body.decode())]


class _Flawed:
    def __init__(self, sender: Sender, flaw: Callable[[Any, Batch], Iterator[SendResult]]) -> None:
        self._sender, self._flaw = sender, flaw

    def send(self, batch: Batch) -> Iterator[SendResult]:
        return self._flaw(self._sender, batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sender, name)


def contract(kind: type[Honest]) -> ChannelContract:
    """The contract for this channel."""

    class Contract(ChannelContract):
        secrets = (KEY,)
        no_addresses = ("", "anna")
        patience = 5.0

        @contextmanager
        def gateway(self) -> Iterator[GatewayUnderTest]:
            yield FakeGateway(slow_seconds=0.05)

        def make_channel(self, gateway: GatewayUnderTest) -> Channel:
            assert isinstance(gateway, FakeGateway)
            return kind(gateway)

        def callbacks(
            self, gateway: GatewayUnderTest, sent: Sequence[tuple[OutgoingMessage, Accepted]]
        ) -> Sequence[GatewayCall]:
            return [
                GatewayCall(headers={"X-Word": SECRET_WORD}, body=message.attempt_key.encode())
                for message, _ in sent
            ]

    return Contract()


def twice(sender: Any, batch: Batch) -> Iterator[SendResult]:
    for result in sender.send(batch):
        yield result
        yield result


def mute(sender: Any, batch: Batch) -> Iterator[SendResult]:
    for result in sender.send(batch):
        if not isinstance(result, Refused):
            continue
        yield result


def strange(sender: Any, batch: Batch) -> Iterator[SendResult]:
    for result in sender.send(batch):
        yield replace(result, attempt_id=-result.attempt_id)


def greedy(sender: Any, batch: Batch) -> Iterator[SendResult]:
    for message in list(batch):
        yield sender._send(message)


def pretending(sender: Any, batch: Batch) -> Iterator[SendResult]:
    for message in batch:
        yield Accepted(attempt_id=message.attempt_id)


def repeating(sender: Any, batch: Batch) -> Iterator[SendResult]:
    for message in batch:
        sender._send(message)
        yield sender._send(message)


def alike(sender: Any, batch: Batch) -> Iterator[SendResult]:
    for result in sender.send(batch):
        yield replace(result, provider_id="1") if isinstance(result, Accepted) else result


def deaf(sender: Any, batch: Batch) -> Iterator[SendResult]:
    # What is stopped may be cleared; this one had it all before.
    known = [batch.poll()]
    while (message := batch.poll()) is not None:
        known.append(message)
    for each in known:
        if each is not None:
            yield sender._send(each)


class Asking(Honest):
    """Answers as its gateway's errors are taken for others."""

    def send_one(self, message: OutgoingMessage, *, account: Account, timeout: float) -> Accepted:
        return self.told(
            lambda: super(Asking, self).send_one(message, account=account, timeout=timeout), message
        )

    def told(self, ask: Callable[[], Accepted], message: OutgoingMessage) -> Accepted:
        raise NotImplementedError


def taking(wrong: type[Exception], instead: Any) -> type[Honest]:
    """A channel that takes one kind of error for another, or for good."""

    class Taking(Asking):
        def told(self, ask: Callable[[], Accepted], message: OutgoingMessage) -> Accepted:
            try:
                return ask()
            except wrong as error:
                if instead is Accepted:
                    return Accepted(attempt_id=message.attempt_id)
                raise instead(getattr(error, "answer", _AN_ANSWER)) from None

    return Taking


def with_flaw(flaw: Any) -> type[Honest]:
    return type("WithFlaw", (Honest,), {"flaw": staticmethod(flaw)})


def with_more(**more: Any) -> type[Honest]:
    return type("WithMore", (Honest,), more)


def _hasty(self: Any, message: OutgoingMessage, *, account: Account, timeout: float) -> Accepted:
    return PigeonChannel.send_one(self, message, account=account, timeout=0.01)


def _leaking(self: Any) -> Sequence[Account]:
    return (Account(channel="pigeon", label=f"the loft {KEY}"),)


def _unnamed(self: Any) -> Sequence[Account]:
    return (Account(channel="pigeon"),)


def _believing(self: Any, account: Account, headers: Any, body: bytes) -> Sequence[DeliveryReport]:
    text = body.decode("utf-8", "replace")
    return [DeliveryReport(status=ReportStatus.DELIVERED, attempt_key=text)]


def _raising(self: Any, account: Account, headers: Any, body: bytes) -> Sequence[DeliveryReport]:
    raise KeyError("id")


def _nameless(self: Any, account: Account, headers: Any, body: bytes) -> Sequence[DeliveryReport]:
    return [DeliveryReport(status=ReportStatus.DELIVERED)]


def _restless(self: Any, raw: str, *, region: str) -> str:
    return (
        f"{raw.strip()}@"
        if "@" in raw
        else PigeonChannel.normalise_address(self, raw, region=region)
    )


def _trusting(self: Any, raw: str, *, region: str) -> str:
    return raw.strip()


BEFORE = "a_connection_lost_before_the_hand_over_means_not_sent"
AFTER = "a_connection_lost_after_the_hand_over_leaves_it_uncertain"
BROKEN: Sequence[tuple[type[Honest], str, str]] = [
    (with_flaw(twice), "every_message_of_a_batch_is_accepted_once", say.TWICE_ANSWERED),
    (with_flaw(strange), "every_message_of_a_batch_is_accepted_once", say.NOT_TAKEN),
    (with_flaw(mute), "every_message_of_a_batch_is_accepted_once", say.NO_RESULT),
    (with_flaw(greedy), "every_message_of_a_batch_is_accepted_once", say.TOO_MANY_IN_HAND),
    (with_flaw(pretending), "every_message_of_a_batch_is_accepted_once", say.ACCEPTED_NOT_TAKEN),
    (with_flaw(repeating), "every_message_of_a_batch_is_accepted_once", say.HANDED_TWICE),
    (with_flaw(alike), "no_two_messages_have_one_id", say.SAME_IDS),
    (with_flaw(deaf), "a_stream_that_is_stopped_leaves_the_rest_untaken", say.AFTER_STOP),
    (
        taking(PermanentError, TemporaryError),
        "a_refusal_for_good_is_not_tried_again",
        say.REFUSED_FOR_GOOD,
    ),
    (
        taking(TemporaryError, PermanentError),
        "a_refusal_for_now_is_tried_again",
        say.REFUSED_FOR_NOW,
    ),
    (taking(UncertainError, Accepted), "silence_is_never_called_sent_or_refused", say.SILENCE),
    (taking(UncertainError, Accepted), "rubbish_is_never_called_sent", say.RUBBISH),
    (taking(UncertainError, PermanentError), "rubbish_is_never_called_sent", say.RUBBISH),
    (with_more(send_one=_hasty), "a_slow_gateway_is_waited_for", say.SLOW),
    (
        taking(ConnectionFailed, UncertainError),
        "a_connection_lost_before_the_hand_over_means_not_sent",
        say.LOST_BEFORE,
    ),
    (
        taking(UncertainError, ConnectionFailed),
        "a_connection_lost_after_the_hand_over_leaves_it_uncertain",
        say.NOT_SENT_TAKEN,
    ),
    (
        taking(UncertainError, PermanentError),
        "a_connection_lost_after_the_hand_over_leaves_it_uncertain",
        say.LOST_AFTER,
    ),
    (taking(Exception, PermanentError), "a_refused_account_leaves_the_rest_untaken", say.ACCOUNT),
    (with_more(accounts=_leaking), "no_secret_is_shown", say.SECRET),
    (with_more(accounts=_unnamed), "the_channel_names_itself_and_its_accounts", say.NAMES),
    (
        with_more(normalise_address=_restless),
        "a_normalised_address_stays_as_it_is",
        say.ADDRESS_CHANGES,
    ),
    (
        with_more(normalise_address=_trusting),
        "what_is_no_address_is_refused_with_an_answer",
        say.NO_ADDRESS_TAKEN,
    ),
    (with_more(parse_callback=_believing), "a_forged_callback_is_refused", say.FORGED),
    (
        with_more(parse_callback=_raising),
        "a_callback_of_rubbish_is_refused",
        say.CALLBACK_RAISES.format(error="KeyError"),
    ),
    (
        with_more(parse_callback=_nameless),
        "a_good_callback_names_its_message",
        say.CALLBACK_UNKNOWN,
    ),
]


@pytest.mark.parametrize(("kind", "rule", "sentence"), BROKEN)
def test_a_broken_promise_is_named(kind: type[Honest], rule: str, sentence: str) -> None:
    with pytest.raises(AssertionError) as caught:
        getattr(contract(kind), f"test_{rule}")()
    assert sentence in str(caught.value)


@pytest.mark.parametrize("rule", sorted({rule for _, rule, _ in BROKEN}))
def test_an_honest_channel_hears_nothing(rule: str) -> None:
    getattr(contract(Honest), f"test_{rule}")()


def test_a_channel_that_says_it_is_called_back_has_to_show_it() -> None:
    made = contract(Honest)
    made.callbacks = lambda gateway, sent: ()  # type: ignore[method-assign]
    with pytest.raises(AssertionError, match="shows none"):
        made.test_a_good_callback_names_its_message()
