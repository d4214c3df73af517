"""A channel plugin in its smallest form, as the README shows it."""

# [channel]
from clinic_dispatch_plugin.api import Accepted, Account, SimpleChannel, hookimpl


class CarrierPigeon(SimpleChannel):
    key = "pigeon"
    label = "Carrier pigeon"

    def accounts(self):
        return [Account(channel="pigeon", label="the loft")]

    def send_one(self, message, *, account, timeout):
        print(f"to {message.address}: {message.content.text}")
        return Accepted(attempt_id=message.attempt_id)


@hookimpl
def clinic_dispatch_channels(config):
    return [CarrierPigeon()]
    # [/channel]
