"""Asks the clinic's system about recipients: with a limit, for a system that hangs must not hold up what is in hand."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from clinic_dispatch_plugin.host.types import Recipient
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)

#: Seconds the clinic's system has to answer about one window, at the usual lease; less where the lease is shorter.
PATIENCE_SECONDS = 20.0
_SHORTEST = 2.0
_USUAL_LEASE = 120.0
#: Seconds between two looks at what is to be done meanwhile.
_TICK = 0.05


class HostUnavailable(Exception):
    """The clinic's system did not answer: nothing is decided, the messages wait."""


def patience(lease_seconds: float) -> float:
    """Seconds to wait for the clinic's system."""
    return min(PATIENCE_SECONDS, max(_SHORTEST, PATIENCE_SECONDS * lease_seconds / _USUAL_LEASE))


def ask_host(
    dispatch: Dispatch, refs: Sequence[str], *, meanwhile: Callable[[], object]
) -> Mapping[str, Recipient]:
    """What the host says of these recipients now; no transaction is open meanwhile.

    :param meanwhile: called again and again until the answer is there.
    :raises HostUnavailable: the adapter raised, or did not answer in time.
    """
    if not refs:
        return {}
    question = _Question(dispatch, refs)
    give_up_at = time.monotonic() + patience(dispatch.settings.lease_seconds)
    while not question.answered.wait(_TICK):
        meanwhile()
        if time.monotonic() > give_up_at:
            log.error("the host did not answer about %d recipients in time", len(refs))
            raise HostUnavailable
    if question.error is not None:
        log.error(
            "the host could not be asked about %d recipients: %s",
            len(refs),
            places(question.error),
        )
        raise HostUnavailable
    return question.found


class _Question:
    """One question on a thread of its own: nobody can end an adapter that hangs, only leave it behind."""

    def __init__(self, dispatch: Dispatch, refs: Sequence[str]) -> None:
        self._dispatch = dispatch
        self._refs = refs
        self.found: dict[str, Recipient] = {}
        self.error: Exception | None = None
        self.answered = threading.Event()
        threading.Thread(target=self._ask, name="dispatch-host", daemon=True).start()

    def _ask(self) -> None:
        try:
            # A context for each window: the host's session ends with it, so that nothing stale is read next time.
            with self._dispatch.app_context():
                said = self._dispatch.host.recipients_now(self._refs)
                known = {ref: said.get(ref) for ref in self._refs}
            self.found = {ref: each for ref, each in known.items() if isinstance(each, Recipient)}
        except Exception as error:
            self.error = error
        finally:
            self.answered.set()
