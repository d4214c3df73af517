"""What the web part adds to the host's application: one Jinja global, and the pages for addresses that do not exist."""

from __future__ import annotations

from flask import Flask

from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.web.errors import add_missing_page
from clinic_dispatch_plugin.web.menu import dispatch_menu


def set_up_web(app: Flask, dispatch: Dispatch) -> None:
    """Called once by ``init_app``, after the blueprint is registered."""
    app.jinja_env.globals["dispatch_menu"] = dispatch_menu
    add_missing_page(app, dispatch.settings.url_prefix)
