"""Mailings to patients inside a clinic's Flask application, where every failed message explains itself."""

from __future__ import annotations

__version__ = "0.1.0"
