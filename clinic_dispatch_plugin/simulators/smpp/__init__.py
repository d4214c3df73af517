"""An SMPP message centre that lives on loopback and answers as the recipients' numbers demand."""

from clinic_dispatch_plugin.simulators.smpp.centre import Counters, Mode
from clinic_dispatch_plugin.simulators.smpp.ledger import LedgerLine, read_ledger
from clinic_dispatch_plugin.simulators.smpp.plans import (
    Behaviour,
    ByNumber,
    Plan,
    Way,
    number_for,
    plan_of,
)
from clinic_dispatch_plugin.simulators.smpp.server import SmppSimulator, run_simulator
from clinic_dispatch_plugin.simulators.smpp.settings import CentreSettings

__all__ = [
    "Behaviour",
    "ByNumber",
    "CentreSettings",
    "Counters",
    "LedgerLine",
    "Mode",
    "Plan",
    "SmppSimulator",
    "Way",
    "number_for",
    "plan_of",
    "read_ledger",
    "run_simulator",
]
