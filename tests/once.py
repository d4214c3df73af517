"""What every application makes anew, made once in each process of tests: hundreds have the same pages and addresses.

All of it is pure: the same template in the same kind of Jinja is the same code, the same address builds the same links,
and in the same folders the same plugins are installed.
"""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoints, entry_points
from types import CodeType
from typing import Any

from jinja2 import Environment
from werkzeug.routing import Rule

from clinic_dispatch_plugin import registry

_compile_template: Any = Environment.compile
_compile_builder: Any = Rule._compile_builder

_TEMPLATES: dict[tuple[object, ...], CodeType] = {}
_BUILDERS: dict[tuple[object, ...], Any] = {}
_INSTALLED: dict[tuple[str, ...], EntryPoints] = {}

#: What the code of a template depends on besides its source.
_SETTINGS = (
    "block_start_string",
    "block_end_string",
    "variable_start_string",
    "variable_end_string",
    "comment_start_string",
    "comment_end_string",
    "line_statement_prefix",
    "line_comment_prefix",
    "trim_blocks",
    "lstrip_blocks",
    "newline_sequence",
    "keep_trailing_newline",
    "finalize",
    "undefined",
    "optimized",
    "is_async",
)


def install() -> None:
    """From now on, in this process."""
    setattr(registry, "entry_points", _found_once)  # noqa: B010 - the name is imported there
    Environment.compile = _template_once  # type: ignore[method-assign]
    Rule._compile_builder = _builder_once  # type: ignore[method-assign]


def _template_once(
    self: Environment,
    source: Any,
    name: str | None = None,
    filename: str | None = None,
    raw: bool = False,
    defer_init: bool = False,
) -> Any:
    if raw or not isinstance(source, str):
        return _compile_template(self, source, name, filename, raw, defer_init)
    settings = tuple(getattr(self, each) for each in _SETTINGS)
    words = (frozenset(self.filters.items()), frozenset(self.tests.items()))
    escaped = self.autoescape(name) if callable(self.autoescape) else self.autoescape
    kind = (type(self), settings, words, tuple(self.extensions), escaped)
    key = (kind, source, name, filename, defer_init)
    if key not in _TEMPLATES:
        _TEMPLATES[key] = _compile_template(self, source, name, filename, raw, defer_init)
    return _TEMPLATES[key]


def _builder_once(self: Rule, append_unknown: bool = True) -> Any:
    if self.defaults:  # a converter of the application's has written these down
        return _compile_builder(self, append_unknown)
    key = (self.rule, tuple(self._trace), append_unknown)
    if key not in _BUILDERS:
        _BUILDERS[key] = _compile_builder(self, append_unknown)
    return _BUILDERS[key]


def _found_once(*, group: str) -> EntryPoints:
    key = (group, *sys.path)
    if key not in _INSTALLED:
        _INSTALLED[key] = entry_points(group=group)
    return _INSTALLED[key]
