"""Twilio's calls: begun by a request, answered by a person, a machine or nobody, and reported step by step."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import aiohttp

from clinic_dispatch_plugin.simulators.gateways.answers import Asked, Said
from clinic_dispatch_plugin.simulators.gateways.gateway import Held
from clinic_dispatch_plugin.simulators.gateways.plans import CallEnd, Reports
from clinic_dispatch_plugin.simulators.gateways.twilio_refusals import refusal, turned_away
from clinic_dispatch_plugin.simulators.gateways.twilio_signing import sid, signed

if TYPE_CHECKING:
    from clinic_dispatch_plugin.simulators.gateways.twilio import TwilioGateway

#: How a call ends, by what happens to it.
_ENDS = {
    CallEnd.BUSY: "busy",
    CallEnd.NO_ANSWER: "no-answer",
    CallEnd.FAILED: "failed",
}
_KEYS = {CallEnd.KEY_1: "1", CallEnd.KEY_2: "2"}
_LONGEST_SCRIPT = 4000
_SIP = {"busy": "486", "no-answer": "487", "failed": "404", "completed": "200"}


class Calls:
    """The calls of one account."""

    def __init__(self, gateway: TwilioGateway) -> None:
        self._gateway = gateway
        self._tasks: set[asyncio.Task[None]] = set()
        #: Keys that were pressed, by call.
        self.pressed: dict[str, str] = {}
        #: What was said in each call.
        self.said: dict[str, list[str]] = {}

    async def serve(self, asked: Asked, identifier: str | None) -> Said:
        """Begin a call, tell of one, or end one."""
        if identifier is None:
            return await self._begin(asked) if asked.method == "POST" else self._listed(asked)
        held = self._gateway.held.get(identifier)
        if held is None:
            return refusal("20404", status=404)
        wanted = asked.form.get("Status") if asked.method == "POST" else None
        if wanted:
            if self._status(held) not in {"queued", "ringing", "in-progress"}:
                return refusal("21220")
            held.more["ended"] = wanted
        return Said(content=self._shown(held))

    async def _begin(self, asked: Asked) -> Said:
        gateway, form = self._gateway, asked.form
        to = form.get("To", "")
        plan = gateway.settings.plans.of(to)
        away = turned_away(gateway, asked, plan, fault=_fault(form))
        if away is not None:
            return away
        held = gateway.hold(
            identifier=sid("CA"),
            kind="call",
            to=to,
            sender=form["From"],
            text=form.get("Twiml", ""),
            plan=plan,
            more={
                "url": form.get("Url", ""),
                "detects": form.get("MachineDetection", ""),
                "callback": form.get("StatusCallback") or gateway.settings.callback_url,
            },
        )
        gateway.take([held])
        shown = self._shown(held, "queued")
        events = [value for name, value in asked.fields if name == "StatusCallbackEvent"]
        task = asyncio.get_running_loop().create_task(self._happen(held, events or ["completed"]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if plan.reports is Reports.EARLY:
            await task
        return Said(status=201, content=shown, delay=plan.delay, trouble=plan.trouble)

    async def _happen(self, held: Held, events: Sequence[str]) -> None:
        answered = held.plan.call not in _ENDS
        if answered:
            await self._talk(held)
        steps = [("initiated", "initiated"), ("ringing", "ringing")]
        if answered:
            steps.append(("answered", "in-progress"))
        steps.append(("completed", self._end(held)))
        url = held.more["callback"]
        reports = [
            signed(
                url,
                self._report(held, status, number),
                self._gateway.settings,
                final=event == "completed",
            )
            for number, (event, status) in enumerate(steps)
            if event in events
        ]
        await self._gateway.report(held, url, reports)

    async def _talk(self, held: Held) -> None:
        """Follow the script, press what the person presses, and follow what comes then."""
        script = held.text
        if held.more["url"]:
            script = await self._fetch(held, held.more["url"], {})
        key = _KEYS.get(held.plan.call, "")
        while script:
            action = self._follow(held, script, key)
            if not action:
                return
            script = await self._fetch(held, action, {"Digits": key})
            key = ""

    def _follow(self, held: Held, script: str, key: str) -> str:
        """Say what is to be said, verb by verb; gives the address that wants to know the key.

        The key is pressed where one is first asked for. A key that ends the asking is no answer: then, as when no
        key is pressed, the next verb follows.
        """
        try:
            root = ET.fromstring(script)
        except ET.ParseError:
            held.more["error"] = "12100"
            return ""
        for verb in root:
            for element in verb.iter():
                if element.tag in {"Say", "Play"} and element.text:
                    self.said.setdefault(held.id, []).append(element.text)
            if verb.tag == "Gather" and key:
                self.pressed[held.id] = self.pressed.get(held.id, "") + key
                if key != verb.get("finishOnKey", "#"):
                    return verb.get("action", "")
                key = ""
        return ""

    async def _fetch(self, held: Held, url: str, more: dict[str, str]) -> str:
        fields = {**self._report(held, "in-progress", 0), **more}
        report = signed(url, fields, self._gateway.settings)
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session,
                session.post(url, data=report.body, headers=report.headers) as response,
            ):
                if response.status == 200:
                    return await response.text()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            pass
        held.more["error"] = "11200"
        return ""

    def _end(self, held: Held) -> str:
        return held.more.get("ended") or _ENDS.get(held.plan.call, "completed")

    def _status(self, held: Held) -> str:
        return self._end(held) if held.is_over or "ended" in held.more else "ringing"

    def _answered_by(self, held: Held) -> str:
        """Who answered; known only where somebody wanted to know."""
        if not held.more["detects"] or held.plan.call in _ENDS:
            return ""
        if held.plan.call is not CallEnd.MACHINE:
            return "human"
        return "machine_start" if held.more["detects"] == "Enable" else "machine_end_beep"

    def _report(self, held: Held, status: str, number: int) -> dict[str, str]:
        fields = {
            "CallSid": held.id,
            "AccountSid": self._gateway.settings.user,
            "From": held.sender,
            "To": held.to,
            "CallStatus": status,
            "Direction": "outbound-api",
            "ApiVersion": "2010-04-01",
            "Timestamp": format_datetime(held.at),
            "SequenceNumber": str(number),
        }
        by = self._answered_by(held)
        if by and status in {"in-progress", "completed"}:
            fields["AnsweredBy"] = by
        if status in _SIP:
            fields["SipResponseCode"] = _SIP[status]
            fields["CallDuration"] = "12" if status == "completed" else "0"
        return fields

    def _shown(self, held: Held, status: str = "") -> dict[str, Any]:
        status = status or self._status(held)
        settings = self._gateway.settings
        over = status not in {"queued", "ringing", "in-progress"}
        return {
            "sid": held.id,
            "account_sid": settings.user,
            "to": held.to,
            "from": held.sender,
            "status": status,
            "answered_by": self._answered_by(held) or None if over else None,
            "duration": ("12" if status == "completed" else "0") if over else None,
            "price": f"-{settings.price}" if status == "completed" else None,
            "price_unit": settings.currency,
            "direction": "outbound-api",
            "date_created": format_datetime(held.at),
            "date_updated": format_datetime(held.at),
            "start_time": format_datetime(held.at) if over else None,
            "end_time": format_datetime(held.at) if over else None,
            "api_version": "2010-04-01",
            "uri": f"/2010-04-01/Accounts/{settings.user}/Calls/{held.id}.json",
            "subresource_uris": {},
        }

    def _listed(self, asked: Asked) -> Said:
        wanted = asked.params.get("To")
        calls = [
            each
            for each in self._gateway.held.values()
            if each.kind == "call" and each.is_listed and wanted in {None, each.to}
        ]
        shown = [self._shown(each) for each in calls[::-1]]
        content = {"calls": shown, "page": 0, "page_size": 50, "next_page_uri": None}
        return Said(content={**content, "uri": asked.path, "first_page_uri": asked.path})


def _fault(form: dict[str, str]) -> str:
    """The code of what is wrong with a call; empty: nothing."""
    if not form.get("To"):
        return "21201"
    if not form.get("From"):
        return "21213"
    if not any(form.get(each) for each in ("Url", "Twiml", "ApplicationSid")):
        return "21205"
    if len(form.get("Twiml", "")) > _LONGEST_SCRIPT:
        return "32018"
    return ""
