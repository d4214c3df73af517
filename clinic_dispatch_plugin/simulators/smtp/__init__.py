"""An SMTP relay that lives on loopback and answers as its recipients demand."""

from clinic_dispatch_plugin.simulators.smtp.behaviours import (
    Behaviour,
    Ending,
    Scenario,
    ScriptedBehaviour,
    Verdict,
    verdict_of,
)
from clinic_dispatch_plugin.simulators.smtp.intake import Counters
from clinic_dispatch_plugin.simulators.smtp.ledger import LedgerLine, read_ledger
from clinic_dispatch_plugin.simulators.smtp.modes import Mode, write_mode_file
from clinic_dispatch_plugin.simulators.smtp.server import SmtpSimulator, run_simulator
from clinic_dispatch_plugin.simulators.smtp.settings import RelaySettings

__all__ = [
    "Behaviour",
    "Counters",
    "Ending",
    "LedgerLine",
    "Mode",
    "RelaySettings",
    "Scenario",
    "ScriptedBehaviour",
    "SmtpSimulator",
    "Verdict",
    "read_ledger",
    "run_simulator",
    "verdict_of",
    "write_mode_file",
]
