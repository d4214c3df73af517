"""Mailings to patients inside a clinic's Flask application, where every failed message explains itself."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from clinic_dispatch_plugin.extension import ClinicDispatch, hosts_own
    from clinic_dispatch_plugin.host.adapter import HostAdapter, OpenToEveryone
    from clinic_dispatch_plugin.host.types import (
        Action,
        Actor,
        Audience,
        Consent,
        FilterField,
        Layout,
        Recipient,
    )

__all__ = [
    "Action",
    "Actor",
    "Audience",
    "ClinicDispatch",
    "Confirmed",
    "Consent",
    "FilterField",
    "HostAdapter",
    "Layout",
    "OpenToEveryone",
    "Recipient",
    "__version__",
    "hosts_own",
]

_HOMES = {
    "ClinicDispatch": "extension",
    "hosts_own": "extension",
    "HostAdapter": "host.adapter",
    "OpenToEveryone": "host.adapter",
}


def __getattr__(name: str) -> Any:
    """Fetch a public name when it is first asked for: a channel plugin that imports ``api`` loads no pages."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'host.types')}"), name)
