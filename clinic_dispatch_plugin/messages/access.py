"""Row-level access: which messages somebody may see, asked of the host in bulk and never inside a transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from werkzeug.exceptions import HTTPException

from clinic_dispatch_plugin.host.adapter import HostAdapter
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.web.auth import HostFailed
from clinic_dispatch_plugin.web.i18n import _

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Refs the host is asked about at once.
PORTION = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine(Actor):
    """Whoever has the machine's command line: sees every message; the audit trail shows the name."""

    ref: str = "system"
    name: str = "system"


class Sight:
    """What one actor may see; remembers the host's answers while one request or command lasts."""

    def __init__(self, dispatch: Dispatch, actor: Actor) -> None:
        self._host = dispatch.host
        self._actor = actor
        own = type(dispatch.host).may_see is not HostAdapter.may_see
        #: Nothing is hidden: the host has no row-level access, or a command asks.
        self.everything = isinstance(actor, CommandLine) or not own
        self._known: dict[str, bool] = {}

    def of(self, rows: Iterable[T], ref: Callable[[T], str]) -> list[T]:
        """Those of ``rows`` the actor may see; a message without a ref is open to all who may look."""
        held = list(rows)
        if self.everything:
            return held
        self._ask({ref(row) for row in held})
        return [row for row in held if not ref(row) or self._known[ref(row)]]

    def sees(self, ref: str) -> bool:
        """Whether the actor may see this patient's messages."""
        return bool(self.of([ref], str))

    def _ask(self, refs: set[str]) -> None:
        new = sorted(ref for ref in refs if ref and ref not in self._known)
        for start in range(0, len(new), PORTION):
            portion = new[start : start + PORTION]
            seen = self._may_see(portion)
            self._known.update((ref, ref in seen) for ref in portion)

    def _may_see(self, refs: list[str]) -> set[str]:
        try:
            return self._host.may_see(self._actor, refs)
        except HTTPException:
            raise
        except Exception as error:
            log.exception("the host adapter's may_see() failed")
            raise HostFailed(
                _("The clinic's system did not answer. Please try again in a moment.")
            ) from error
