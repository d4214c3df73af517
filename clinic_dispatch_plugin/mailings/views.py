"""The pages of mailings."""

from __future__ import annotations

from flask import Blueprint


def register(blueprint: Blueprint) -> None:
    """Add the pages of mailings to the blueprint."""
