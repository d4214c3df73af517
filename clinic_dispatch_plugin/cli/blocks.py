"""``flask dispatch blocks``: addresses we do not write to, and lifting a block."""

from __future__ import annotations

from typing import Any

import click
from flask.cli import AppGroup

from clinic_dispatch_plugin.cli.base import (
    SYSTEM,
    fail,
    guarded,
    iso,
    json_option,
    language_option,
    print_json,
    print_table,
    ready,
)
from clinic_dispatch_plugin.messages.blocks import (
    Blocked,
    digests_of,
    every_block,
    kept_back,
    lift,
    list_blocks,
)


@click.group("blocks", invoke_without_command=True)
@json_option
@language_option
@click.pass_context
def blocks(context: click.Context, as_json: bool, lang: str | None) -> None:
    """List the addresses nothing is sent to, masked, with the reason; or lift a block."""
    if context.invoked_subcommand is None:
        _list(as_json, lang)


def register(group: AppGroup) -> None:
    """Add the commands to ``dispatch``."""
    group.add_command(blocks)
    blocks.add_command(lift_block)


@guarded
def _list(as_json: bool, lang: str | None) -> None:
    dispatch = ready()
    language = lang or dispatch.settings.locale
    rows = (_said(block, language) for block in every_block(dispatch))
    if as_json:
        for row in rows:
            print_json(row)
        return
    print_table(
        (
            [row["id"], row["channel"], row["address"], row["until"], row["why"] or row["note"]]
            for row in rows
        ),
        ["id", "channel", "address", "until", "reason"],
    )


def _said(block: Blocked, language: str) -> dict[str, Any]:
    entry = block.answer.entry if block.answer else None
    return {
        "id": block.id,
        "channel": block.channel,
        "address": block.address,
        # Of a recipient who unsubscribed: what they want no more of.
        "purpose": block.purpose,
        "note": block.answer.text("short", language) if block.answer else "",
        "entry": entry.key if entry else "",
        "why": block.why,
        "by": block.by,
        "since": iso(block.since),
        "until": iso(block.until),
    }


@click.command("lift")
@click.argument("address")
@click.option("--channel", required=True, help="email, sms …: a block holds for one channel.")
@json_option
@guarded
def lift_block(address: str, channel: str, as_json: bool) -> None:
    """Lift the block of ADDRESS; what its owner unsubscribed from stays. Messages kept back are named, not sent."""
    dispatch = ready()
    if channel not in dispatch.channels:
        known = ", ".join(sorted(dispatch.channels)) or "none"
        fail(f"--channel {channel!r}: there is no such channel; there are: {known}.")
    digests = digests_of(dispatch, address, channel=channel)
    if not digests:
        fail("This is no address of that channel: give it in full.")
    there = list_blocks(dispatch, channel=channel, digests=digests).blocks
    done = lift(dispatch, SYSTEM, [block.id for block in there])
    if not done:
        own = " (its owner unsubscribed, which stays)" if there else ""
        fail(f"This address is not blocked{own}.")
    held = [line.id for line in kept_back(dispatch, SYSTEM, done)]
    if as_json:
        print_json({"lifted": done, "kept_back": held})
        return
    click.echo(f"{len(done)} block lifted; {len(held)} messages were kept back by it")
    if held:
        click.echo("Send those again that still make sense: on the page of the blocked address.")
