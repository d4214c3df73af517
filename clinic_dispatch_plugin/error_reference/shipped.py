"""The entries of our own decisions, brought through the hook that every plugin uses."""

from __future__ import annotations

from collections.abc import Sequence

from clinic_dispatch_plugin.channels.reference import ReferencePack, load_packs
from clinic_dispatch_plugin.hookspecs import hookimpl


class CorePacks:
    """Explains what the program itself decides (system ``dispatch``)."""

    @hookimpl
    def clinic_dispatch_reference_packs(self) -> Sequence[ReferencePack]:
        """The one pack of the core."""
        return load_packs("clinic_dispatch_plugin.error_reference")
