"""Finds the channel by which a message goes on when it cannot arrive through the one it was on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.engine.addresses import usable_address
from clinic_dispatch_plugin.host.types import Consent, consent_allows, consent_said, names_yes
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.fingerprints import fingerprint
from clinic_dispatch_plugin.messages.routes import Onward, Route, after
from clinic_dispatch_plugin.registry import Dispatch

NOT_AGREED = "not_agreed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """A message that cannot arrive through its channel."""

    message_id: int
    channel: str
    order: Sequence[str]
    purpose: str
    addresses: Mapping[str, str] = field(repr=False)
    #: What it knows of its channels so far.
    route: Route = field(default_factory=Route)
    #: What the card says now; None: it was not asked, and will be before anything goes out.
    consent: Mapping[str, Consent | str] | None = None
    #: The recipient unsubscribed on the channel they leave: another needs a yes that names it.
    unsubscribed: bool = False

    @property
    def further(self) -> tuple[str, ...]:
        """The channels that are left."""
        return after(self.order, self.channel)


def stuck(
    row: Mapping[str, object],
    *,
    order: Sequence[str],
    purpose: str,
    channel: str,
) -> Stuck:
    """A message as its row describes it, on the channel its attempt went through."""
    route = row["route"]
    known = Route.read(route if isinstance(route, Mapping) else None)
    return Stuck(
        message_id=int(str(row["id"])),
        channel=channel,
        order=order,
        purpose=purpose,
        addresses=known.addresses,
        route=known,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    channel: str
    address: str = field(repr=False)
    digest: str


def ways_on(
    dispatch: Dispatch, connection: Connection, several: Sequence[Stuck]
) -> dict[int, Onward]:
    """Where each of them goes on; those that no channel is left for are not among them.

    The next channel has an account, an address of theirs that can be used and is not blocked, and their consent.
    """
    ways = {each.message_id: _ways(dispatch, each) for each in several}
    blocked = _blocked(connection, several, ways)
    found = {}
    for each in several:
        way = _first(dispatch, each, ways[each.message_id], blocked)
        if way is not None:
            through = accounts.way(dispatch, connection, way.channel, each.purpose)
            assert through is not None
            found[each.message_id] = Onward(
                channel=way.channel,
                account_id=through.row_id,
                address=way.address,
            )
    return found


def _ways(dispatch: Dispatch, one: Stuck) -> list[_Way]:
    """The channels left, with the addresses they would go to."""
    found = []
    for key in one.further:
        channel = dispatch.channels.get(key)
        raw = one.addresses.get(key, "")
        if channel is None or dispatch.account(key, one.purpose) is None or not raw:
            continue
        address, fault = usable_address(channel, raw, region=dispatch.settings.region)
        if not fault:
            found.append(
                _Way(channel=key, address=address, digest=fingerprint(dispatch, key, address))
            )
    return found


def _blocked(
    connection: Connection, several: Sequence[Stuck], ways: Mapping[int, Sequence[_Way]]
) -> dict[tuple[str, str, str], str]:
    """Codes of blocked addresses by channel, purpose and digest."""
    asked: dict[tuple[str, str], set[str]] = {}
    for each in several:
        for way in ways[each.message_id]:
            asked.setdefault((way.channel, each.purpose), set()).add(way.digest)
    return {
        (channel, purpose, digest): code
        for (channel, purpose), digests in asked.items()
        for digest, code in messages.blocked(connection, channel, digests, purpose).items()
    }


def _first(
    dispatch: Dispatch,
    one: Stuck,
    ways: Sequence[_Way],
    blocked: Mapping[tuple[str, str, str], str],
) -> _Way | None:
    unsubscribed = one.unsubscribed
    for way in ways:
        code = blocked.get((way.channel, one.purpose, way.digest))
        if code is None and _agreed(dispatch, one, way.channel, unsubscribed=unsubscribed):
            return way
        unsubscribed = unsubscribed or code == NOT_AGREED
    return None


def _agreed(dispatch: Dispatch, one: Stuck, channel: str, *, unsubscribed: bool) -> bool:
    """Whether the recipient may be written to on a channel, as far as it is known now."""
    consent = one.consent
    if unsubscribed:
        return consent is not None and names_yes(consent, one.purpose, channel)
    if consent is None:
        return True
    said = consent_said(consent, one.purpose, channel)
    return consent_allows(one.purpose, said, unknown_goes=dispatch.settings.unknown_consent)
