"""A telephone exchange that speaks SIP, lives on loopback, and whose people answer as their numbers demand."""

from clinic_dispatch_plugin.simulators.sip.plans import ByNumber, Plan, Way, number_for, plan_of
from clinic_dispatch_plugin.simulators.sip.server import Mode, SipSimulator, run_exchange
from clinic_dispatch_plugin.simulators.sip.settings import ExchangeSettings

__all__ = [
    "ByNumber",
    "ExchangeSettings",
    "Mode",
    "Plan",
    "SipSimulator",
    "Way",
    "number_for",
    "plan_of",
    "run_exchange",
]
