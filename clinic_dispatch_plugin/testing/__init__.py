"""The kit for testing hosts and channels without a gateway: what every channel, ours or not, is tried with."""

from clinic_dispatch_plugin.testing.batches import ListBatch
from clinic_dispatch_plugin.testing.callback_contract import GatewayCall
from clinic_dispatch_plugin.testing.channel_contract import ChannelContract
from clinic_dispatch_plugin.testing.fake_channel import FakeChannel, FakePlugin, accept, refuse
from clinic_dispatch_plugin.testing.fake_host import FakeHost
from clinic_dispatch_plugin.testing.gateways import (
    FakeGateway,
    GatewayGone,
    GatewayReply,
    GatewayUnderTest,
    How,
)
from clinic_dispatch_plugin.testing.messages import make_message

__all__ = [
    "ChannelContract",
    "FakeChannel",
    "FakeGateway",
    "FakeHost",
    "FakePlugin",
    "GatewayCall",
    "GatewayGone",
    "GatewayReply",
    "GatewayUnderTest",
    "How",
    "ListBatch",
    "accept",
    "make_message",
    "refuse",
]
