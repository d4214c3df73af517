"""What the host says now of recipients whose messages a person sends again: the card may have been mended meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.errors import InvalidAddress
from clinic_dispatch_plugin.channels.text import clean_value
from clinic_dispatch_plugin.error_reference.answers import explained
from clinic_dispatch_plugin.host.types import Recipient
from clinic_dispatch_plugin.messages import blocks_store, lists_store
from clinic_dispatch_plugin.messages.contents import texts_of
from clinic_dispatch_plugin.messages.routes import order_of
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.web.asking import ask

LONGEST_ADDRESS = 320


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """What changes in a message; None: nothing does."""

    address: str | None = field(default=None, repr=False)
    data: Mapping[str, str] | None = field(default=None, repr=False)
    #: The channel the address belongs to; None: the message's.
    channel: str | None = None


def fresh_facts(dispatch: Dispatch, ids: Sequence[int]) -> dict[int, Fresh]:
    """New addresses from the patients' cards, and values that were missing.

    No transaction is open while the host is asked.
    An address that was corrected for the message alone stays: the card does not know it.

    :raises HostFailed: the host's adapter raised.
    """
    with dispatch.database.begin() as connection:
        rows = [row for row in lists_store.messages_by_id(connection, ids) if row["ref"]]
        kept = blocks_store.corrected_here(connection, [row["id"] for row in rows])
        lacking = _lacking_values(dispatch, connection, rows)
        names = {m: _names(connection, m) for m in {row["mailing_id"] for row in lacking}}
    known = ask_about(dispatch, rows)
    facts = {}
    for row in rows:
        recipient = known.get(row["ref"])
        if recipient is None:
            continue
        address = None if row["id"] in kept else _address(dispatch, row, recipient)
        data = _data(row, recipient, names[row["mailing_id"]]) if row in lacking else None
        if address is not None or data is not None:
            facts[row["id"]] = Fresh(address=address, data=data)
    return facts


def _lacking_values(
    dispatch: Dispatch, connection: Connection, rows: Sequence[RowMapping]
) -> list[RowMapping]:
    """Messages never sent because a placeholder was empty."""
    answers = explained(dispatch, connection, (row["answer_id"] for row in rows))
    return [
        row
        for row in rows
        if row["attempts"] == 0
        and row["answer_id"] in answers
        and answers[row["answer_id"]].is_ours("empty_placeholder")
    ]


def _names(connection: Connection, mailing_id: int) -> frozenset[str]:
    mailing = lists_store.mailing(connection, mailing_id)
    order = order_of(mailing["channel"], mailing["fallbacks"]) if mailing else ()
    texts = (text for key in order for text in texts_of(connection, mailing_id, key))
    return frozenset().union(*(text.names for text in texts))


def ask_about(dispatch: Dispatch, rows: Sequence[RowMapping]) -> Mapping[str, Recipient]:
    """What the host says now of these messages' patients.

    :raises HostFailed: the host's adapter raised.
    """
    refs = sorted({row["ref"] for row in rows})
    return ask("recipients_now", lambda: dispatch.host.recipients_now(refs)) if refs else {}


def _address(dispatch: Dispatch, row: RowMapping, recipient: Recipient) -> str | None:
    channel = dispatch.channels.get(row["channel"])
    raw = recipient.addresses.get(row["channel"], "")
    if channel is None or not raw:
        return None
    try:
        address = channel.normalise_address(raw, region=dispatch.settings.region)
    except InvalidAddress:
        return None
    usable = bool(address) and len(address) <= LONGEST_ADDRESS and address != row["address"]
    return address if usable else None


def _data(row: RowMapping, recipient: Recipient, names: frozenset[str]) -> Mapping[str, str]:
    found = {"name": recipient.name, **recipient.values}
    fresh = {name: clean_value(str(found[name])) for name in names if found.get(name)}
    return {**(row["data"] or {}), **fresh}
