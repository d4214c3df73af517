"""What every channel promises, as tests: subclass :class:`ChannelContract`, say how to make yours, and run pytest."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from clinic_dispatch_plugin.api import (
    Accepted,
    Account,
    AccountError,
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
from clinic_dispatch_plugin.testing import sentences as say
from clinic_dispatch_plugin.testing.batches import ListBatch
from clinic_dispatch_plugin.testing.callback_contract import CallbackContract
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


class ChannelContract(CallbackContract):
    """Subclass it as ``TestMyChannel`` and implement :meth:`gateway` and :meth:`make_channel`."""

    #: Messages the channel may have taken without an answer at any moment; connections times what each holds.
    in_hand_limit = 1
    #: Seconds one batch may take before the test gives up; the channel's own timeouts must be well below.
    patience = 60.0
    #: Texts that must never be shown: passwords and keys of the account.
    secrets: Sequence[str] = ()
    #: Texts that are no address of this channel.
    no_addresses: Sequence[str] = ("",)

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
        assert len(answered) == len(set(answered)), say.TWICE_ANSWERED
        assert set(answered) <= set(taken), say.NOT_TAKEN
        if done.error is None:
            assert set(answered) == set(taken), say.NO_RESULT
        assert batch.most_in_hand <= self.in_hand_limit, say.TOO_MANY_IN_HAND
        for result in done.results:
            self._check_answer(result)
        return done

    def _check_answer(self, result: SendResult) -> None:
        answer = None if isinstance(result, Accepted) else result.answer
        if isinstance(result, Refused | Uncertain):
            assert answer is not None, say.NO_ANSWER
        if answer is not None:
            assert answer.system and len(answer.system) <= 32, say.NO_CODE
            assert answer.code and len(answer.code) <= 64, say.NO_CODE
            assert len(answer.text) <= TEXT_LIMIT, say.NO_CODE
            self._check_no_secret(answer.text)

    def _check_no_secret(self, *texts: object) -> None:
        shown = " ".join(map(str, texts))
        # Not the secrets themselves: a failed test is read by many.
        found = any(secret in shown for secret in self.secrets)
        assert not found, say.SECRET

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
            assert times <= 1, say.HANDED_TWICE
            if isinstance(result, Accepted):
                assert times == 1, say.ACCEPTED_NOT_TAKEN
            elif isinstance(result, NotSent):
                assert times == 0, say.NOT_SENT_TAKEN
            elif message is not odd:
                assert isinstance(result, Uncertain), say.OTHERS_REFUSED

    def _outcome(self, result: SendResult | None, otherwise: str) -> Outcome:
        assert isinstance(result, Refused), otherwise
        return judged(result, self.packs())

    # -- the contract -----------------------------------------------------------------------------

    def test_every_message_of_a_batch_is_accepted_once(self) -> None:
        with self._opened() as (gateway, sender):
            messages = [make_message(gateway.address(f"p{number}")) for number in range(MANY)]
            done = self._send(sender, CountingBatch(messages))
            assert done.error is None, say.LOST
            assert [type(done.of(message)) for message in messages] == [Accepted] * MANY, say.LOST
            times = Counter(gateway.taken())
            assert max(times.values(), default=0) <= 1, say.HANDED_TWICE
            assert set(times) == {message.address for message in messages}, say.ACCEPTED_NOT_TAKEN

    def test_no_two_messages_have_one_id(self) -> None:
        with self._opened() as (gateway, sender):
            ids: list[str] = []
            for _ in range(2):
                messages = [make_message(gateway.address(f"p{number}")) for number in range(3)]
                done = self._send(sender, CountingBatch(messages))
                accepted = [each for each in done.results if isinstance(each, Accepted)]
                ids += [each.provider_id for each in accepted if each.provider_id is not None]
            assert len(ids) == len(set(ids)), say.SAME_IDS

    def test_a_sender_takes_one_batch_after_the_other(self) -> None:
        with self._opened() as (gateway, sender):
            for number in range(3):
                message = make_message(gateway.address(f"p{number}"))
                done = self._send(sender, CountingBatch([message]))
                assert isinstance(done.of(message), Accepted), say.LOST
            assert len(gateway.taken()) == 3, say.ACCEPTED_NOT_TAKEN

    def test_an_empty_batch_ends_at_once(self) -> None:
        with self._opened() as (gateway, sender):
            assert self._send(sender, CountingBatch()).results == [], say.NOT_TAKEN
            assert list(gateway.taken()) == [], say.NOT_TAKEN

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
            assert [type(result) for result in results] == [Accepted, Accepted], say.LOST
            both = [gateway.address("first"), second.address]
            assert list(gateway.taken()) == both, say.ACCEPTED_NOT_TAKEN

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
            answered = {result.attempt_id for result in results}
            assert answered == {message.attempt_id for message in batch.taken}, say.NO_RESULT
            assert len(batch.taken) <= self.in_hand_limit + 1, say.AFTER_STOP
            assert len(gateway.taken()) == len(batch.taken), say.AFTER_STOP

    def test_a_batch_that_is_broken_off_harms_no_other(self) -> None:
        with self._opened() as (gateway, sender):
            messages = [make_message(gateway.address(f"p{number}")) for number in range(MANY)]
            batch = CountingBatch(messages)

            def work() -> None:
                results = sender.send(batch)
                next(results, None)
                batch.stop()
                if isinstance(results, Generator):
                    results.close()

            _within(self.patience, work)
            later = make_message(gateway.address("later"))
            done = self._send(sender, CountingBatch([later]))
            assert isinstance(done.of(later), Accepted), say.AFTER_BREAK
            assert list(gateway.taken()).count(later.address) == 1, say.AFTER_BREAK

    def test_a_refusal_for_good_is_not_tried_again(self) -> None:
        done, odd, taken = self._one_of_many(How.REFUSE)
        assert odd.address not in taken
        outcome = self._outcome(done.of(odd), say.REFUSED_FOR_GOOD)
        assert outcome.message is MessageState.UNDELIVERED, say.REFUSED_FOR_GOOD

    def test_a_refusal_for_now_is_tried_again(self) -> None:
        done, odd, taken = self._one_of_many(How.REFUSE_FOR_NOW)
        assert odd.address not in taken
        outcome = self._outcome(done.of(odd), say.REFUSED_FOR_NOW)
        assert outcome.message is MessageState.QUEUED, say.REFUSED_FOR_NOW

    @pytest.mark.parametrize("how", [How.REFUSE, How.REFUSE_FOR_NOW])
    def test_the_reference_explains_a_refusal(self, how: How) -> None:
        done, odd, _ = self._one_of_many(how)
        result = done.of(odd)
        assert isinstance(result, Refused), say.REFUSED_FOR_GOOD
        if self.packs():
            assert explained(result.answer, self.packs()).entry is not None, say.UNEXPLAINED

    def test_silence_is_never_called_sent_or_refused(self) -> None:
        done, odd, _ = self._one_of_many(How.SILENCE)
        assert isinstance(done.of(odd), Uncertain | NotSent), say.SILENCE

    def test_rubbish_is_never_called_sent(self) -> None:
        done, odd, taken = self._one_of_many(How.RUBBISH)
        result = done.of(odd)
        assert not isinstance(result, Accepted), say.RUBBISH
        if odd.address in taken:
            assert isinstance(result, Uncertain), say.RUBBISH

    def test_a_slow_gateway_is_waited_for(self) -> None:
        done, odd, _ = self._one_of_many(How.SLOW)
        assert isinstance(done.of(odd), Accepted), say.SLOW

    def test_a_connection_lost_before_the_hand_over_means_not_sent(self) -> None:
        done, odd, taken = self._one_of_many(How.LOST_BEFORE)
        assert isinstance(done.of(odd), NotSent), say.LOST_BEFORE
        assert odd.address not in taken

    def test_a_connection_lost_after_the_hand_over_leaves_it_uncertain(self) -> None:
        done, odd, taken = self._one_of_many(How.LOST_AFTER)
        assert isinstance(done.of(odd), Uncertain), say.LOST_AFTER
        assert taken.count(odd.address) == 1, say.HANDED_TWICE

    def test_a_gateway_that_never_answers_holds_few_messages(self) -> None:
        with self._opened() as (gateway, sender):
            messages = [make_message(gateway.address(f"p{number}")) for number in range(4)]
            for message in messages:
                _play(gateway, message.address, How.SILENCE)
            done = self._send(sender, CountingBatch(messages))
            wrong = [each for each in done.results if isinstance(each, Accepted | Refused)]
            assert not wrong, say.SILENCE

    def test_a_refused_account_leaves_the_rest_untaken(self) -> None:
        with self._opened() as (gateway, sender):
            gateway.refuse_account()
            messages = [make_message(gateway.address(f"p{number}")) for number in range(MANY)]
            done = self._send(sender, CountingBatch(messages))
            assert isinstance(done.error, AccountError), say.ACCOUNT
            assert len(done.batch.taken) <= self.in_hand_limit, say.ACCOUNT_GOES_ON
            assert list(gateway.taken()) == [], say.ACCOUNT
            self._check_no_secret(done.error, repr(done.error), done.error.answer)

    def test_a_normalised_address_stays_as_it_is(self) -> None:
        with self.gateway() as gateway:
            channel = self.make_channel(gateway)
            address = gateway.address("anna")
            for raw in (address, f"  {address}\t"):
                once = channel.normalise_address(raw, region="DE")
                assert once == address, say.ADDRESS_CHANGES
                assert channel.normalise_address(once, region="DE") == once, say.ADDRESS_CHANGES

    def test_what_is_no_address_is_refused_with_an_answer(self) -> None:
        with self.gateway() as gateway:
            channel = self.make_channel(gateway)
            for raw in self.no_addresses:
                try:
                    channel.normalise_address(raw, region="DE")
                except InvalidAddress as error:
                    answer = error.answer
                else:
                    raise AssertionError(say.NO_ADDRESS_TAKEN)
                assert answer.system == "dispatch", say.NO_ADDRESS_TAKEN
                known = {"no_address", "malformed_address"}
                assert answer.code in known, say.NO_ADDRESS_TAKEN

    def test_the_channel_names_itself_and_its_accounts(self) -> None:
        with self.gateway() as gateway:
            channel = self.make_channel(gateway)
            assert channel.key and channel.label, say.NAMES
            assert [account.channel for account in channel.accounts()] == [channel.key], say.NAMES
            assert channel.accounts()[0].label, say.NAMES

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
    assert not thread.is_alive(), say.HANGS.format(seconds=seconds)
    if raised:
        raise raised[0]
