"""The relay as programs use it: on a thread of its own, or as a command that stays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TextIO
from urllib.parse import quote

from clinic_dispatch_plugin.simulators.smtp.intake import Counters
from clinic_dispatch_plugin.simulators.smtp.modes import Mode
from clinic_dispatch_plugin.simulators.smtp.relay import Relay
from clinic_dispatch_plugin.simulators.smtp.settings import RelaySettings
from clinic_dispatch_plugin.simulators.threaded import ThreadedServer, stay


class SmtpSimulator(ThreadedServer):
    """An SMTP relay on a daemon thread.

    It has started once it listens, or, if the mode file says *down*, once it has its port.
    """

    what = "relay"

    def __init__(self, settings: RelaySettings | None = None) -> None:
        super().__init__()
        self.settings = settings or RelaySettings()
        self._relay: Relay | None = None

    def switch(self, mode: Mode | str) -> None:
        """Change the mode; it is in force when this returns.

        :raises ValueError: there is no such mode.
        :raises RuntimeError: the relay is not running.
        """
        chosen = Mode(mode)
        self.on_loop(self._running().set_mode(chosen))

    @property
    def port(self) -> int:
        """The port it listens on; it stays the same through *down*."""
        return self._running().port

    @property
    def address(self) -> str:
        """``host:port``."""
        host = self.settings.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as the e-mail channel's setting takes it, with user name and password."""
        settings = self.settings
        unencrypted_first = "smtp+starttls" if settings.tls is not None else "smtp"
        scheme = "smtps" if settings.implicit_tls else unencrypted_first
        if settings.username is None:
            return f"{scheme}://{self.address}"
        user, password = quote(settings.username, safe=""), quote(settings.password or "", safe="")
        return f"{scheme}://{user}:{password}@{self.address}"

    @property
    def counters(self) -> Counters:
        """What has happened since the start; the object goes on counting."""
        return self._running().intake.counters

    def _running(self) -> Relay:
        if self._relay is None:
            raise RuntimeError("the relay was not started")
        return self._relay

    async def serve(self, ready: Callable[[], None], enough: asyncio.Event) -> None:
        """Be the relay until there was enough."""
        self._relay = Relay(self.settings)
        try:
            await self._relay.start()
            ready()
            await enough.wait()
        finally:
            await self._relay.stop()


def run_simulator(settings: RelaySettings, *, out: TextIO) -> int:
    """Run a relay until SIGINT or SIGTERM; call it on the main thread.

    :param out: gets the address when the relay listens, and the counts at the end.
    :returns: the exit status: 0, or 1 when the relay cannot start.
    """
    simulator = SmtpSimulator(settings)

    def opened() -> str:
        listening = f"SMTP relay listening on {simulator.address}"
        if settings.mode_file is None:
            return listening
        return f"{listening}\nIt follows {settings.mode_file}: {', '.join(Mode)}"

    def ended() -> str:
        counters = simulator.counters
        return (
            f"{counters.messages} messages: {counters.accepted} accepted,"
            f" {counters.refused} refused, {counters.unanswered} left without an answer;"
            f" {counters.recipients_refused} recipients refused"
        )

    where = f"{settings.host}:{settings.port}"
    return stay(simulator, where=where, opened=opened, ended=ended, out=out)
