"""The options that simulators have in common as commands."""

from __future__ import annotations

from pathlib import Path

import click


def port_option(usual: int) -> click.Option:
    """Where it listens."""
    kind = click.IntRange(0, 65535)
    return click.Option(
        ["--port"], type=kind, default=usual, show_default=True, help="0: any free one."
    )


def ledger_option(what: str) -> click.Option:
    """Where it writes down what it took."""
    return click.Option(
        ["--ledger"],
        type=click.Path(path_type=Path),
        help=f"File that gets a line for every {what}.",
    )


def scenarios_option(example: str) -> click.Option:
    """The table of numbers."""
    return click.Option(
        ["--scenarios"],
        type=click.Path(path_type=Path, exists=True),
        help=f"JSON: number to words, such as {example}.",
    )


def seconds_option(name: str, words: str, *, default: float = 0.0) -> click.Option:
    """How long something takes."""
    kind = click.FloatRange(0, 600)
    return click.Option([name], type=kind, default=default, show_default=True, help=words)
