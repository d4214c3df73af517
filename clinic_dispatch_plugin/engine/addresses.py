"""Where a message goes: to the address of the patient's card as it is now, unless somebody gave it one of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from clinic_dispatch_plugin.channels.channel import Channel
from clinic_dispatch_plugin.channels.errors import InvalidAddress
from clinic_dispatch_plugin.channels.text import clean_value
from clinic_dispatch_plugin.host.types import Recipient
from clinic_dispatch_plugin.messages import blocks_store

LONGEST_ADDRESS = 320
NO_ADDRESS = "no_address"
MALFORMED = "malformed_address"
#: What else a channel may say of an address; any other word counts as malformed.
FAULTS = frozenset({"landline", "short_number"})


def usable_address(channel: Channel, raw: str, *, region: str) -> tuple[str, str]:
    """The one form of an address and ``""``, or what can be shown of a wrong one and the code that says why."""
    try:
        address = channel.normalise_address(raw, region=region)
    except InvalidAddress as error:
        return _shown(raw), _fault(error.answer.code if raw.strip() else NO_ADDRESS)
    if not address:
        return "", NO_ADDRESS
    kept = _shown(address)
    return kept, "" if kept == address else MALFORMED


def _fault(code: str) -> str:
    return code if code == NO_ADDRESS or code in FAULTS else MALFORMED


def _shown(text: str) -> str:
    return " ".join(clean_value(text).split())[:LONGEST_ADDRESS]


def moved(
    connection: Connection,
    channel: Channel,
    rows: Sequence[Mapping[str, Any]],
    cards: Mapping[str, Recipient],
    *,
    region: str,
) -> dict[int, tuple[str, str]]:
    """Messages whose patient's card names another address by now, or none that can be used: as :func:`usable_address`.

    An address that a person gave to the message alone stays: the card does not know it.
    """
    found = {}
    for row in rows:
        if (card := cards.get(row["ref"])) is not None:
            now = usable_address(channel, card.addresses.get(channel.key) or "", region=region)
            if now != (row["address"], ""):
                found[row["id"]] = now
    for message_id in blocks_store.corrected_here(connection, sorted(found)):
        del found[message_id]
    return found
