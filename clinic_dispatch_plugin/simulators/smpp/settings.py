"""How a centre is set up; all times in seconds."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from clinic_dispatch_plugin.simulators.smpp.plans import Behaviour, ByNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class CentreSettings:
    """Everything about one message centre."""

    host: str = "127.0.0.1"
    #: 0: any free port.
    port: int = 0
    #: None: whoever binds is let in.
    system_id: str | None = None
    password: str | None = field(default=None, repr=False)
    #: A server context with its certificate; TLS then begins at the first byte.
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    ledger: Path | None = None
    behaviour: Behaviour = field(default_factory=ByNumber)
    #: Before each answer to submit_sm; answers to several open ones wait side by side.
    latency: float = 0.0
    #: What the way *slow* adds.
    slow_seconds: float = 2.0
    #: Between taking a text and its receipt.
    receipt_after: float = 0.2
    #: A receipt without an answer, or with a refusal, comes again after this.
    receipt_again: float = 5.0
    #: Texts a second on all links; more get "too fast". None: no limit.
    rate: float | None = None
    #: Open requests on a link; more get "too fast". 0: no limit.
    window: int = 0
    #: Times the way *throttled* says no to a number.
    throttle_times: int = 2
    #: Links one system_id may hold; 0: no limit.
    sessions: int = 0
    #: A client that is silent for longer is cut off.
    idle_seconds: float = 300.0
