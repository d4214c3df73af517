"""How a simulated gateway is set up, and the troubles of the whole gateway."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from clinic_dispatch_plugin.simulators.gateways.plans import Plans


class GatewayMode(StrEnum):
    """The state of the whole gateway."""

    NORMAL = "normal"
    WRONG_PASSWORD = "wrong_password"
    NO_BALANCE = "no_balance"
    #: Every request is one too many.
    THROTTLED = "throttled"
    #: Every answer is status 500 with a page for people.
    BROKEN = "broken"
    #: Every answer comes seconds late.
    SLOW = "slow"
    #: Nobody listens; those who are connected are cut off.
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Everything about one gateway; all times in seconds."""

    host: str = "127.0.0.1"
    #: 0: any free port.
    port: int = 0
    #: Account SID, API key, or whatever the gateway calls it.
    user: str = "clinic"
    password: str = field(default="secret", repr=False)
    #: What reports are signed with where that is not the password.
    signature_secret: str = field(default="", repr=False)
    #: How reports are signed, where the gateway lets the account choose: ``md5``, or ``sha256`` and others for an HMAC.
    signature_method: str = "md5"
    plans: Plans = field(default_factory=Plans)
    #: Where to write what was taken; None: nowhere.
    ledger: Path | None = None
    ledger_fsync: bool = True
    #: A server context with its certificate; None: no TLS.
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    #: Before each answer.
    latency: float = 0.0
    #: What the mode *slow* adds.
    slow_seconds: float = 5.0
    #: From taking a message to knowing its end.
    report_delay: float = 0.0
    #: Until a message is found when messages are listed.
    listing_lag: float = 0.0
    #: Messages a second before a request hears "too many"; None: no limit.
    rate: float | None = None
    #: What "too many" asks the sender to wait; 0: it does not say.
    retry_after: float = 1.0
    balance: Decimal = Decimal("100.00")
    price: Decimal = Decimal("0.0750")
    currency: str = "EUR"
    #: Where reports go when a message names no address.
    callback_url: str = ""
    #: Keep to the limits a minute has, where they would only make tests slow.
    strict: bool = False
