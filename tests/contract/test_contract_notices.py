"""The contract must fail for channels that break it; each of these breaks one promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from clinic_dispatch_plugin.api import (
    Accepted,
    Account,
    Answer,
    Batch,
    Channel,
    OutgoingMessage,
    Refused,
    Sender,
    SendResult,
    UncertainError,
)
from clinic_dispatch_plugin.testing import FakeGateway, GatewayUnderTest, ListBatch
from tests.contract.test_simple_channel import PigeonChannel
from tests.contract.test_simple_channel import TestPigeonChannel as PigeonContract


class Optimist(PigeonChannel):
    """Calls everything sent that was not refused."""

    def send_one(self, message: OutgoingMessage, *, account: Account, timeout: float) -> Accepted:
        try:
            return super().send_one(message, account=account, timeout=timeout)
        except UncertainError:
            return Accepted(attempt_id=message.attempt_id)


class Bent(PigeonChannel):
    """Hands the batch and its results on through a function that spoils them."""

    def __init__(self, client: FakeGateway, bend: Callable[[Sender, Batch], Iterator[SendResult]]):
        super().__init__(client)
        self._bend = bend

    @contextmanager
    def open(self, account: Account) -> Iterator[Sender]:
        with super().open(account) as sender:
            bend = self._bend

            class BentSender:
                def send(self, batch: Batch) -> Iterator[SendResult]:
                    return bend(sender, batch)

                check, balance, price = sender.check, sender.balance, sender.price

            yield BentSender()


def greedy(sender: Sender, batch: Batch) -> Iterator[SendResult]:
    """Takes all before it sends one."""
    taken = list(batch)
    for message in taken:
        yield from sender.send(ListBatch([message]))


def twice(sender: Sender, batch: Batch) -> Iterator[SendResult]:
    """Gives every result twice."""
    for result in sender.send(batch):
        yield result
        yield result


def forgetful(sender: Sender, batch: Batch) -> Iterator[SendResult]:
    """Forgets the first result."""
    results = sender.send(batch)
    next(results, None)
    yield from results


def nameless(sender: Sender, batch: Batch) -> Iterator[SendResult]:
    """Refuses without a code."""
    for result in sender.send(batch):
        if isinstance(result, Refused):
            yield Refused(attempt_id=result.attempt_id, answer=Answer(system="pigeon", code=""))
        else:
            yield result


def contract_for(make: Callable[[FakeGateway], Channel]) -> PigeonContract:
    class Contract(PigeonContract):
        def make_channel(self, gateway: GatewayUnderTest) -> Channel:
            assert isinstance(gateway, FakeGateway)
            return make(gateway)

    return Contract()


@pytest.mark.parametrize(
    "broken", ["silence_is_never_called_sent_or_refused", "rubbish_is_never_called_sent"]
)
def test_a_channel_that_calls_doubt_success_is_noticed(broken: str) -> None:
    contract = contract_for(Optimist)
    with pytest.raises(AssertionError):
        getattr(contract, f"test_{broken}")()


@pytest.mark.parametrize("bend", [greedy, twice, forgetful])
def test_a_channel_that_takes_or_says_too_much_or_too_little_is_noticed(
    bend: Callable[[Sender, Batch], Iterator[SendResult]],
) -> None:
    contract = contract_for(lambda gateway: Bent(gateway, bend))
    with pytest.raises(AssertionError):
        contract.test_every_message_of_a_batch_is_accepted_once()


def test_a_refusal_without_a_code_is_noticed() -> None:
    contract = contract_for(lambda gateway: Bent(gateway, nameless))
    with pytest.raises(AssertionError):
        contract.test_a_refusal_for_good_is_not_tried_again()


def test_a_channel_that_shows_its_key_is_noticed() -> None:
    class Chatty(PigeonChannel):
        def __repr__(self) -> str:
            return f"Chatty({self.accounts()[0].settings.key})"

    with pytest.raises(AssertionError):
        contract_for(Chatty).test_no_secret_is_shown()
