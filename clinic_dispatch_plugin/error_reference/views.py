"""The pages *Mailing errors*."""

from __future__ import annotations

from flask import Blueprint

from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.web.auth import requires
from clinic_dispatch_plugin.web.layout import render_page


def register(blueprint: Blueprint) -> None:
    """Add the pages of the reference to the blueprint."""
    blueprint.add_url_rule("/errors", "reference", requires(Action.VIEW)(show_list))


def show_list():  # type: ignore[no-untyped-def]
    return render_page("clinic_dispatch/error.html", code=1, title_text="x", advice="y", active="reference")
