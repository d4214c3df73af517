"""Every pack that we ship, as its plugin brings it: entries with the texts of their causes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from clinic_dispatch_plugin.api import Cause, ReferenceEntry, ReferencePack
from clinic_dispatch_plugin.channels.reference import load_causes, shared_causes
from clinic_dispatch_plugin.registry import load_plugins

ROOT = Path(__file__).parents[2]
CORE = ROOT / "clinic_dispatch_plugin"
EMAIL = ROOT / "plugins" / "clinic_dispatch_email" / "packs"
OWN = CORE / "error_reference" / "packs"


@cache
def shipped() -> Mapping[str, ReferencePack]:
    """All packs by key, as the installed plugins bring them."""
    from clinic_dispatch_plugin.error_reference.shipped import CorePacks

    manager, _ = load_plugins(frozenset(), more=(CorePacks(),))
    several = manager.hook.clinic_dispatch_reference_packs()
    return {pack.key: pack for packs in several for pack in packs}


def entries() -> Iterator[tuple[ReferencePack, ReferenceEntry]]:
    """Every entry with its pack."""
    for pack in shipped().values():
        for entry in pack.entries:
            yield pack, entry


@cache
def causes() -> Mapping[str, Mapping[str, Cause]]:
    """Every cause, by the file it stands in: causes of different plugins may have the same key."""
    return {
        "phone": shared_causes(),
        "email": load_causes(EMAIL / "causes.toml"),
        "dispatch": load_causes(OWN / "causes.toml"),
    }


def raw(path: Path) -> dict[str, Any]:
    """A pack as its file has it."""
    return tomllib.loads(path.read_text(encoding="utf-8"))
