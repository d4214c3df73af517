"""The pages of messages."""

from __future__ import annotations

from flask import Blueprint


def register(blueprint: Blueprint) -> None:
    """Add the pages of messages to the blueprint."""
