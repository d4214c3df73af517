"""SMSC's calls: what is said, and what a pressed key does by the menu in the text."""

from __future__ import annotations

import asyncio
import re

from clinic_dispatch_plugin.simulators.gateways.callbacks import Callbacks
from clinic_dispatch_plugin.simulators.gateways.gateway import Held
from clinic_dispatch_plugin.simulators.gateways.plans import CallEnd

#: Why a call did not reach its person.
ENDS = {
    CallEnd.BUSY: 240,
    CallEnd.NO_ANSWER: 237,
    CallEnd.MACHINE: 242,
    CallEnd.FAILED: 248,
}
#: How long a call lasts that is answered.
SECONDS = 12
_KEYS = {CallEnd.KEY_1: "1", CallEnd.KEY_2: "2"}
_MENU = re.compile(r"\{menu:(.*?)\n(.*?)\}", re.DOTALL)
_ITEM = re.compile(r"^([1-9]):\s*(.+)$", re.MULTILINE)


class SmscCalls:
    """The calls of one account."""

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self._tasks: set[asyncio.Task[None]] = set()
        #: What was said in each call.
        self.said: dict[str, list[str]] = {}

    def make(self, held: Held) -> None:
        """Say the text, and let the person press what the plan wants."""
        if held.plan.call in ENDS:
            return
        menu = _MENU.search(held.text)
        said = [_MENU.sub("", held.text).strip()]
        self.said[held.id] = said
        if menu is None:
            return
        said.append(menu[1].strip())
        chosen = dict(_ITEM.findall(menu[2])).get(_KEYS.get(held.plan.call, ""), "")
        if chosen.startswith(("http://", "https://")):
            task = asyncio.get_running_loop().create_task(self._callbacks.fetch(chosen))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif chosen:
            said.append(chosen)
