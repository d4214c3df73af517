"""Delivery reports as RFC 3464 has them: a block for the mail, a block for each recipient."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from clinic_dispatch_plugin.reports.answers import beginning_at_code, code_of, without_type
from clinic_dispatch_plugin.reports.mail import Fields
from clinic_dispatch_plugin.reports.rules import MOST_RECIPIENTS, Reported, ReportedAction
from clinic_dispatch_plugin.reports.words import ADDRESS

_ACTIONS = {
    "failed": ReportedAction.FAILED,
    "failure": ReportedAction.FAILED,
    "delayed": ReportedAction.DELAYED,
    "delivered": ReportedAction.DELIVERED,
    "deliverable": ReportedAction.DELIVERED,
    "relayed": ReportedAction.RELAYED,
    "expanded": ReportedAction.EXPANDED,
}
_BY_CLASS = {
    "5": ReportedAction.FAILED,
    "4": ReportedAction.DELAYED,
    "2": ReportedAction.DELIVERED,
}
_PATH = re.compile(
    r"^\s*(?:rfc822|rfc2822|utf-8|x400|unknown|local|smtp|x-[\w-]+|[\w.-]+)?\s*;\s*", re.IGNORECASE
)


def reported(blocks: Sequence[Fields]) -> Iterator[Reported]:
    """Each recipient of these blocks that has an address."""
    for count, block in enumerate(blocks):
        if count >= MOST_RECIPIENTS:
            return
        address = _address(block)
        action = _action(block)
        if address and action:
            answer = beginning_at_code(without_type(block.get("diagnostic-code", "")))
            yield Reported(
                address=address,
                action=action,
                code=code_of(answer, block.get("status", "")),
                answer=answer,
            )


def statuses(blocks: Sequence[Fields]) -> str:
    """The first status given, for recipients whose block names no address."""
    return next((block["status"] for block in blocks if block.get("status")), "")


def _address(block: Fields) -> str:
    """As we wrote it, else where it went, else what a product of its own kind says."""
    for name in (
        "original-recipient",
        "final-recipient",
        "x-actual-recipient",
        "x-original-recipient",
        "final_recipient",
    ):
        value = _PATH.sub("", block.get(name, ""))
        found = ADDRESS.search(value.replace("=", "\u00a0") if " " in value else value)
        if found:
            return plain_address(found[0])
    return ""


def _action(block: Fields) -> ReportedAction | None:
    word = re.match(r"[a-z]+", block.get("action", "").strip().lower())
    if word and word[0] in _ACTIONS:
        return _ACTIONS[word[0]]
    if status := re.match(r"\s*([245])\.", block.get("status", "")):
        return _BY_CLASS[status[1]]
    return ReportedAction.FAILED if "diagnostic-code" in block else None


def plain_address(text: str) -> str:
    """An address without what stands around it."""
    return text.strip("<>.:,;\"'()[]").removeprefix("mailto:")[:320]
