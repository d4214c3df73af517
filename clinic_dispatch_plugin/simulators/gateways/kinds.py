"""The gateways there are, by the name of their command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from clinic_dispatch_plugin.simulators.gateways.gateway import SimulatedGateway
from clinic_dispatch_plugin.simulators.gateways.infobip import InfobipGateway
from clinic_dispatch_plugin.simulators.gateways.smsc import SmscGateway
from clinic_dispatch_plugin.simulators.gateways.twilio import TwilioGateway
from clinic_dispatch_plugin.simulators.gateways.vonage import VonageGateway

KINDS: Final[Mapping[str, type[SimulatedGateway]]] = {
    "smsc": SmscGateway,
    "twilio": TwilioGateway,
    "infobip": InfobipGateway,
    "vonage": VonageGateway,
}
