"""Stops a mailing that fails too often for one cause, before the provider closes the account."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.engine.recorder import Cause
from clinic_dispatch_plugin.error_reference.answers import explained
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.results_store import last_results, stopped_lately
from clinic_dispatch_plugin.registry import Dispatch

#: Results of a mailing that are looked at, by whichever worker.
REMEMBERED = 100
#: Seconds for which the results of other workers need not be asked for again.
KNOWN_SECONDS = 1.0
#: So many mailings of one account stopped within a day let it rest for an hour.
STOPPED_TO_REST, DAY_SECONDS, REST_SECONDS = 3, 86_400.0, 3_600.0
MAILINGS_STOPPED = Answer(system="dispatch", code="mailings_stopped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A cause that has more than its share of a mailing's last results."""

    cause: Cause
    bad: int
    of: int


class Watch:
    """The last results of one mailing on one account, while a stream sends it.

    :param clock: seconds that never go back.
    """

    def __init__(
        self,
        dispatch: Dispatch,
        *,
        mailing_id: int,
        account_id: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dispatch = dispatch
        self._mailing_id = mailing_id
        self._account_id = account_id
        self._clock = clock
        #: The category of each of the last results, empty for an acceptance; None: the database was not asked yet.
        self._last: deque[str] | None = None
        self._asked_at = 0.0

    def stopped(self, connection: Connection, new: Sequence[Cause]) -> bool:
        """Whether these results, with the last ones of all workers, are too many for one cause: then no more opens.

        :param new: results that are not written down yet.
        """
        if not any(cause.pause_share > 0 for cause in new):
            return False
        found = too_many(self._before(connection), new)
        if found is None:
            return False
        answer = found.cause.answer
        text = f"{answer.system}:{answer.code}"
        details = {
            "cause": text,
            "category": found.cause.category,
            "bad": found.bad,
            "of": found.of,
            "account": self._account_id,
        }
        if messages.pause_by_itself(
            connection, self._mailing_id, reason="spam", text=text, details=details
        ):
            _let_account_rest(self._dispatch, connection, self._account_id)
        return True

    def remember(self, recorded: Sequence[Cause]) -> None:
        """These results are written down now."""
        if self._last is not None:
            self._last.extend(cause.category for cause in recorded)

    def _before(self, connection: Connection) -> Sequence[str]:
        """What came last: our own results at once, those of other workers within :data:`KNOWN_SECONDS`."""
        now = self._clock()
        if self._last is None or now - self._asked_at > KNOWN_SECONDS:
            self._last = deque(self._of_all_workers(connection), maxlen=REMEMBERED)
            self._asked_at = now
        return self._last

    def _of_all_workers(self, connection: Connection) -> list[str]:
        ids = last_results(connection, self._mailing_id, self._account_id, limit=REMEMBERED)
        answers = explained(self._dispatch, connection, {each for each in ids if each is not None})
        return [
            (answers[each].category or "") if each is not None and each in answers else ""
            for each in ids
        ]


def _let_account_rest(dispatch: Dispatch, connection: Connection, account_id: int) -> None:
    lately = stopped_lately(connection, account_id, seconds=DAY_SECONDS)
    if len(lately) >= STOPPED_TO_REST:
        accounts.rest(dispatch, connection, account_id, MAILINGS_STOPPED, seconds=REST_SECONDS)


def too_many(before: Iterable[str], new: Sequence[Cause]) -> Share | None:
    """The new cause that has more than its share of a mailing's last results; None: all is well."""
    categories = [*before, *(cause.category for cause in new)][-REMEMBERED:]
    counted = Counter(categories)
    for cause in new:
        enough = cause.pause_share > 0 and len(categories) >= cause.pause_least
        bad = counted[cause.category]
        if enough and bad > cause.pause_share * len(categories):
            return Share(cause=cause, bad=bad, of=len(categories))
    return None
