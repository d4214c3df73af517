"""The relay on its event loop: listening socket, connections, and the mode that governs both."""

from __future__ import annotations

import asyncio
import logging
import socket

from clinic_dispatch_plugin.simulators.smtp.behaviours import Verdict
from clinic_dispatch_plugin.simulators.smtp.intake import Intake
from clinic_dispatch_plugin.simulators.smtp.modes import LOOK_EVERY, Mode, ModeSwitch
from clinic_dispatch_plugin.simulators.smtp.session import Session
from clinic_dispatch_plugin.simulators.smtp.settings import RelaySettings

logger = logging.getLogger(__name__)

#: Connections that may wait to be taken.
BACKLOG = 512


class Relay:
    """All of one relay that lives on the loop; nothing here may be called from another thread."""

    def __init__(self, settings: RelaySettings) -> None:
        """Take the port.

        :raises OSError: the port, the ledger or the mailbox cannot be had.
        """
        self.settings = settings
        self._switch = ModeSwitch(file=settings.mode_file)
        self._loop = asyncio.get_running_loop()
        self._sessions: set[Session] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._following = asyncio.Lock()
        self.intake = Intake(settings)
        try:
            self._socket = _bound(settings.host, settings.port)
        except OSError:
            self.intake.close()
            raise
        self.port: int = self._socket.getsockname()[1]

    async def start(self) -> None:
        """Listen, unless the mode file says *down*, and keep watch."""
        await self._follow_mode()
        self.keep_task(self._loop.create_task(self._watch()))

    async def stop(self) -> None:
        """End every connection and every task, and give the port back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._close_door()
        self._socket.close()
        self.intake.close()

    async def set_mode(self, mode: Mode) -> None:
        """Change the mode; when this returns, the door is open or shut accordingly."""
        self._switch.mode = mode
        await self._follow_mode()

    # What sessions and dialogues ask

    def mode(self) -> Mode:
        """The mode now."""
        return self._switch.look(self._loop.time())

    def verdict(self, *, sender: str, recipient: str) -> Verdict:
        """What the behaviour says about a recipient."""
        return self.settings.behaviour.verdict(
            sender=sender, recipient=recipient, now=self._loop.time()
        )

    def joined(self, session: Session) -> None:
        """A connection is there."""
        self._sessions.add(session)
        self.intake.counters.connections += 1
        self.intake.counters.connections_open += 1

    def left(self, session: Session) -> None:
        """A connection is gone."""
        if session in self._sessions:
            self._sessions.discard(session)
            self.intake.counters.connections_open -= 1

    def keep_task(self, task: asyncio.Task[None]) -> None:
        """Hold on to a task until it ends, and end it with the relay."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # The door

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self._follow_mode()
            except OSError:
                logger.exception("The relay cannot follow its mode; it tries again")
            silent_since = self._loop.time() - self.settings.idle_seconds
            for session in [s for s in self._sessions if s.last_heard < silent_since]:
                session.dismiss_idle()

    async def _follow_mode(self) -> None:
        async with self._following:
            down = self.mode() is Mode.DOWN
            if down and self._server is not None:
                await self._close_door()
                # Bound without listening refuses connections and keeps the port for us.
                self._socket = _bound(self.settings.host, self.port)
            elif not down and self._server is None:
                await self._open_door()

    async def _open_door(self) -> None:
        implicit = self.settings.implicit_tls
        self._server = await self._loop.create_server(
            lambda: Session(self, encrypted=implicit),
            sock=self._socket,
            backlog=BACKLOG,
            ssl=self.settings.tls if implicit else None,
        )

    async def _close_door(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for session in list(self._sessions):
            session.cut()
        await _let_loop_turn()
        # Who does not read, or does not say good-bye to TLS, is not waited for.
        for session in list(self._sessions):
            session.abort()
        await _let_loop_turn()


async def _let_loop_turn() -> None:
    # What closes does so when the loop comes round; under TLS that takes some rounds.
    for _ in range(4):
        await asyncio.sleep(0)


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, protocol)
    try:
        # Else the connections of a relay that has just ended keep the port for a minute.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock
