"""Twilio's interface of 2010-04-01 as a clinic uses it: messages here, calls in ``twilio_calls``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

from clinic_dispatch_plugin.simulators.gateways.answers import Asked, Said
from clinic_dispatch_plugin.simulators.gateways.callbacks import Report
from clinic_dispatch_plugin.simulators.gateways.gateway import Held, SimulatedGateway
from clinic_dispatch_plugin.simulators.gateways.plans import Plan, Reports
from clinic_dispatch_plugin.simulators.gateways.settings import GatewayMode, GatewaySettings
from clinic_dispatch_plugin.simulators.gateways.twilio_calls import Calls
from clinic_dispatch_plugin.simulators.gateways.twilio_refusals import WORDS, refusal, turned_away
from clinic_dispatch_plugin.simulators.gateways.twilio_signing import sid, signed

_PATH = re.compile(r"^/2010-04-01/Accounts/([^/]+)/(Messages|Calls|Balance)(?:/([^/.]+))?\.json$")
_PRICES = re.compile(r"^/v1/Messaging/Countries/([A-Z]{2})$")
_NUMBER = re.compile(r"^\+[1-9]\d{6,14}$")
#: What reports name that never left the provider.
_NEVER_SENT = {"30001", "30002", "30010", "30011", "30036"}


class TwilioGateway(SimulatedGateway):
    """Messages, calls, balance and prices."""

    name: ClassVar[str] = "Twilio simulator"

    def __init__(self, settings: GatewaySettings) -> None:
        super().__init__(settings)
        self.calls = Calls(self)

    def lets_in(self, asked: Asked) -> bool:
        """Whether the request has the right credentials."""
        return self.basic(asked)

    def wrong_password(self, asked: Asked) -> Said:
        """What somebody without the right credentials hears."""
        return refusal("20003", status=401)

    def too_many(self, asked: Asked) -> Said:
        """What a request hears that is one too many."""
        return replace(refusal("20429", status=429), headers=self.too_many_headers())

    async def serve(self, asked: Asked) -> Said:
        """Find what the address means."""
        priced = _PRICES.match(asked.path)
        if priced is not None:
            return self._prices(priced[1])
        found = _PATH.match(asked.path)
        if found is None or found[1] != self.settings.user:
            return refusal("20404", status=404)
        what, identifier, writes = found[2], found[3], asked.method == "POST"
        if what == "Balance":
            return Said(content=self._balance())
        if writes and self.mode is GatewayMode.NO_BALANCE:
            return refusal("20005", status=403)
        if what == "Calls":
            return await self.calls.serve(asked, identifier)
        if identifier is not None:
            held = self.held.get(identifier)
            return refusal("20404", status=404) if held is None else Said(content=self._shown(held))
        return await self._send(asked) if writes else self._listed(asked)

    async def _send(self, asked: Asked) -> Said:
        form = asked.form
        to, text = form.get("To", ""), form.get("Body", "")
        plan = self.settings.plans.of(to)
        away = turned_away(self, asked, plan, fault=_fault(form))
        if away is not None:
            return away
        held = self.hold(
            identifier=sid("SM"),
            kind="sms",
            to=to,
            sender=form.get("From") or form.get("MessagingServiceSid", ""),
            text=text,
            plan=plan,
            parts=_parts(text),
            more={"service": form.get("MessagingServiceSid", "")},
        )
        self.take([held])
        queued = self._shown(held, "queued")
        url = form.get("StatusCallback") or self.settings.callback_url
        await self.report(held, url, [self._report(url, held, *each) for each in _steps(plan)])
        return Said(status=201, content=queued, delay=plan.delay, trouble=plan.trouble)

    def _shown(self, held: Held, status: str = "") -> dict[str, Any]:
        over = held.is_over and not status
        status, code = _end(held.plan) if over else (status or "sent", "")
        price = f"-{self.settings.price * held.parts}" if over else None
        return {
            "sid": held.id,
            "account_sid": self.settings.user,
            "status": status,
            "to": held.to,
            "from": held.sender,
            "messaging_service_sid": held.more["service"] or None,
            "body": held.text,
            "num_segments": str(held.parts),
            "num_media": "0",
            "direction": "outbound-api",
            "price": price,
            "price_unit": self.settings.currency,
            "error_code": int(code) if code else None,
            "error_message": WORDS.get(code) if code else None,
            "date_created": format_datetime(held.at),
            "date_updated": format_datetime(held.at),
            "date_sent": None if status == "queued" else format_datetime(held.at),
            "api_version": "2010-04-01",
            "uri": f"/2010-04-01/Accounts/{self.settings.user}/Messages/{held.id}.json",
            "subresource_uris": {},
        }

    def _listed(self, asked: Asked) -> Said:
        wanted = asked.params
        several = [each for each in self.held.values() if each.kind == "sms" and each.is_listed]
        if "To" in wanted:
            several = [each for each in several if each.to == wanted["To"]]
        if "From" in wanted:
            several = [each for each in several if each.sender == wanted["From"]]
        several = [each for each in several if _in_time(each.at, asked.query)]
        size, page = min(int(wanted.get("PageSize", 50)), 1000), int(wanted.get("Page", 0))
        newest_first = several[::-1]
        shown = newest_first[page * size : (page + 1) * size]
        more = len(newest_first) > (page + 1) * size
        kept = [(name, value) for name, value in asked.query if name != "Page"]
        content = {
            "messages": [self._shown(each) for each in shown],
            "page": page,
            "page_size": size,
            "uri": asked.path,
            "first_page_uri": asked.path,
            "previous_page_uri": None,
            "next_page_uri": f"{asked.path}?{urlencode([*kept, ('Page', page + 1)])}"
            if more
            else None,
        }
        return Said(content=content)

    def _report(self, url: str, held: Held, status: str, code: str, kind: str) -> Report:
        fields = {
            "SmsSid": held.id,
            "SmsStatus": status,
            "MessageStatus": status,
            "To": held.to,
            "MessageSid": held.id,
            "AccountSid": self.settings.user,
            "From": held.sender,
            "ApiVersion": "2010-04-01",
        }
        if code:
            fields["ErrorCode"] = code
        return signed(url, fields, self.settings, final=kind != "step", contrary=kind == "contrary")

    def _balance(self) -> dict[str, str]:
        empty = self.mode is GatewayMode.NO_BALANCE
        return {
            "account_sid": self.settings.user,
            "balance": "0.00" if empty else str(self.balance),
            "currency": self.settings.currency,
        }

    def _prices(self, country: str) -> Said:
        price = str(self.settings.price)
        prices = [{"number_type": "mobile", "base_price": price, "current_price": price}]
        content = {
            "country": country,
            "iso_country": country,
            "url": f"https://pricing.twilio.com/v1/Messaging/Countries/{country}",
            "outbound_sms_prices": [{"carrier": "Any", "mcc": "0", "mnc": "0", "prices": prices}],
            "inbound_sms_prices": [],
            "price_unit": self.settings.currency,
        }
        return Said(content=content)


def _fault(form: dict[str, str]) -> str:
    """The code of what is wrong with a message; empty: nothing."""
    if not form.get("To"):
        return "21604"
    if not (form.get("From") or form.get("MessagingServiceSid")):
        return "21603"
    if not form.get("Body"):
        return "21602"
    if len(form["Body"]) > 1600:
        return "21617"
    return "" if _NUMBER.match(form["To"]) else "21211"


def _end(plan: Plan) -> tuple[str, str]:
    """The last status and its code."""
    if not plan.failure:
        return "delivered", ""
    return ("failed" if plan.failure in _NEVER_SENT else "undelivered"), plan.failure


def _steps(plan: Plan) -> Sequence[tuple[str, str, str]]:
    """Status, code and kind of each report."""
    status, code = _end(plan)
    steps = [("sent", "", "step"), (status, code, "end")]
    if plan.reports is Reports.CONTRADICTING:
        steps.append(("undelivered", "30003", "contrary"))
    return steps


def _parts(text: str) -> int:
    """Parts as a bill would count them, nearly enough: this side need not agree with the sender's."""
    if text.isascii():
        return 1 if len(text) <= 160 else -(-len(text) // 153)
    units = len(text.encode("utf-16-le")) // 2
    return 1 if units <= 70 else -(-units // 67)


def _in_time(at: datetime, query: Sequence[tuple[str, str]]) -> bool:
    """Whether a time is within DateSent, DateSent> and DateSent<, which name days or moments in UTC."""
    for name, value in query:
        if not name.startswith("DateSent"):
            continue
        said = at.strftime("%Y-%m-%dT%H:%M:%SZ")[: len(value)]
        if name.endswith(">"):
            if said < value:
                return False
        elif name.endswith("<"):
            if said > value:
                return False
        elif said != value:
            return False
    return True
