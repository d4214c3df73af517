"""The gateways there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from clinic_dispatch_sms.gateway import Gateway
from clinic_dispatch_sms.infobip.gateway import InfobipGateway
from clinic_dispatch_sms.smpp.gateway import SmppGateway
from clinic_dispatch_sms.smsc.gateway import SmscGateway
from clinic_dispatch_sms.twilio.gateway import TwilioGateway
from clinic_dispatch_sms.vonage.gateway import VonageGateway

#: By scheme; a new gateway is a module and a line here.
GATEWAYS: Final[Mapping[str, Gateway]] = {
    each.scheme: each
    for each in (
        SmscGateway(),
        SmppGateway(),
        TwilioGateway(),
        InfobipGateway(),
        VonageGateway(),
    )
}
