"""Infobip's SMS (version 3) and Viber (version 2) interfaces as a clinic uses them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from clinic_dispatch_plugin.simulators.gateways.answers import Asked, Said
from clinic_dispatch_plugin.simulators.gateways.callbacks import Report
from clinic_dispatch_plugin.simulators.gateways.gateway import Held, SimulatedGateway, same
from clinic_dispatch_plugin.simulators.gateways.infobip_outcomes import (
    DELIVERED,
    DUPLICATE,
    NO_CREDIT,
    PENDING,
    error_of,
    failed_status,
    status_of,
)
from clinic_dispatch_plugin.simulators.gateways.plans import ORDINARY, Plan, Reports
from clinic_dispatch_plugin.simulators.gateways.settings import GatewayMode, GatewaySettings

_LONGEST_LIST = 1000


@dataclass(slots=True, kw_only=True)
class _Answers:
    """What is said of the messages of one request, and what goes with it."""

    statuses: list[dict[str, Any]] = field(default_factory=list)
    taken: list[Held] = field(default_factory=list)
    #: The first plan that has something in store for the whole request.
    plan: Plan = ORDINARY


class InfobipGateway(SimulatedGateway):
    """SMS, Viber, reports, logs and the balance."""

    name: ClassVar[str] = "Infobip simulator"

    def __init__(self, settings: GatewaySettings) -> None:
        super().__init__(settings)
        #: Messages whose report was handed out already.
        self._handed_out: set[str] = set()

    def lets_in(self, asked: Asked) -> bool:
        """Whether the request has the right credentials."""
        given = asked.headers.get("Authorization", "")
        return same(given, f"App {self.settings.password}") or self.basic(asked)

    def wrong_password(self, asked: Asked) -> Said:
        """What somebody without the right credentials hears."""
        return refusal(401, "E401", "Unauthorized")

    def too_many(self, asked: Asked) -> Said:
        """What a request hears that is one too many."""
        said = refusal(429, "E429", "Too many requests")
        return Said(status=429, content=said.content, headers=self.too_many_headers())

    async def serve(self, asked: Asked) -> Said:
        """Find what the address means."""
        match asked.method, asked.path:
            case "POST", "/sms/3/messages":
                return await self._send(asked, "sms")
            case "POST", "/viber/2/messages":
                return await self._send(asked, "viber")
            case "GET", "/sms/3/reports":
                return self._reports(asked, "sms")
            case "GET", "/viber/2/reports":
                return self._reports(asked, "viber")
            case "GET", "/sms/3/logs":
                return self._logs(asked, "sms")
            case "GET", "/viber/2/logs":
                return self._logs(asked, "viber")
            case "GET", "/account/1/balance":
                empty = self.mode is GatewayMode.NO_BALANCE
                left = 0.0 if empty else float(self.balance)
                return Said(content={"balance": left, "currency": self.settings.currency})
        return refusal(404, "E404", "Not Found")

    async def _send(self, asked: Asked, kind: str) -> Said:
        try:
            messages = asked.json["messages"]
            numbers = [where["to"] for each in messages for where in each["destinations"]]
        except (ValueError, KeyError, TypeError):
            return refusal(400, "E400", "Bad Request")
        if not messages or not all(numbers):
            return refusal(400, "E400", "Bad Request")
        if self.is_throttled(numbers):
            return self.too_many(asked)
        bulk = f"{secrets.randbelow(10**20):020}"
        done = _Answers()
        for each in messages:
            for where in each["destinations"]:
                self._one(each, where, kind, bulk, done)
        if done.plan.taken:
            self.take(done.taken)
            for held in done.taken:
                await self._report(held)
        content = {"bulkId": bulk, "messages": done.statuses}
        return Said(content=content, delay=done.plan.delay, trouble=done.plan.trouble)

    def _one(
        self, message: dict[str, Any], where: dict[str, Any], kind: str, bulk: str, done: _Answers
    ) -> None:
        to = where["to"]
        identifier = where.get("messageId") or secrets.token_hex(16)
        text = message.get("content", {}).get("text", "")
        plan = self.settings.plans.of(to)
        if plan.trouble is not None or plan.delay:
            done.plan = plan
        status = self._refused(identifier, plan, text, done)
        if status is None:
            hooks = message.get("webhooks", {})
            held = self.hold(
                identifier=identifier,
                kind=kind,
                to=to,
                sender=message.get("sender", ""),
                text=text,
                reference=where.get("messageId", ""),
                plan=plan,
                more={
                    "bulk": bulk,
                    "callback": hooks.get("delivery", {}).get("url") or self.settings.callback_url,
                    "seen": hooks.get("seen", {}).get("url", ""),
                    "data": hooks.get("callbackData", ""),
                },
            )
            done.taken.append(held)
            status = status_of(PENDING)
        said = {"messageId": identifier, "destination": to, "status": status}
        done.statuses.append({**said, "details": {"messageCount": 1}})

    def _refused(
        self, identifier: str, plan: Plan, text: str, done: _Answers
    ) -> dict[str, Any] | None:
        """Why a message is not taken; None: it is."""
        if identifier in self.held or identifier in {each.id for each in done.taken}:
            return status_of(DUPLICATE)
        if self.mode is GatewayMode.NO_BALANCE:
            return status_of(NO_CREDIT)
        if plan.refusal:
            return status_of(plan.refusal)
        return None if text else status_of("55")

    def _shown(self, held: Held, *, over: bool = True, failed: bool = False) -> dict[str, Any]:
        failure = "1" if failed else held.plan.failure
        status = DELIVERED if not failure else failed_status(failure)
        return {
            "bulkId": held.more["bulk"],
            "messageId": held.id,
            "to": held.to,
            "sender": held.sender,
            "sentAt": _time(held.at),
            "doneAt": _time(held.at),
            "messageCount": held.parts,
            "callbackData": held.more["data"],
            "price": {
                "pricePerMessage": float(self.settings.price),
                "currency": self.settings.currency,
            },
            "status": status_of(status if over else PENDING),
            "error": error_of(failure if over else ""),
            "platform": {"entityId": "", "applicationId": ""},
        }

    def _reports(self, asked: Asked, kind: str) -> Said:
        """Each report is handed out once."""
        several = [
            held for held in self._wanted(asked, kind) if held.is_over and self._is_new(held)
        ][: self._limit(asked)]
        self._handed_out.update(held.id for held in several)
        return Said(content={"results": [self._shown(held) for held in several]})

    def _logs(self, asked: Asked, kind: str) -> Said:
        several = [held for held in self._wanted(asked, kind) if held.is_listed]
        shown = [
            {**self._shown(held, over=held.is_over), "destination": held.to}
            for held in several[: self._limit(asked)]
        ]
        return Said(content={"results": shown})

    def _wanted(self, asked: Asked, kind: str) -> list[Held]:
        bulk = asked.params.get("bulkId")
        names = {
            value
            for name, value in asked.query
            if name == "messageId"
            for value in value.split(",")
        }
        several = (self.held.get(name) for name in names) if names else self.held.values()
        return [
            held
            for held in several
            if held is not None and held.kind == kind and bulk in {None, held.more["bulk"]}
        ]

    def _is_new(self, held: Held) -> bool:
        return held.id not in self._handed_out

    def _limit(self, asked: Asked) -> int:
        said = asked.params.get("limit", "50")
        return min(int(said) if said.isdigit() else 50, _LONGEST_LIST)

    async def _report(self, held: Held) -> None:
        steps = [_report(self._shown(held))]
        if held.plan.reports is Reports.CONTRADICTING:
            steps.append(_report(self._shown(held, failed=True), contrary=True))
        if held.plan.reports in {Reports.REVERSED, Reports.TWICE}:
            steps.insert(0, _report(self._shown(held, over=False), final=False))
        url = held.more["callback"]
        if url:
            # What was pushed is not handed out again.
            self._handed_out.add(held.id)
            await self.report(held, url, steps)
        if held.plan.seen and held.more["seen"]:
            seen = {
                "messageId": held.id,
                "from": held.sender,
                "to": held.to,
                "sentAt": _time(held.at),
                "seenAt": _time(held.at),
                "callbackData": held.more["data"],
            }
            await self.report(held, held.more["seen"], [_report(seen)])


def refusal(status: int, code: str, words: str) -> Said:
    """A request that is refused as a whole."""
    content = {
        "errorCode": code,
        "description": words,
        "action": "Check the request and the account.",
        "violations": [],
        "resources": [],
    }
    return Said(status=status, content=content)


def _report(result: dict[str, Any], *, final: bool = True, contrary: bool = False) -> Report:
    said = Said(content={"results": [result]})
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return Report(body=said.encoded, headers=headers, final=final, contrary=contrary)


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}+0000"
