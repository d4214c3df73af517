"""Text messages: what gateways and mobile networks answer, for the error reference."""

from __future__ import annotations

from collections.abc import Sequence

from clinic_dispatch_plugin.api import ReferencePack, hookimpl, load_packs


@hookimpl
def clinic_dispatch_reference_packs() -> Sequence[ReferencePack]:
    """One pack for each system of codes."""
    return load_packs(__name__)
