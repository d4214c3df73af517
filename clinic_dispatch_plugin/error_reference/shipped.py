"""The entries of our own decisions, brought through the hook that every plugin uses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from clinic_dispatch_plugin.channels.reference import ReferencePack, load_causes, load_pack
from clinic_dispatch_plugin.hookspecs import hookimpl


class CorePacks:
    """Explains what the program itself decides (system ``dispatch``)."""

    @hookimpl
    def clinic_dispatch_reference_packs(self) -> Sequence[ReferencePack]:
        """The one pack of the core."""
        return _packs()


@cache
def _packs() -> Sequence[ReferencePack]:
    folder = files("clinic_dispatch_plugin.error_reference") / "packs"
    causes = load_causes(folder / "dispatch_causes.toml")
    return [load_pack(folder / "dispatch.toml", causes)]
