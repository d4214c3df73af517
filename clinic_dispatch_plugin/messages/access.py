"""Row-level access: which messages somebody may see, asked of the host in bulk and never inside a transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from clinic_dispatch_plugin.host.adapter import HostAdapter
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.web.asking import ask

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
            seen = ask("may_see", partial(self._host.may_see, self._actor, portion))
            self._known.update((ref, ref in seen) for ref in portion)
