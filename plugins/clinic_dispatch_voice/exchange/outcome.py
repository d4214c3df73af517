"""How a call ends that nobody listened to."""

from __future__ import annotations

from clinic_dispatch_plugin.api import Answer


class NotTakenError(Exception):
    """Nobody was told anything, and what to do about it is the error reference's matter.

    :param retry_after: seconds the exchange asked us to wait; None: it did not.
    """

    def __init__(self, answer: Answer, *, retry_after: float | None = None) -> None:
        super().__init__(f"{answer.system} {answer.code}")
        self.answer = answer
        self.retry_after = retry_after
