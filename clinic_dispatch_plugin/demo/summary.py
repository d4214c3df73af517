"""What the demo says of its mailing over all channels: how many went which way, and what was reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import click

from clinic_dispatch_plugin.channels.reference import LANGUAGES
from clinic_dispatch_plugin.demo.numbers import End
from clinic_dispatch_plugin.demo.ways import ORDER
from clinic_dispatch_plugin.messages.commands import messages_for_command
from clinic_dispatch_plugin.messages.reported_store import reports_of_messages
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.web.i18n import translate
from clinic_dispatch_plugin.web.words import CHANNELS

#: What is counted on each channel, in German, English and Russian.
_SAID = {
    "read": ("gelesen", "read", "прочитано"),
    "delivered": ("zugestellt", "delivered", "доставлено"),
    "no_report": ("gesendet, ohne Meldung", "sent, without a report", "отправлено, без отчёта"),
    "failed": ("nicht zugestellt", "not delivered", "не доставлено"),
    "waiting": ("unterwegs", "under way", "в пути"),
    "skipped": ("nicht gesendet", "not sent", "не отправлено"),
}


_HEADING = ("Nach Weg", "By way", "По каналам")
_FELL_BACK = (
    "{n} kamen vom Weg davor hierher",
    "{n} fell back to it",
    "{n} перешли с предыдущего канала",
)


def ends(dispatch: Dispatch, mailing_id: int) -> dict[str, End]:
    """Where each patient's message is now, by ref."""
    rows = list(messages_for_command(dispatch, mailing_id=mailing_id))
    with dispatch.database.begin() as connection:
        reports = reports_of_messages(connection, [row["id"] for row in rows])
    return {
        str(row["recipient"]): End(
            channel=row["channel"], state=row["status"], report=reports.get(row["id"], "")
        )
        for row in rows
    }


def by_channel(found: Mapping[str, End]) -> list[dict[str, Any]]:
    """Each channel in order: messages that ended there, those that came from the one before, and what was reported."""
    said = []
    for place, channel in enumerate(ORDER):
        here = Counter(_kind(end) for end in found.values() if end.channel == channel)
        count = sum(here.values())
        sums = {name: here[name] for name in _SAID}
        fell_back = count - here["skipped"] if place else 0
        said.append({"channel": channel, "messages": count, "fell_back": fell_back, **sums})
    return said


def _kind(end: End) -> str:
    if end.state == "delivered":
        return "read" if end.report == "read" else "delivered"
    kinds = {"sent": "no_report", "undelivered": "failed", "skipped": "skipped"}
    return kinds.get(end.state, "waiting")


def show(channels: Sequence[Mapping[str, Any]], lang: str) -> None:
    """Print them, each channel with what came of it."""
    place = LANGUAGES.index(lang)
    first, *rest = (translate(CHANNELS[key], lang) for key in ORDER)
    click.echo(f"\n{_HEADING[place]} ({' → '.join([first, *rest])})")
    for each in channels:
        told = ", ".join(f"{each[key]} {said[place]}" for key, said in _SAID.items() if each[key])
        onward = f" ({_FELL_BACK[place].format(n=each['fell_back'])})" if each["fell_back"] else ""
        name = translate(CHANNELS[each["channel"]], lang)
        click.echo(f"  {each['messages']:4}  {name}{onward}: {told}")
