"""What every channel promises, as tests: subclass :class:`ChannelContract`, say how to make yours, and run pytest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import pytest

from clinic_dispatch_plugin.api import (
    Accepted,
    Account,
    AccountError,
    Channel,
    ConnectionFailed,
    InvalidAddress,
    NotSent,
    OutgoingMessage,
    ReferencePack,
    Refused,
    Sender,
    SendResult,
    Uncertain,
)
from clinic_dispatch_plugin.engine.rules import Outcome
from clinic_dispatch_plugin.error_reference.normalising import TEXT_LIMIT
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.testing.batches import ListBatch
from clinic_dispatch_plugin.testing.gateways import GatewayUnderTest, How
from clinic_dispatch_plugin.testing.judgement import explained, judged
from clinic_dispatch_plugin.testing.messages import make_message

#: Messages of an ordinary batch.
MANY = 12


@dataclass(slots=True)
class Sending:
    """What became of one batch."""

    batch: CountingBatch
    results: list[SendResult] = field(default_factory=list)
    #: What ended it, when it did not end by itself.
    error: AccountError | ConnectionFailed | None = None

    def of(self, message: OutgoingMessage) -> SendResult | None:
        """The message's result; one that was taken before the sender gave up was not sent."""
        for result in self.results:
            if result.attempt_id == message.attempt_id:
                return result
        if self.error is not None and message in self.batch.taken:
            return NotSent(attempt_id=message.attempt_id, answer=self.error.answer)
        return None


class CountingBatch(ListBatch):
    """Knows how many messages were taken and not yet answered: what a killed worker would leave in doubt."""

    def __init__(self, messages: Sequence[OutgoingMessage] = (), *, closed: bool = True) -> None:
        super().__init__(messages, closed=closed)
        self.answered = 0
        self.most_in_hand = 0

    def poll(self) -> OutgoingMessage | None:
        message = super().poll()
        self.most_in_hand = max(self.most_in_hand, len(self.taken) - self.answered)
        return message


class ChannelContract:
    """Subclass it as ``TestMyChannel`` and implement :meth:`gateway` and :meth:`make_channel`."""

    #: Messages the channel may have taken without an answer at any moment; connections times what each holds.
    in_hand_limit = 1
    #: Seconds one batch may take before the test gives up; the channel's own timeouts must be well below.
    patience = 60.0
    #: Texts that must never be shown: passwords and keys of the account.
    secrets: Sequence[str] = ()
    #: Texts that are no address of this channel.
    no_addresses: Sequence[str] = ("",)

    def gateway(self) -> AbstractContextManager[GatewayUnderTest]:
        """A new gateway that runs until the context ends."""
        raise NotImplementedError

    def make_channel(self, gateway: GatewayUnderTest) -> Channel:
        """The channel with one account at this gateway, with timeouts of a second or so."""
        raise NotImplementedError

    def packs(self) -> Sequence[ReferencePack]:
        """The entries the plugin brings for the error reference."""
        return ()

    # -- what the tests are made of ---------------------------------------------------------------

    @contextmanager
    def _opened(self) -> Iterator[tuple[GatewayUnderTest, Sender]]:
        with self.gateway() as gateway:
            channel = self.make_channel(gateway)
            account = channel.accounts()[0]
            with channel.open(account) as sender:
                yield gateway, sender

    def _send(self, sender: Sender, batch: CountingBatch) -> Sending:
        """Send a batch and check what holds whatever the gateway does."""
        done = Sending(batch)

        def work() -> None:
            try:
                for result in sender.send(batch):
                    batch.answered += 1
                    done.results.append(result)
            except (AccountError, ConnectionFailed) as error:
                done.error = error

        _within(self.patience, work)
        taken = [message.attempt_id for message in batch.taken]
        answered = [result.attempt_id for result in done.results]
        assert len(answered) == len(set(answered)), "one result per message, no more"
        assert set(answered) <= set(taken), "no result for what was not taken"
        if done.error is None:
            assert set(answered) == set(taken), "every taken message has a result"
        assert batch.most_in_hand <= self.in_hand_limit, "takes no more than it sends"
        for result in done.results:
            self._check_answer(result)
        return done

    def _check_answer(self, result: SendResult) -> None:
        answer = None if isinstance(result, Accepted) else result.answer
        if isinstance(result, Refused | Uncertain):
            assert answer is not None
        if answer is not None:
            assert answer.system and len(answer.system) <= 32
            assert answer.code and len(answer.code) <= 64, "an answer has a code"
            assert len(answer.text) <= TEXT_LIMIT
            self._check_no_secret(answer.text)

    def _check_no_secret(self, *texts: object) -> None:
        shown = " ".join(map(str, texts))
        assert not [secret for secret in self.secrets if secret in shown]

    def _one_of_many(self, how: How) -> tuple[Sending, OutgoingMessage, list[str]]:
        """Send many, and let one in the middle meet this; gives what the gateway had taken at the end, too."""
        with self._opened() as (gateway, sender):
            messages = [make_message(gateway.address(f"p{number}")) for number in range(MANY)]
            odd = messages[MANY // 2]
            _play(gateway, odd.address, how)
            done = self._send(sender, CountingBatch(messages))
            taken = list(gateway.taken())
            self._check_others(done, odd, taken)
            return done, odd, taken

    def _check_others(self, done: Sending, odd: OutgoingMessage, taken: list[str]) -> None:
        """Nobody else's message is lost, doubled or called sent when it was not."""
        for message in done.batch.taken:
            result = done.of(message)
            times = taken.count(message.address)
            assert times <= 1, "never handed over twice"
            if isinstance(result, Accepted):
                assert times == 1, "accepted means that the gateway has it"
            elif isinstance(result, NotSent):
                assert times == 0, "not sent means that the gateway does not have it"
            elif message is not odd:
                assert isinstance(result, Uncertain), "only the odd one may be refused"

    def _outcome(self, result: SendResult | None) -> Outcome:
        assert isinstance(result, Refused)
        return judged(result, self.packs())

    # -- the contract -----------------------------------------------------------------------------

    def test_every_message_of_a_batch_is_accepted_once(self) -> None:
        with self._opened() as (gateway, sender):
            messages = [make_message(gateway.address(f"p{number}")) for number in range(MANY)]
            done = self._send(sender, CountingBatch(messages))
            assert done.error is None
            assert [type(done.of(message)) for message in messages] == [Accepted] * MANY
            assert sorted(gateway.taken()) == sorted(message.address for message in messages)

    def test_a_sender_takes_one_batch_after_the_other(self) -> None:
        with self._opened() as (gateway, sender):
            for number in range(3):
                message = make_message(gateway.address(f"p{number}"))
                done = self._send(sender, CountingBatch([message]))
                assert isinstance(done.of(message), Accepted)
            assert len(gateway.taken()) == 3

    def test_an_empty_batch_ends_at_once(self) -> None:
        with self._opened() as (gateway, sender):
            assert self._send(sender, CountingBatch()).results == []
            assert list(gateway.taken()) == []

    def test_a_result_comes_before_more_messages_do(self) -> None:
        with self._opened() as (gateway, sender):
            batch = CountingBatch([make_message(gateway.address("first"))], closed=False)
            second = make_message(gateway.address("second"))
            results: list[SendResult] = []

            def work() -> None:
                for result in sender.send(batch):
                    batch.answered += 1
                    results.append(result)
                    if len(results) == 1:
                        batch.add(second)
                        batch.close()

            _within(self.patience, work)
            assert [type(result) for result in results] == [Accepted, Accepted]
            assert list(gateway.taken()) == [gateway.address("first"), second.address]

    def test_a_stream_that_is_stopped_leaves_the_rest_untaken(self) -> None:
        with self._opened() as (gateway, sender):
            messages = [make_message(gateway.address(f"p{number}")) for number in range(MANY)]
            batch = CountingBatch(messages)
            results: list[SendResult] = []

            def work() -> None:
                for result in sender.send(batch):
                    batch.answered += 1
                    results.append(result)
                    batch.stop()

            _within(self.patience, work)
            assert {result.attempt_id for result in results} == {
                message.attempt_id for message in batch.taken
            }
            assert len(batch.taken) <= self.in_hand_limit + 1
            assert len(gateway.taken()) == len(batch.taken)

    def test_a_refusal_for_good_is_not_tried_again(self) -> None:
        done, odd, taken = self._one_of_many(How.REFUSE)
        assert odd.address not in taken
        assert self._outcome(done.of(odd)).message is MessageState.UNDELIVERED

    def test_a_refusal_for_now_is_tried_again(self) -> None:
        done, odd, taken = self._one_of_many(How.REFUSE_FOR_NOW)
        assert odd.address not in taken
        assert self._outcome(done.of(odd)).message is MessageState.QUEUED

    @pytest.mark.parametrize("how", [How.REFUSE, How.REFUSE_FOR_NOW])
    def test_the_reference_explains_a_refusal(self, how: How) -> None:
        done, odd, _ = self._one_of_many(how)
        result = done.of(odd)
        assert isinstance(result, Refused)
        if self.packs():
            assert explained(result.answer, self.packs()).entry is not None

    def test_silence_is_never_called_sent_or_refused(self) -> None:
        done, odd, _ = self._one_of_many(How.SILENCE)
        assert isinstance(done.of(odd), Uncertain | NotSent)

    def test_rubbish_is_never_called_sent(self) -> None:
        done, odd, taken = self._one_of_many(How.RUBBISH)
        result = done.of(odd)
        assert not isinstance(result, Accepted)
        if odd.address in taken:
            assert isinstance(result, Uncertain)

    def test_a_slow_gateway_is_waited_for(self) -> None:
        done, odd, _ = self._one_of_many(How.SLOW)
        assert isinstance(done.of(odd), Accepted)

    def test_a_connection_lost_before_the_hand_over_means_not_sent(self) -> None:
        done, odd, taken = self._one_of_many(How.LOST_BEFORE)
        assert isinstance(done.of(odd), NotSent)
        assert odd.address not in taken

    def test_a_connection_lost_after_the_hand_over_leaves_it_uncertain(self) -> None:
        done, odd, taken = self._one_of_many(How.LOST_AFTER)
        assert isinstance(done.of(odd), Uncertain)
        assert taken.count(odd.address) == 1

    def test_a_gateway_that_never_answers_holds_few_messages(self) -> None:
        with self._opened() as (gateway, sender):
            messages = [make_message(gateway.address(f"p{number}")) for number in range(4)]
            for message in messages:
                _play(gateway, message.address, How.SILENCE)
            done = self._send(sender, CountingBatch(messages))
            assert not [each for each in done.results if isinstance(each, Accepted | Refused)]

    def test_a_refused_account_leaves_the_rest_untaken(self) -> None:
        with self._opened() as (gateway, sender):
            gateway.refuse_account()
            messages = [make_message(gateway.address(f"p{number}")) for number in range(MANY)]
            done = self._send(sender, CountingBatch(messages))
            assert isinstance(done.error, AccountError)
            assert len(done.batch.taken) <= self.in_hand_limit
            assert list(gateway.taken()) == []
            self._check_no_secret(done.error, repr(done.error), done.error.answer)

    def test_a_normalised_address_stays_as_it_is(self) -> None:
        with self.gateway() as gateway:
            channel = self.make_channel(gateway)
            address = gateway.address("anna")
            for raw in (address, f"  {address}\t"):
                once = channel.normalise_address(raw, region="DE")
                assert once == address
                assert channel.normalise_address(once, region="DE") == once

    def test_what_is_no_address_is_refused_with_an_answer(self) -> None:
        with self.gateway() as gateway:
            channel = self.make_channel(gateway)
            for raw in self.no_addresses:
                with pytest.raises(InvalidAddress) as caught:
                    channel.normalise_address(raw, region="DE")
                assert caught.value.answer.system == "dispatch"
                assert caught.value.answer.code in {"no_address", "malformed_address"}

    def test_the_channel_names_itself_and_its_accounts(self) -> None:
        with self.gateway() as gateway:
            channel = self.make_channel(gateway)
            assert channel.key
            assert channel.label
            assert [account.channel for account in channel.accounts()] == [channel.key]
            assert channel.accounts()[0].label, "pages and the doctor show where it goes"

    def test_no_secret_is_shown(self) -> None:
        with self.gateway() as gateway:
            channel = self.make_channel(gateway)
            account: Account = channel.accounts()[0]
            self._check_no_secret(repr(account), str(account), account.label, repr(channel))
            self._check_no_secret(repr(account.settings), str(account.settings))


def _play(gateway: GatewayUnderTest, address: str, how: How) -> None:
    try:
        gateway.behave(address, how)
    except NotImplementedError:
        pytest.skip(f"this gateway cannot play {how.value!r}")


def _within(seconds: float, work: Callable[[], None]) -> None:
    """Run it on a thread of its own, so that a channel that hangs fails its test and no more."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="channel-contract", daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), f"the sender did not end within {seconds:g} seconds"
    if raised:
        raise raised[0]
