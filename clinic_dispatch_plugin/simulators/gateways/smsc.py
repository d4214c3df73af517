"""SMSC's interface as a clinic uses it: lists, states, the balance, and calls to the clinic's address."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from clinic_dispatch_plugin.simulators.gateways.answers import Asked, Said
from clinic_dispatch_plugin.simulators.gateways.callbacks import Report
from clinic_dispatch_plugin.simulators.gateways.gateway import Held, SimulatedGateway, same
from clinic_dispatch_plugin.simulators.gateways.plans import Plan, Reports, digits_of
from clinic_dispatch_plugin.simulators.gateways.settings import GatewayMode
from clinic_dispatch_plugin.simulators.gateways.smsc_calls import ENDS, SECONDS, SmscCalls

WORDS = {
    1: "parameters error",
    2: "authorise error",
    3: "no money",
    4: "ip address is blocked",
    5: "invalid date",
    6: "message is denied",
    7: "invalid number",
    8: "cannot deliver to this number",
    9: "too many requests",
}
#: Codes from here on speak of one number in a request: less 1000 its error at once, or its state in the end.
OF_ONE_NUMBER = 1000
LONGEST = 1000
#: Seconds in which an equal request, and a second question about many messages, is one too many.
MINUTE = 60.0
UNDELIVERABLE = 20
#: What is sent, by the field that asks for it, and how states name it.
_KINDS = {"viber": "viber", "call": "call"}
_TYPES = {"sms": 0, "call": 7, "viber": 10}
_KEPT = ("valid", "voice", "param")
_STATES = {-3: "unknown", 0: "sent", 1: "delivered", 2: "read", 3: "expired"}


class SmscGateway(SimulatedGateway):
    """``send.php``, ``status.php`` and ``balance.php``."""

    name: ClassVar[str] = "SMSC simulator"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sent_at: dict[str, float] = {}
        self._asked_at = -MINUTE
        self.calls = SmscCalls(self.callbacks)

    def lets_in(self, asked: Asked) -> bool:
        """Whether login and password are right; the password may be its MD5."""
        fields, password = asked.form, self.settings.password
        if "apikey" in fields:
            return same(fields["apikey"], password)
        told = hashlib.md5(password.encode(), usedforsecurity=False).hexdigest()
        given = fields.get("psw", "")
        return same(fields.get("login", ""), self.settings.user) and (
            same(given, password) or same(given, told)
        )

    def wrong_password(self, asked: Asked) -> Said:
        """Error 2, as everything with status 200."""
        return _error(2)

    def too_many(self, asked: Asked) -> Said:
        """Error 9."""
        return _error(9)

    async def serve(self, asked: Asked) -> Said:
        """Find what the address means."""
        fields = asked.form
        match asked.path:
            case "/sys/send.php":
                return await self._send(fields)
            case "/sys/status.php":
                return self._states(fields)
            case "/sys/balance.php":
                return self._balance(fields)
        return Said(status=404, content="Not Found")

    # Sending

    async def _send(self, fields: Mapping[str, str]) -> Said:
        texts = list(_texts(fields))
        plans = {number: self.settings.plans.of(number) for number, _ in texts}
        wrong = self._is_wrong(fields, texts, list(plans.values()))
        if wrong:
            return _error(wrong, fields.get("id"))
        if fields.get("cost") == "1":
            parts = sum(_parts(text) for _, text in texts)
            return Said(content={"cost": str(self.settings.price * parts), "cnt": parts})
        odd = next((each for each in plans.values() if each.trouble or not each.taken), None)
        if odd is not None and not odd.taken:
            return Said(trouble=odd.trouble)
        request_id = fields.get("id") or str(len(self.held) + 1)
        taken = [
            self._held(request_id, number, text, plans[number], fields)
            for number, text in texts
            if not _row_error(plans[number])
        ]
        self.take(taken)
        for held in taken:
            if held.kind == "call":
                self.calls.make(held)
            await self.report(held, self.settings.callback_url, self._calls(held))
        content = self._accepted(request_id, texts, plans, fields)
        delay = max((each.delay for each in plans.values()), default=0.0)
        return Said(content=content, delay=delay, trouble=odd.trouble if odd else None)

    def _is_wrong(
        self, fields: Mapping[str, str], texts: Sequence[tuple[str, str]], plans: Sequence[Plan]
    ) -> int:
        """The error of the whole request; 0: there is none."""
        numbers = [number for number, _ in texts]
        if not texts or any(not text or len(text) > LONGEST for _, text in texts):
            return 1
        if fields.get("fmt") != "3" or fields.get("charset") != "utf-8":
            return 1  # nothing else is played here
        if self.mode is GatewayMode.NO_BALANCE:
            return 3
        if self.is_throttled(numbers) or self._is_repeated(fields):
            return 9
        codes = [int(each.refusal) for each in plans if each.refusal.isdigit()]
        return next((code for code in codes if code < OF_ONE_NUMBER), 0)

    def _is_repeated(self, fields: Mapping[str, str]) -> bool:
        """Whether the very same was asked for within a minute."""
        told = urlencode(sorted(fields.items()))
        now = time.monotonic()
        before = self._sent_at.get(told, -MINUTE)
        self._sent_at[told] = now
        return self.settings.strict and now - before < MINUTE

    def _held(
        self, request_id: str, number: str, text: str, plan: Plan, fields: Mapping[str, str]
    ) -> Held:
        kind = next((kind for name, kind in _KINDS.items() if fields.get(name) == "1"), "sms")
        return self.hold(
            identifier=_key(request_id, number),
            kind=kind,
            to=number,
            sender=fields.get("sender", ""),
            text=text,
            reference=request_id,
            plan=plan,
            parts=_parts(text) if kind == "sms" else 1,
            more={name: fields[name] for name in _KEPT if name in fields},
        )

    def _accepted(
        self,
        request_id: str,
        texts: Sequence[tuple[str, str]],
        plans: Mapping[str, Plan],
        fields: Mapping[str, str],
    ) -> dict[str, Any]:
        right = [text for number, text in texts if not _row_error(plans[number])]
        parts = sum(_parts(text) for text in right)
        said: dict[str, Any] = {"id": request_id, "cnt": parts}
        if fields.get("cost") in {"2", "3"}:
            said["cost"] = str(self.settings.price * parts)
        if fields.get("cost") == "3":
            said["balance"] = str(self.balance)
        if fields.get("op") == "1":
            said["phones"] = [self._row(number, text, plans[number]) for number, text in texts]
        return said

    def _row(self, number: str, text: str, plan: Plan) -> dict[str, str]:
        error = _row_error(plan)
        row = {"phone": digits_of(number), "mccmnc": "40177"}
        if error:
            return {**row, "cost": "0", "status": str(UNDELIVERABLE), "error": str(error)}
        return {**row, "cost": str(self.settings.price * _parts(text))}

    # States

    def _states(self, fields: Mapping[str, str]) -> Said:
        ids, numbers = fields.get("id", ""), fields.get("phone", "")
        several = "," in ids
        pairs = list(zip(ids.rstrip(",").split(","), numbers.rstrip(",").split(","), strict=False))
        if not ids or not numbers or ids.count(",") != numbers.count(","):
            return _error(1)
        now = time.monotonic()
        if several and self.settings.strict and now - self._asked_at < MINUTE:
            return _error(9)
        if several:
            self._asked_at = now
        rows = [self._state(request_id, number, fields) for request_id, number in pairs]
        return Said(content=rows if several else rows[0])

    def _state(self, request_id: str, number: str, fields: Mapping[str, str]) -> dict[str, Any]:
        held = self.held.get(_key(request_id, number))
        row: dict[str, Any] = {"id": request_id, "phone": digits_of(number)}
        if held is None or not held.is_listed:
            return {**row, "status": -3}
        status, error = _end(held) if held.is_over else (0, 0)
        row |= {"status": status, "last_timestamp": int(held.at.timestamp()), "flag": 0}
        row["last_date"] = held.at.strftime("%d.%m.%Y %H:%M:%S")
        if error:
            row["err"] = error
        if fields.get("all") in {"1", "2"}:
            cost = str(self.settings.price * held.parts)
            row |= {"cost": cost, "sms_cnt": _count(held), "message": held.text}
            row["type"] = _TYPES[held.kind]
            row |= {"sender_id": held.sender, "status_name": _STATES.get(status, "not delivered")}
        return row

    def _calls(self, held: Held) -> list[Report]:
        steps = [self._call(held, 0, 0, final=False), self._call(held, *_end(held))]
        if held.plan.reports is Reports.CONTRADICTING:
            steps.append(self._call(held, UNDELIVERABLE, 1, contrary=True))
        return steps

    def _call(
        self,
        held: Held,
        status: int,
        error: int,
        *,
        final: bool = True,
        contrary: bool = False,
    ) -> Report:
        """A call as the address in the settings asks for: its query says how it is signed."""
        number = digits_of(held.to)
        fields = {
            "id": held.reference,
            "phone": number,
            "status": str(status),
            "time": held.at.strftime("%d.%m.%Y %H:%M:%S"),
            "ts": str(int(held.at.timestamp())),
            "err": str(error),
            "cnt": str(_count(held)),
            "type": str(_TYPES[held.kind]),
            "flag": "0",
            "cost": str(self.settings.price * held.parts),
            "sender": held.sender,
        }
        query = dict(parse_qsl(urlsplit(self.settings.callback_url).query, keep_blank_values=True))
        text = f"{held.reference}:{number}:{status}:{self.settings.signature_secret}".encode()
        for name in ("md5", "sha1"):
            if name in query:
                fields[name] = hashlib.new(name, text, usedforsecurity=False).hexdigest()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(fields).encode()
        return Report(body=body, headers=headers, final=final, contrary=contrary)

    # Money

    def _balance(self, fields: Mapping[str, str]) -> Said:
        left = "0.00" if self.mode is GatewayMode.NO_BALANCE else str(self.balance)
        said = {"balance": left}
        return Said(
            content={**said, "currency": self.settings.currency}
            if fields.get("cur") == "1"
            else said
        )


def _error(code: int, request_id: str | None = None) -> Said:
    content: dict[str, Any] = {"error": WORDS.get(code, "error"), "error_code": code}
    if request_id and code in {3, 6, 7, 8}:
        content["id"] = request_id
    return Said(content=content)


def _texts(fields: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Number and text of each message."""
    if "list" in fields:
        for line in fields["list"].split("\n"):
            numbers, _, text = line.partition(":")
            for number in numbers.rpartition("|")[2].split(","):
                yield number, text.replace("\\n", "\n")
        return
    for number in fields.get("phones", "").replace(";", ",").split(","):
        if number:
            yield number, fields.get("mes", "")


def _row_error(plan: Plan) -> int:
    """Why this one number is not taken; 0: it is."""
    code = int(plan.refusal) if plan.refusal.isdigit() else 0
    return code - OF_ONE_NUMBER if code >= OF_ONE_NUMBER else 0


def _end(held: Held) -> tuple[int, int]:
    """State and error in the end."""
    plan = held.plan
    if held.kind == "call" and plan.call in ENDS:
        return UNDELIVERABLE, ENDS[plan.call]
    code = int(plan.failure) if plan.failure.isdigit() else 0
    if code >= OF_ONE_NUMBER:
        return code - OF_ONE_NUMBER, 0
    if code:
        return UNDELIVERABLE, code
    return (2 if plan.seen else 1), 0


def _count(held: Held) -> int:
    """Parts, and of calls seconds."""
    return SECONDS if held.kind == "call" and held.plan.call not in ENDS else held.parts


def _key(request_id: str, number: str) -> str:
    return f"{request_id}:{digits_of(number)}"


def _parts(text: str) -> int:
    """Parts by what most texts are: Latin letters, or others."""
    one, several = (160, 153) if text.isascii() else (70, 67)
    units = len(text.encode("utf-16-le")) // 2
    return 1 if units <= one else -(-units // several)
