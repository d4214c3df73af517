"""Where a message that may go through several channels begins when a person sends it again: with the first one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import RowMapping

from clinic_dispatch_plugin.channels.errors import InvalidAddress
from clinic_dispatch_plugin.host.types import Recipient
from clinic_dispatch_plugin.messages import blocks_store, lists_store
from clinic_dispatch_plugin.messages.afresh import LONGEST_ADDRESS, Fresh, ask_about
from clinic_dispatch_plugin.messages.routes import Route, order_of
from clinic_dispatch_plugin.registry import Dispatch


def from_the_first(
    dispatch: Dispatch, ids: Sequence[int], facts: Mapping[int, Fresh]
) -> dict[int, Fresh]:
    """The same facts, with messages of several channels at the first one they have an address for, by the cards of now.

    One whose address was corrected for the message alone stays on that channel: there somebody put it right.
    No transaction is open while the host is asked.

    :raises HostFailed: the host's adapter raised.
    """
    with dispatch.database.begin() as connection:
        rows = [row for row in lists_store.messages_by_id(connection, ids) if row["route"]]
        kept = blocks_store.corrected_here(connection, [row["id"] for row in rows])
        rows = [row for row in rows if row["id"] not in kept]
        mailings = {row["mailing_id"]: None for row in rows}
        orders = {
            mailing_id: order_of(found["channel"], found["fallbacks"])
            for mailing_id in mailings
            if (found := lists_store.mailing(connection, mailing_id)) is not None
        }
    known = ask_about(dispatch, [row for row in rows if row["ref"]])
    done = dict(facts)
    for row in rows:
        start = _start(dispatch, row, orders[row["mailing_id"]], known.get(row["ref"]))
        if start is not None:
            fresh = facts.get(row["id"], Fresh())
            moved = start != (row["channel"], row["address"])
            done[row["id"]] = replace(
                fresh,
                channel=start[0] if moved else None,
                address=start[1] if moved else None,
            )
    return done


def _start(
    dispatch: Dispatch, row: RowMapping, order: Sequence[str], card: Recipient | None
) -> tuple[str, str] | None:
    addresses = Route.read(row["route"]).addresses
    if card is not None:
        addresses = {**addresses, **{key: value or "" for key, value in card.addresses.items()}}
    for key in order:
        if dispatch.account(key) is not None and (
            address := normal(dispatch, key, addresses.get(key, ""))
        ):
            return key, address
    return None


def normal(dispatch: Dispatch, channel: str, raw: str) -> str:
    """The one form of an address; empty where it is none."""
    found = dispatch.channels.get(channel)
    if found is None or not raw:
        return ""
    try:
        address = found.normalise_address(raw, region=dispatch.settings.region)
    except InvalidAddress:
        return ""
    return address if len(address) <= LONGEST_ADDRESS else ""


def places_of(dispatch: Dispatch, row: Mapping[str, object]) -> list[dict[str, str]]:
    """Every channel and address a message may go to."""
    route = row["route"]
    known = Route.read(route if isinstance(route, Mapping) else None)
    further = {key: normal(dispatch, key, raw) for key, raw in known.addresses.items()}
    here = {str(row["channel"]): str(row["address"])}
    return [
        {"channel": key, "address": address}
        for key, address in {**further, **here}.items()
        if address
    ]
