"""The last look before a message goes out: consent, life, blocks, and its finished text."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.html_frame import Frames
from clinic_dispatch_plugin.channels.text import EmptyPlaceholder, Template, parse
from clinic_dispatch_plugin.channels.types import Answer, Content, OutgoingMessage, Purpose
from clinic_dispatch_plugin.database.connection import now as database_now
from clinic_dispatch_plugin.engine.addresses import moved
from clinic_dispatch_plugin.engine.asking import ask_host
from clinic_dispatch_plugin.engine.onward import NOT_AGREED, Stuck, ways_on
from clinic_dispatch_plugin.engine.rules import EXPIRED
from clinic_dispatch_plugin.host.types import Recipient, consent_allows, consent_said
from clinic_dispatch_plugin.messages import contents, lists_store
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.fingerprints import fingerprint
from clinic_dispatch_plugin.messages.quiet import any_hour, hours_of
from clinic_dispatch_plugin.messages.routes import PASSABLE, Onward, Route, after, order_of
from clinic_dispatch_plugin.messages.rules import new_key, unsubscribe_token
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.quiet_hours import Hours, due_after, zone_named
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)

#: A message's row, with its address as it is now.
Row: TypeAlias = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Text:
    """A mailing's text, parsed once."""

    mailing_id: int
    purpose: str
    channel: str
    not_after: datetime | None
    subject: Template
    body: Template
    html: Frames | None
    #: Its addresses are those of the patients' cards, not of a file.
    follows_cards: bool = False
    #: All channels of the mailing, in order.
    order: Sequence[str] = ()
    #: Somebody ticked that it goes out in quiet hours too.
    any_hour: bool = False

    def render(self, data: Mapping[str, Any], locale: str) -> Content:
        """The finished text for one recipient.

        :raises EmptyPlaceholder: a value the text needs is missing.
        """
        values = {name: str(value) for name, value in data.items()}
        return Content(
            subject=self.subject.render(values, locale=locale, one_line=True),
            text=self.body.render(values, locale=locale),
            # Cleaned once more when finished: pieces that are harmless apart may not be so together.
            html=self.html.render(values, locale) if self.html is not None else "",
        )


@dataclass(slots=True, kw_only=True)
class Prepared:
    """One window: what goes out, and what does not, with the answer that says why."""

    outgoing: list[tuple[Row, OutgoingMessage]] = field(default_factory=list)
    skipped: list[tuple[Row, Answer]] = field(default_factory=list)
    #: What waits for the end of the quiet hours, each with when it is due.
    later: list[tuple[Row, datetime]] = field(default_factory=list)
    #: What goes on to another channel untried, each with the answer that says why.
    onward: list[tuple[Row, Answer, Onward]] = field(default_factory=list)
    #: New addresses by message, as the patients' cards have them.
    moved: Mapping[int, str] = field(default_factory=dict)

    @property
    def messages(self) -> list[OutgoingMessage]:
        """What goes out."""
        return [message for _, message in self.outgoing]

    def expired(self) -> Prepared:
        """The same once the mailing's last moment has passed: nothing goes out."""
        late = [(row, EXPIRED) for row, _ in self.outgoing]
        late += [(row, EXPIRED) for row, _ in self.later]
        late += [(row, EXPIRED) for row, _, _ in self.onward]
        return Prepared(skipped=[*self.skipped, *late], moved=self.moved)


def load_text(connection: Connection, mailing_id: int, channel: str) -> Text:
    """The text of a mailing on one of its channels; its revision never changes, so it may be kept.

    :raises LookupError: it says nothing on this channel.
    """
    row = messages.text_of(connection, mailing_id, channel)
    return Text(
        mailing_id=mailing_id,
        purpose=row["purpose"],
        channel=channel,
        order=order_of(row["channel"], row["fallbacks"]),
        not_after=row["not_after"],
        subject=parse(row["subject"]),
        body=parse(row["body"]),
        html=Frames(parse(row["html"])) if row["html"] else None,
        follows_cards=row["source"] != "file",
        any_hour=any_hour(row["purpose"], row["selection"]),
    )


def prepare(
    dispatch: Dispatch,
    rows: Sequence[RowMapping],
    text: Text,
    *,
    next_attempt_id: Callable[[], int],
    unsubscribe_url: Callable[[Row, Text], str | None],
    meanwhile: Callable[[], object],
) -> Prepared:
    """Ask the host afresh and finish the texts; no transaction is open meanwhile.

    :param meanwhile: called again and again while the host is asked.
    :raises HostUnavailable: the adapter raised, or did not answer in time.
    """
    refs = sorted({row["ref"] for row in rows if row["ref"]})
    hours = hours_of(dispatch, text.purpose, text.channel, any_hour=text.any_hour)
    cards = ask_host(dispatch, refs, meanwhile=meanwhile)
    known = _known(dispatch, rows, text, cards, hours=hours)
    done = Prepared(moved=known.moved)
    going_on = _going_on(dispatch, text, known)
    for row in known.rows:
        if row["id"] in going_on:
            done.onward.append((row, *going_on[row["id"]]))
            continue
        reason = _reason_not_to(dispatch, row, text, known)
        if reason is None and (due := _quiet_until(dispatch, row, text, known, hours)):
            done.later.append((row, due))
            continue
        made = reason or _finished(dispatch, row, text)
        if isinstance(made, Content) and (row["id"] in known.moved or _came_on(row, text)):
            made = _repeated(dispatch, row, made, done) or made
        if isinstance(made, Answer):
            done.skipped.append((row, made))
            continue
        message = OutgoingMessage(
            attempt_id=next_attempt_id(),
            attempt_key=new_key(),
            message_key=row["key"],
            address=row["address"],
            name=row["name"],
            locale=row["locale"] or dispatch.settings.locale,
            content=made,
            purpose=Purpose(text.purpose),
            unsubscribe_url=unsubscribe_url(row, text),
        )
        done.outgoing.append((row, message))
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """Everything a window has to know before its texts are made."""

    #: The database's time, where quiet hours ask for it.
    at: datetime | None
    cards: Mapping[str, Recipient]
    #: The messages with the addresses they go to now.
    rows: Sequence[Row]
    #: New addresses by message.
    moved: Mapping[int, str]
    #: Codes of what is wrong with a new address, by message.
    faults: Mapping[int, str]
    #: Codes of blocked addresses, by digest.
    blocked: Mapping[str, str]


def _known(
    dispatch: Dispatch,
    rows: Sequence[RowMapping],
    text: Text,
    cards: Mapping[str, Recipient],
    *,
    hours: Sequence[Hours],
) -> _Known:
    with dispatch.database.look() as connection:
        now: list[dict[str, Any]] = [{**row} for row in rows]
        new: Mapping[int, tuple[str, str]] = {}
        if text.follows_cards:
            channel, region = dispatch.channels[text.channel], dispatch.settings.region
            new = moved(connection, channel, now, cards, region=region)
            for row in now:
                row["address"] = new.get(row["id"], (row["address"], ""))[0]
        digests = [fingerprint(dispatch, text.channel, row["address"]) for row in now]
        blocked = messages.blocked(connection, text.channel, digests, text.purpose)
        at = database_now(connection) if hours else None
    return _Known(
        at=at,
        cards=cards,
        rows=now,
        moved={message_id: address for message_id, (address, _) in new.items()},
        faults={message_id: fault for message_id, (_, fault) in new.items() if fault},
        blocked=blocked,
    )


def _reason_not_to(dispatch: Dispatch, row: Row, text: Text, known: _Known) -> Answer | None:
    said: str | None = None  # nobody to ask: what unknown consent means for this purpose holds
    if row["ref"]:
        card = known.cards.get(row["ref"])
        if card is None:
            return Answer(system="dispatch", code="unknown_ref")
        if not card.active:
            return Answer(system="dispatch", code="inactive")
        said = consent_said(card.consent, text.purpose, text.channel)
    unknown_goes = dispatch.settings.unknown_consent
    code = known.faults.get(row["id"])
    if not code and not consent_allows(text.purpose, said, unknown_goes=unknown_goes):
        code = "not_agreed"
    code = code or known.blocked.get(fingerprint(dispatch, text.channel, row["address"]))
    return Answer(system="dispatch", code=code) if code else None


def _quiet_until(
    dispatch: Dispatch, row: Row, text: Text, known: _Known, hours: Sequence[Hours]
) -> datetime | None:
    """When the quiet hours of this recipient are over; None: it is not quiet."""
    if not hours or known.at is None:
        return None
    card = known.cards.get(row["ref"]) if row["ref"] else None
    zone = zone_named(card.timezone if card else "", dispatch.settings.timezone)
    return due_after(known.at, zone, hours, not_after=text.not_after)


def _going_on(dispatch: Dispatch, text: Text, known: _Known) -> dict[int, tuple[Answer, Onward]]:
    """Messages this channel cannot carry and another one can, with what speaks against this one."""
    if not after(text.order, text.channel):
        return {}
    reasons = {row["id"]: _reason_not_to(dispatch, row, text, known) for row in known.rows}
    several = [
        _stuck(dispatch, row, text, known)
        for row in known.rows
        if (reason := reasons[row["id"]]) is not None and reason.code in PASSABLE
    ]
    if not several:
        return {}
    ways = dispatch.database.run(lambda connection: ways_on(dispatch, connection, several))
    return {
        message_id: (reason, way)
        for message_id, way in ways.items()
        if (reason := reasons[message_id]) is not None
    }


def _stuck(dispatch: Dispatch, row: Row, text: Text, known: _Known) -> Stuck:
    blocked = known.blocked.get(fingerprint(dispatch, text.channel, row["address"]))
    card = known.cards.get(row["ref"]) if row["ref"] else None
    planned = Route.read(row["route"]).addresses
    addresses = card.addresses if card is not None and text.follows_cards else planned
    return Stuck(
        message_id=row["id"],
        channel=text.channel,
        order=text.order,
        purpose=text.purpose,
        addresses={key: value or "" for key, value in addresses.items()},
        # Nobody to ask: what unknown consent means for this purpose holds.
        consent=card.consent if card is not None else {},
        unsubscribed=blocked == NOT_AGREED,
    )


def _came_on(row: Row, text: Text) -> bool:
    """Whether a message came from another channel: whoever else has this address was not looked at then."""
    return row["duplicate_key"] is None and bool(text.order) and text.channel != text.order[0]


def _finished(dispatch: Dispatch, row: Row, text: Text) -> Content | Answer:
    """The finished text, or why there is none."""
    try:
        return text.render(row["data"] or {}, row["locale"] or dispatch.settings.locale)
    except EmptyPlaceholder as error:
        return Answer(system="dispatch", code="empty_placeholder", text=str(error))
    except Exception as error:
        ids = {"message_id": row["id"], "mailing_id": text.mailing_id}
        log.error("message %d cannot be made: %s", row["id"], places(error), extra=ids)
        return Answer(system="dispatch", code="harmful", text=type(error).__name__)


def _repeated(dispatch: Dispatch, row: Row, content: Content, done: Prepared) -> Answer | None:
    """Whether a new address gets this already: the same patient, or the same words."""
    with dispatch.database.begin() as connection:
        others: list[tuple[str, object]] = [
            (other["ref"], contents.render(dispatch, connection, other))
            for other in lists_store.same_address(connection, row)
            if other["id"] not in done.moved
        ]
    words = contents.of(content)
    others += [
        (other["ref"], contents.of(message.content))
        for other, message in done.outgoing
        if other["address"].casefold() == row["address"].casefold()
    ]
    if any(ref == row["ref"] or said == words for ref, said in others):
        return Answer(system="dispatch", code="duplicate")
    return None


def unsubscribe_url(dispatch: Dispatch, row: Row, text: Text) -> str | None:
    """Where this recipient says "no more of these"; None where the purpose or the configuration offers none."""
    settings = dispatch.settings
    if text.purpose not in {"promotion", "greeting"} or not (
        settings.base_url and settings.secret_keys
    ):
        return None
    digest = fingerprint(dispatch, row["channel"], row["address"])
    token = unsubscribe_token(settings.secret_keys[0], row["channel"], text.purpose, digest)
    return f"{settings.base_url}{settings.url_prefix}/unsubscribe/{token}"
