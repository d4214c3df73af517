"""What a channel is: the contract built-in and third-party channels fulfil alike."""

from __future__ import annotations

import abc
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar, Protocol, runtime_checkable

from clinic_dispatch_plugin.channels.errors import (
    AccountError,
    CallbackRefused,
    ConnectionFailed,
    PermanentError,
    TemporaryError,
    UncertainError,
)
from clinic_dispatch_plugin.channels.forms import GatewayForm
from clinic_dispatch_plugin.channels.types import (
    Accepted,
    Account,
    Answer,
    CallbackReply,
    Capabilities,
    Cheaper,
    Content,
    ContentFields,
    DeliveryReport,
    Measure,
    Money,
    OutgoingMessage,
    Refused,
    SendResult,
    SentMessage,
    TellsMoney,
    Uncertain,
)


class Batch(abc.ABC):
    """The messages a sender may take now, one by one; safe to take from in several threads.

    *Taking* a message is what marks it as handed over, so take one only when its bytes go next: what was
    taken when a worker dies is in doubt, what was not is provably unsent. The stream ends early when the
    mailing is paused, the worker drains or the lease runs out; nothing is lost by that.
    """

    @abc.abstractmethod
    def poll(self) -> OutgoingMessage | None:
        """Take the next message if one is ready, without waiting; None: none now (see ``ended``)."""

    @abc.abstractmethod
    def wait(self, timeout: float) -> bool:
        """Wait until ``poll`` has something or the stream ended, at most ``timeout`` seconds; False: neither."""

    @property
    @abc.abstractmethod
    def ended(self) -> bool:
        """True when nothing will come any more."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """How many are ready to be taken now."""

    def __iter__(self) -> Iterator[OutgoingMessage]:
        """Take one after the other, waiting for each, until the stream ends."""
        while True:
            message = self.poll()
            if message is not None:
                yield message
            elif self.ended:
                return
            else:
                self.wait(1.0)


class Sender(Protocol):
    """An open set of connections to one account; used by one thread, kept over many batches."""

    def send(self, batch: Batch) -> Iterator[SendResult]:
        """Hand over the batch; yield one result per taken message, each as soon as it is known, in any order.

        :raises AccountError: the whole account is at fault; every taken message that has no result yet was not sent.
        :raises ConnectionFailed: the gateway cannot be reached; likewise.
        """

    def check(self, sent: Sequence[SentMessage]) -> Iterator[DeliveryReport]:
        """Ask the gateway what became of these attempts."""

    def balance(self) -> Money | None:
        """Money left on the account; None where the gateway does not say."""

    def price(self, batch: Sequence[OutgoingMessage]) -> Money | None:
        """What these messages will cost together; None where the gateway does not say. Nothing is sent."""


@runtime_checkable
class HearsReports(Protocol):
    """A sender whose gateway reports by itself, over the connection that sends; not every sender is one."""

    def reports(self) -> Generator[DeliveryReport, None, None]:
        """What came by itself until now, oldest first; on the thread that sends, also between two of its results.

        Asking for the next one says that the last one is kept, and only then is the gateway told so: what was not
        kept it brings again. Without ``attempt_key`` the sender does not know whose a report is; then it is the
        attempt with its ``provider_id``, or with one of the ids in ``details["also"]`` (separated by spaces).
        """


class Channel(abc.ABC):
    """A way of reaching a person. Built once per app and used by many threads."""

    #: Stored with every message and never changed: ``"email"``.
    key: ClassVar[str]
    #: English; shown in the reader's language where a translation exists.
    label: ClassVar[str]
    fields: ClassVar[ContentFields] = ContentFields()
    capabilities: Capabilities = Capabilities()
    #: The system whose default entry explains an answer that nothing else matches.
    system: ClassVar[str] = "dispatch"
    #: Minutes without a report after which a mailing goes on by its next channel, unless it says otherwise; 0: never.
    silence_minutes: ClassVar[int] = 0
    #: What pages show instead of its own English words (label, forms, what is wrong with a setting): by language,
    #: then by the English text; see ``load_translations``. What is not there is looked for among the core's words.
    translations: ClassVar[Mapping[str, Mapping[str, str]]] = {}

    @abc.abstractmethod
    def accounts(self) -> Sequence[Account]:
        """The accounts the clinic configured, the first choice first; empty where there is none."""

    def forms(self) -> Sequence[GatewayForm]:
        """The kinds of accounts that people may add on the settings page; empty: they write a whole URL."""
        return ()

    def account_at(self, url: str, *, key: str, allowed: Sequence[str]) -> Account:
        """The account that a URL of the settings page describes; it connects to nothing.

        A channel without this is asked through its plugin's hook, with the URL as its ``CLINIC_DISPATCH_<KEY>_URL``.

        :param key: the name of the account.
        :param allowed: networks and hosts of the clinic's own it may connect to; to no other private address.
        :raises ConfigurationError: something is wrong or missing.
        """
        raise NotImplementedError

    def capabilities_of(self, account: Account) -> Capabilities:
        """What this account's gateway can do, where a channel has several."""
        return self.capabilities

    @abc.abstractmethod
    def normalise_address(self, raw: str, *, region: str) -> str:
        """The one form in which an address is stored and compared.

        :param region: ISO 3166 country assumed for numbers without a country code.
        :raises InvalidAddress: with an answer (system ``dispatch``) that explains what is wrong with it.
        """

    def measure(self, content: Content) -> Measure:
        """Characters and billed parts of a text."""
        return Measure(characters=len(content.text))

    def cheaper(self, text: str) -> Sequence[Cheaper]:
        """Ways to write a text so that less is billed, the gentlest first; a person decides, placeholders stay."""
        return ()

    @abc.abstractmethod
    def open(self, account: Account) -> AbstractContextManager[Sender]:
        """A sender for this account; it may connect only when it first sends."""

    def foresee(self, account: Account, *, recipients: int) -> Sequence[Answer]:
        """What is likely to go wrong with so many messages through this account, said before any is sent.

        The answers are looked up in the error reference, so that people read what they would read afterwards.
        """
        return ()

    def tells_money(self, account: Account) -> TellsMoney:
        """Whether the account's gateway says what is left and what messages would cost."""
        return TellsMoney(balance=self.capabilities.balance, price=self.capabilities.price)

    def tariff(self, address: str) -> str:
        """What the price depends on besides the length, in words, such as a country and an operator; empty: nothing."""
        return ""

    def connect(self, account: Account) -> None:
        """Sign in and out again, for the doctor.

        :raises ChannelError: what went wrong, in words the reference explains.
        """

    def parse_callback(
        self, account: Account, headers: Mapping[str, str], body: bytes
    ) -> Sequence[DeliveryReport]:
        """Understand what a gateway calls back.

        :param headers: the call's headers, and as ``:path`` its path with its query, as the gateway wrote them:
            some sign their address, some are known by a secret in it.
        :param body: of a GET, its query.
        :raises CallbackRefused: it is forged or not for us.
        """
        raise CallbackRefused("this channel takes no callbacks")

    def callback_reply(
        self, account: Account, headers: Mapping[str, str], body: bytes
    ) -> CallbackReply | None:
        """What to answer a call that :meth:`parse_callback` took; None: that it was taken is enough.

        Some gateways ask on their call what to do next, such as a telephone call whose recipient pressed a key.
        """
        return None


class SimpleChannel(Channel):
    """A channel that sends one message at a time; the batching, the retrying and the recording are ours."""

    #: Seconds one call of :meth:`send_one` may take.
    timeout: ClassVar[float] = 30.0

    @abc.abstractmethod
    def send_one(self, message: OutgoingMessage, *, account: Account, timeout: float) -> Accepted:
        """Hand one message to the provider, once: the core does all retrying.

        :param timeout: seconds for the whole call.
        :raises TemporaryError: nothing was sent; later may work (``retry_after``, seconds).
        :raises PermanentError: nothing was sent and nothing ever will be.
        :raises UncertainError: it may have been sent; the core asks the gateway, else a person decides.
        :raises AccountError: the whole account is at fault; it stops, and its messages wait.
        :raises ConnectionFailed: the gateway cannot be reached; the account rests.
        """

    def normalise_address(self, raw: str, *, region: str) -> str:
        """The address without surrounding white space; override to check more."""
        return raw.strip()

    def balance(self, account: Account) -> Money | None:
        """What is left on the account; asked where ``capabilities.balance`` says so.

        :raises ChannelError: the provider could not be asked.
        """
        return None

    def price(self, batch: Sequence[OutgoingMessage], *, account: Account) -> Money | None:
        """What these messages would cost together; asked where ``capabilities.price`` says so.

        :raises ChannelError: the provider could not be asked.
        """
        return None

    @contextmanager
    def open(self, account: Account) -> Iterator[Sender]:
        """A sender that calls :meth:`send_one` message by message."""
        yield _OneByOne(self, account)


class _OneByOne:
    """The batch contract on top of ``send_one``."""

    def __init__(self, channel: SimpleChannel, account: Account) -> None:
        self._channel = channel
        self._account = account

    def send(self, batch: Batch) -> Iterator[SendResult]:
        for message in batch:
            yield self._send(message)

    def _send(self, message: OutgoingMessage) -> SendResult:
        try:
            return self._channel.send_one(
                message, account=self._account, timeout=self._channel.timeout
            )
        except TemporaryError as error:
            return Refused(
                attempt_id=message.attempt_id,
                answer=error.answer,
                retryable=True,
                retry_after=error.retry_after,
            )
        except PermanentError as error:
            return Refused(attempt_id=message.attempt_id, answer=error.answer, retryable=False)
        except UncertainError as error:
            return Uncertain(attempt_id=message.attempt_id, answer=error.answer)
        except (AccountError, ConnectionFailed):
            raise

    def check(self, sent: Sequence[SentMessage]) -> Iterator[DeliveryReport]:
        return iter(())

    def balance(self) -> Money | None:
        return self._channel.balance(self._account)

    def price(self, batch: Sequence[OutgoingMessage]) -> Money | None:
        return self._channel.price(batch, account=self._account)
