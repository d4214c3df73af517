"""The errors by which a channel tells the core what to do: the class is the decision."""

from __future__ import annotations

from clinic_dispatch_plugin.channels.types import Answer


class ChannelError(Exception):
    """Something a channel says with an answer the error reference can explain."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.system} {answer.code}")
        self.answer = answer


class TemporaryError(ChannelError):
    """Nothing was sent; later may work.

    :param retry_after: seconds the gateway asked us to wait, where it did.
    """

    def __init__(self, answer: Answer, *, retry_after: float | None = None) -> None:
        super().__init__(answer)
        self.retry_after = retry_after


class PermanentError(ChannelError):
    """Nothing was sent and nothing ever will be."""


class UncertainError(ChannelError):
    """It may have been sent: nobody sends it twice, a gateway or a person settles it."""


class AccountError(ChannelError):
    """The whole account is at fault (sign-in, balance, contract): it stops, and its messages wait."""


class ConnectionFailed(ChannelError):
    """The gateway could not be reached; nothing was sent. The account rests, no message uses up a try.

    :param retry_after: seconds the gateway asked us to wait, where it did: the account rests that long at once.
    """

    def __init__(self, answer: Answer, *, retry_after: float | None = None) -> None:
        super().__init__(answer)
        self.retry_after = retry_after


class InvalidAddress(ChannelError):
    """This text is no address of the channel."""


class CallbackRefused(Exception):
    """A callback that is forged or not for us.

    :param status: the HTTP status to answer with (403 or 413).
    """

    def __init__(self, reason: str, *, status: int = 403) -> None:
        super().__init__(reason)
        self.status = status
