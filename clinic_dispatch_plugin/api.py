"""The one door for plugin authors: what stands here stays, and nothing else may be imported."""

from __future__ import annotations

from clinic_dispatch_plugin.channels.channel import Batch, Channel, Sender, SimpleChannel
from clinic_dispatch_plugin.channels.errors import (
    AccountError,
    CallbackRefused,
    ChannelError,
    ConnectionFailed,
    InvalidAddress,
    PermanentError,
    TemporaryError,
    UncertainError,
)
from clinic_dispatch_plugin.channels.faults import fail_point
from clinic_dispatch_plugin.channels.reference import (
    Permanence,
    ReferenceEntry,
    ReferencePack,
    Texts,
    load_pack,
)
from clinic_dispatch_plugin.channels.types import (
    Accepted,
    Account,
    Answer,
    Attachment,
    Capabilities,
    Content,
    ContentFields,
    DeliveryReport,
    Measure,
    Money,
    NotSent,
    OutgoingMessage,
    Purpose,
    Refused,
    ReportStatus,
    SendResult,
    SentMessage,
    Uncertain,
)
from clinic_dispatch_plugin.config import ConfigurationError
from clinic_dispatch_plugin.hookspecs import hookimpl

__all__ = [
    "Accepted",
    "Account",
    "AccountError",
    "Answer",
    "Attachment",
    "Batch",
    "CallbackRefused",
    "Capabilities",
    "Channel",
    "ChannelError",
    "ConfigurationError",
    "ConnectionFailed",
    "Content",
    "ContentFields",
    "DeliveryReport",
    "InvalidAddress",
    "Measure",
    "Money",
    "NotSent",
    "OutgoingMessage",
    "Permanence",
    "PermanentError",
    "Purpose",
    "ReferenceEntry",
    "ReferencePack",
    "Refused",
    "ReportStatus",
    "SendResult",
    "Sender",
    "SentMessage",
    "SimpleChannel",
    "TemporaryError",
    "Texts",
    "Uncertain",
    "UncertainError",
    "fail_point",
    "hookimpl",
    "load_pack",
]
