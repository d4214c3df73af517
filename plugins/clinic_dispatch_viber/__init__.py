"""Viber: what Viber and its resellers answer, for the error reference."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from clinic_dispatch_plugin.api import ReferencePack, hookimpl, load_pack


@hookimpl
def clinic_dispatch_reference_packs() -> Sequence[ReferencePack]:
    """One pack for each system of codes."""
    return _packs()


@cache
def _packs() -> Sequence[ReferencePack]:
    folder = files(__name__) / "packs"
    found = sorted((file for file in folder.iterdir()), key=lambda file: file.name)
    return [load_pack(file) for file in found if file.name.endswith(".toml")]
