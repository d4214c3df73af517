"""Vonage's SMS interface as a clinic uses it, with receipts, records, prices and the balance."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

from clinic_dispatch_plugin.simulators.gateways.answers import Asked, Said
from clinic_dispatch_plugin.simulators.gateways.callbacks import Report
from clinic_dispatch_plugin.simulators.gateways.gateway import Held, SimulatedGateway, same
from clinic_dispatch_plugin.simulators.gateways.plans import Reports
from clinic_dispatch_plugin.simulators.gateways.settings import GatewayMode

WORDS = {
    "1": "Throughput Rate Exceeded - please wait [ {wait:.0f} ] and retry",
    "2": "Missing {missing}",
    "3": "Invalid Parameter",
    "4": "Bad Credentials",
    "5": "Internal Error",
    "6": "Invalid Message",
    "7": "Number Barred",
    "9": "Partner quota exceeded",
    "14": "Invalid Signature",
    "15": "Illegal Sender Address - rejected",
}
#: What a receipt calls the end, by its error code; all others are "failed". 90 stands for an operator that never says.
_ENDS = {"0": "delivered", "2": "rejected", "3": "expired", "9": "rejected", "90": "unknown"}
_TOLERANCE = 300
_FEW = 20


class VonageGateway(SimulatedGateway):
    """SMS, receipts, records and the balance."""

    name: ClassVar[str] = "Vonage simulator"

    def lets_in(self, asked: Asked) -> bool:
        """Whether the request has the right credentials."""
        fields = _fields(asked)
        if "sig" in fields:
            return self._is_signed(fields)
        known = same(fields.get("api_key", ""), self.settings.user)
        return self.basic(asked) or (
            known and same(fields.get("api_secret", ""), self.settings.password)
        )

    def wrong_password(self, asked: Asked) -> Said:
        """What somebody without the right credentials hears."""
        if asked.path == "/sms/json":
            return self._said("14" if "sig" in _fields(asked) else "4")
        title = {"type": "UNAUTHORIZED", "title": "Unauthorized", "instance": secrets.token_hex(8)}
        return Said(
            status=401, content={**title, "detail": "You did not provide correct credentials."}
        )

    def too_many(self, asked: Asked) -> Said:
        """What a request hears that is one too many."""
        return self._said("1")

    async def serve(self, asked: Asked) -> Said:
        """Find what the address means."""
        match asked.path:
            case "/sms/json":
                return await self._send(_fields(asked))
            case "/account/get-balance":
                left = 0.0 if self.mode is GatewayMode.NO_BALANCE else float(self.balance)
                return Said(content={"value": left, "autoReload": False})
            case "/account/get-pricing/outbound/sms":
                return self._prices(asked.params.get("country", ""))
            case "/v2/reports/records":
                return self._records(asked)
        return Said(status=404, content={"type": "NOT_FOUND", "title": "Not Found"})

    async def _send(self, fields: Mapping[str, str]) -> Said:
        to, text = fields.get("to", ""), fields.get("text", "")
        plan = self.settings.plans.of(to)
        for name in ("to", "from", "text"):
            if not fields.get(name):
                return self._said("2", missing=name)
        if self.mode is GatewayMode.NO_BALANCE:
            return self._said("9")
        if self.is_throttled([to]):
            return self._said("1", to=to)
        if plan.refusal or not to.isdigit():
            return self._said(plan.refusal or "3", to=to, delay=plan.delay)
        if not plan.taken:
            return Said(trouble=plan.trouble)
        parts = _parts(text, fields.get("type", ""))
        several = [
            self.hold(
                identifier=secrets.token_hex(8).upper(),
                kind="sms",
                to=to,
                sender=fields["from"],
                # A message is written down once, however many parts it has.
                text=text,
                reference=fields.get("client-ref", ""),
                plan=plan,
                more={"callback": fields.get("callback") or self.settings.callback_url},
            )
            for _ in range(parts)
        ]
        self.take(several[:1])
        for held in several[1:]:
            self.held[held.id] = held
            self.balance -= self.settings.price
        for held in several:
            await self.report(held, held.more["callback"], self._receipts(held))
        content = {
            "message-count": str(parts),
            "messages": [self._accepted(held) for held in several],
        }
        return Said(content=content, delay=plan.delay, trouble=plan.trouble)

    def _accepted(self, held: Held) -> dict[str, str]:
        said = {
            "to": held.to,
            "message-id": held.id,
            "status": "0",
            "remaining-balance": str(self.balance),
            "message-price": str(self.settings.price),
            "network": "26201",
        }
        return {**said, "client-ref": held.reference} if held.reference else said

    def _said(self, code: str, *, to: str = "", missing: str = "", delay: float = 0.0) -> Said:
        """A message that is not taken."""
        words = WORDS.get(code, f"Error {code}")
        message = {"status": code}
        message["error-text"] = words.format(wait=self.settings.retry_after * 1000, missing=missing)
        if to:
            message["to"] = to
        return Said(content={"message-count": "1", "messages": [message]}, delay=delay)

    def _receipts(self, held: Held) -> Sequence[Report]:
        steps = [self._receipt(held, "accepted", "0", final=False)]
        code = held.plan.failure or "0"
        steps.append(self._receipt(held, _ENDS.get(code, "failed"), code))
        if held.plan.reports is Reports.CONTRADICTING:
            steps.append(self._receipt(held, "failed", "1", contrary=True))
        return steps

    def _receipt(
        self, held: Held, status: str, code: str, *, final: bool = True, contrary: bool = False
    ) -> Report:
        fields = {
            "msisdn": held.to,
            "to": held.sender,
            "network-code": "26201",
            "messageId": held.id,
            "price": str(self.settings.price),
            "status": status,
            "scts": held.at.strftime("%y%m%d%H%M"),
            "err-code": code,
            "api-key": self.settings.user,
            "message-timestamp": held.at.strftime("%Y-%m-%d %H:%M:%S"),
        }
        if held.reference:
            fields["client-ref"] = held.reference
        if self.settings.signature_secret:
            fields |= {"timestamp": str(int(time.time())), "nonce": secrets.token_hex(16)}
            fields["sig"] = self._signature(fields)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(fields).encode()
        return Report(body=body, headers=headers, final=final, contrary=contrary)

    def _records(self, asked: Asked) -> Said:
        wanted = asked.params
        if wanted.get("account_id") != self.settings.user or "product" not in wanted:
            return Said(status=422, content={"type": "INVALID", "title": "Invalid parameters"})
        names = wanted.get("id", "").split(",") if "id" in wanted else None
        if names is not None and len(names) > _FEW:
            return Said(status=422, content={"type": "INVALID", "title": "Too many ids"})
        several = [held for held in self.held.values() if held.is_listed]
        if names is not None:
            several = [held for held in several if held.id in names]
        else:
            begin, end = _moment(wanted.get("date_start")), _moment(wanted.get("date_end"))
            several = [held for held in several if begin <= held.at.timestamp() < end]
        content = {
            "request_id": secrets.token_hex(16),
            "request_status": "SUCCESS",
            "items_count": len(several),
            "records": [self._record(held) for held in several],
        }
        return Said(content=content)

    def _record(self, held: Held) -> dict[str, str]:
        code = held.plan.failure or "0"
        over = held.is_over
        return {
            "account_id": self.settings.user,
            "message_id": held.id,
            "client_ref": held.reference,
            "direction": "outbound",
            "from": held.sender,
            "to": held.to,
            "network": "26201",
            "country": "DE",
            "date_received": held.at.strftime("%Y-%m-%dT%H:%M:%S+0000"),
            "date_finalized": held.at.strftime("%Y-%m-%dT%H:%M:%S+0000") if over else "",
            "status": _ENDS.get(code, "failed") if over else "submitted",
            "error_code": code if over else "",
            "currency": self.settings.currency,
            "total_price": str(self.settings.price),
        }

    def _prices(self, country: str) -> Said:
        if len(country) != 2:
            return Said(status=400, content={"error-code": "400", "error-code-label": "country"})
        content: dict[str, Any] = {
            "countryCode": country,
            "countryName": country,
            "countryDisplayName": country,
            "currency": self.settings.currency,
            "defaultPrice": str(self.settings.price),
            "dialingPrefix": "49",
            "networks": [],
        }
        return Said(content=content)

    # Signatures

    def _is_signed(self, fields: Mapping[str, str]) -> bool:
        stamp = fields.get("timestamp", "")
        fresh = stamp.isdigit() and abs(time.time() - int(stamp)) <= _TOLERANCE
        known = same(fields.get("api_key", ""), self.settings.user)
        return known and fresh and same(fields["sig"].lower(), self._signature(fields))

    def _signature(self, fields: Mapping[str, str]) -> str:
        """All fields in the order of their names; ``&`` and ``=`` inside a value become ``_``."""
        whole = "".join(
            f"&{name}={fields[name].replace('&', '_').replace('=', '_')}"
            for name in sorted(fields)
            if name != "sig"
        ).encode()
        secret, method = self.settings.signature_secret.encode(), self.settings.signature_method
        if method == "md5":
            return hashlib.md5(whole + secret, usedforsecurity=False).hexdigest()
        return hmac.new(secret, whole, method.removeprefix("hmac-")).hexdigest()


def _fields(asked: Asked) -> dict[str, str]:
    """The fields, whether they come as a form, as JSON, or behind the address."""
    if "json" in asked.headers.get("Content-Type", ""):
        try:
            found = asked.json
        except ValueError:
            return {}
        return (
            {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}
        )
    return {**asked.params, **asked.form}


def _moment(text: str | None) -> float:
    try:
        return datetime.fromisoformat(text or "").timestamp()
    except ValueError:
        return 0.0


def _parts(text: str, kind: str) -> int:
    if kind != "unicode":
        return 1 if len(text) <= 160 else -(-len(text) // 153)
    units = len(text.encode("utf-16-le")) // 2
    return 1 if units <= 70 else -(-units // 67)
