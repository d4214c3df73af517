"""The interface itself, as Asterisk's documentation has it: channels, bridges, external media, events."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

from aiohttp import web
from aiohttp.typedefs import Handler

from clinic_dispatch_plugin.simulators.ari.call import AsteriskCall
from clinic_dispatch_plugin.simulators.ari.settings import AsteriskSettings
from clinic_dispatch_plugin.simulators.gateways.ledger import GatewayLedger, TakenMessage
from clinic_dispatch_plugin.simulators.sip.call import CallRecord
from clinic_dispatch_plugin.simulators.sip.phone import Phone, new_phone
from clinic_dispatch_plugin.simulators.sip.plans import Way
from clinic_dispatch_plugin.simulators.threaded import ThreadedServer, stay


class AriSimulator(ThreadedServer):
    """An Asterisk on a daemon thread."""

    what = "Asterisk"

    def __init__(self, settings: AsteriskSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or AsteriskSettings()
        #: Whether nobody is let in.
        self.is_closed = False
        self.calls: list[CallRecord] = []
        self._ledger: GatewayLedger | None = None
        self._applications: dict[str, web.WebSocketResponse] = {}
        self._channels: dict[str, AsteriskCall] = {}
        self._sounds: dict[str, Phone] = {}
        self._bridges: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._port = 0

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def ledger(self) -> GatewayLedger:
        """What it took."""
        if self._ledger is None:
            raise RuntimeError("Asterisk was not started")
        return self._ledger

    @property
    def left_behind(self) -> list[str]:
        """Channels and bridges that nobody removed."""
        calls = [call.channel for call in self._channels.values() if call.there]
        return [*calls, *self._sounds, *self._bridges]

    async def serve(self, ready: Callable[[], None], enough: asyncio.Event) -> None:
        """Be Asterisk until there was enough."""
        settings = self.settings
        self._ledger = GatewayLedger(settings.ledger)
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, settings.host, settings.port, ssl_context=settings.tls)
            await site.start()
            self._port = int(runner.addresses[0][1])
            ready()
            await enough.wait()
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for sound in self._sounds.values():
                sound.close()
            for events in list(self._applications.values()):
                await events.close()
            await runner.cleanup()
            self._ledger.close()

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._door])
        application.add_routes(
            [
                web.get("/ari/asterisk/info", self._info),
                web.get("/ari/events", self._events),
                web.post("/ari/channels", self._originate),
                web.post("/ari/channels/externalMedia", self._external_media),
                web.get("/ari/channels/{channel}/variable", self._variable),
                web.delete("/ari/channels/{channel}", self._hang_up),
                web.post("/ari/bridges", self._bridge),
                web.post("/ari/bridges/{bridge}/addChannel", self._join),
                web.delete("/ari/bridges/{bridge}", self._unbridge),
            ]
        )
        return application

    @web.middleware
    async def _door(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        login = f"{self.settings.user}:{self.settings.password}".encode()
        expected = b"Basic " + base64.b64encode(login)
        given = request.headers.get("Authorization", "").encode()
        if self.is_closed or not hmac.compare_digest(given, expected):
            return _error(401, "Authentication required")
        return await handler(request)

    async def _info(self, request: web.Request) -> web.Response:
        return web.json_response({"system": {"version": "20.0.0", "entity_id": "simulated"}})

    async def _events(self, request: web.Request) -> web.WebSocketResponse:
        events = web.WebSocketResponse()
        await events.prepare(request)
        application = request.query.get("app", "")
        self._applications[application] = events
        async for _ in events:
            pass
        if self._applications.get(application) is events:
            del self._applications[application]
        return events

    # Channels

    async def _originate(self, request: web.Request) -> web.Response:
        asked = request.query
        endpoint, application = asked.get("endpoint", ""), asked.get("app", "")
        channel = asked.get("channelId", "")
        if "/" not in endpoint or not channel:
            return _error(400, "Invalid endpoint specified")
        if application not in self._applications:
            return _error(404, f"Application '{application}' not found")
        if channel in self._channels:
            return _error(409, "Channel with given unique ID already exists")
        number = re.sub(r"[^\d+]", "", endpoint.partition("/")[2].partition("@")[0])
        plan = self.settings.behaviour.plan(number)
        if not plan.status:
            self._write_down(number, channel)
        call = AsteriskCall(
            channel,
            plan,
            self.settings,
            number=number,
            sender=asked.get("callerId", ""),
            timeout=float(asked.get("timeout", "30")),
            tell=lambda event: self._tell(application, event),
        )
        self.calls.append(call.record)
        self._channels[channel] = call
        self._later(call.play())
        if plan.way is Way.CUT and request.transport is not None:
            request.transport.abort()
        if plan.way is Way.RUBBISH:
            return web.Response(text="<html>It works!</html>", content_type="text/html")
        return web.json_response({"id": channel, "state": "Down", "name": endpoint})

    async def _hang_up(self, request: web.Request) -> web.Response:
        channel = request.match_info["channel"]
        if (sound := self._sounds.pop(channel, None)) is not None:
            sound.close()
            return web.Response(status=204)
        call = self._channels.get(channel)
        if call is None or not call.there:
            return _error(404, "Channel not found")
        call.hung_up()
        return web.Response(status=204)

    async def _external_media(self, request: web.Request) -> web.Response:
        asked = request.query
        host, _, port = asked.get("external_host", "").rpartition(":")
        if asked.get("format") != "alaw" or not port.isdigit():
            return _error(400, "Invalid format or external_host")
        phone = await new_phone(self.settings.host)
        phone.hear_at((host, int(port)))
        self._sounds[asked.get("channelId", "")] = phone
        return web.json_response({"id": asked.get("channelId", ""), "channelvars": {}})

    async def _variable(self, request: web.Request) -> web.Response:
        phone = self._sounds.get(request.match_info["channel"])
        if phone is None:
            return _error(404, "Channel not found")
        values = {
            "UNICASTRTP_LOCAL_ADDRESS": self.settings.host,
            "UNICASTRTP_LOCAL_PORT": str(phone.port),
        }
        return web.json_response({"value": values.get(request.query.get("variable", ""), "")})

    # Bridges

    async def _bridge(self, request: web.Request) -> web.Response:
        self._bridges.add(request.query.get("bridgeId", ""))
        return web.json_response({"id": request.query.get("bridgeId", "")})

    async def _join(self, request: web.Request) -> web.Response:
        names = request.query.get("channel", "").split(",")
        calls = [self._channels[name] for name in names if name in self._channels]
        sounds = [self._sounds[name] for name in names if name in self._sounds]
        if request.match_info["bridge"] not in self._bridges:
            return _error(404, "Bridge not found")
        if len(calls) != 1 or len(sounds) != 1 or not calls[0].record.answered:
            return _error(422, "Channel not in Stasis application")
        calls[0].joined(sounds[0])
        return web.Response(status=204)

    async def _unbridge(self, request: web.Request) -> web.Response:
        if request.match_info["bridge"] not in self._bridges:
            return _error(404, "Bridge not found")
        self._bridges.discard(request.match_info["bridge"])
        return web.Response(status=204)

    # What is told and kept

    def _tell(self, application: str, event: dict[str, Any]) -> None:
        events = self._applications.get(application)
        if events is not None and not events.closed:
            text = json.dumps({**event, "application": application, "timestamp": _now()})
            self._later(_sent(events, text))

    def _later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _write_down(self, number: str, channel: str) -> None:
        line = TakenMessage(
            at=_now(), kind="call", recipient=number.removeprefix("+"), message_id=channel
        )
        self.ledger.append([line])


async def _sent(events: web.WebSocketResponse, text: str) -> None:
    await events.send_str(text)


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _error(status: int, text: str) -> web.Response:
    return web.json_response({"message": text}, status=status)


def run_asterisk(settings: AsteriskSettings, *, out: TextIO) -> int:
    """Run it until SIGINT or SIGTERM; call it on the main thread.

    :param out: gets the address when it listens, and the counts at the end.
    :returns: the exit status: 0, or 1 when it cannot start.
    """
    simulator = AriSimulator(settings)

    def opened() -> str:
        return f"Asterisk's interface listening on {settings.host}:{simulator.port}"

    def ended() -> str:
        answered = sum(call.answered for call in simulator.calls)
        return f"{len(simulator.calls)} calls, {answered} answered"

    where = f"{settings.host}:{settings.port}"
    return stay(simulator, where=where, opened=opened, ended=ended, out=out)
