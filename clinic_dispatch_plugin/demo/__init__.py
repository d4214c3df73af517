"""A small clinic to try the plugin in: ``flask --app clinic_dispatch_plugin.demo run`` opens it, filled."""

from __future__ import annotations

from clinic_dispatch_plugin.demo.factory import create_app
from clinic_dispatch_plugin.demo.seeding import ensure_seeded

__all__ = ["create_app", "ensure_seeded"]
