"""An Asterisk seen through its interface ARI, on loopback; people answer as with the simulated SIP exchange."""

from clinic_dispatch_plugin.simulators.ari.server import AriSimulator, run_asterisk
from clinic_dispatch_plugin.simulators.ari.settings import AsteriskSettings

__all__ = ["AriSimulator", "AsteriskSettings", "run_asterisk"]
