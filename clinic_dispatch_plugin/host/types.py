"""The values a clinic's system and the plugin hand each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Action(StrEnum):
    """What somebody may be allowed to do."""

    VIEW = "view"
    COMPOSE = "compose"
    SEND = "send"
    EDIT_REFERENCE = "edit_reference"
    CONFIGURE = "configure"
    VIEW_CONTENTS = "view_contents"


class Consent(StrEnum):
    """What a recipient said to being written to for one purpose."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


def consent_allows(
    purpose: str, said: Consent | str | None, *, unknown_goes: Collection[str]
) -> bool:
    """Whether a recipient may be written to for a purpose; ``service`` asks nobody, ``promotion`` needs a yes.

    :param said: what they said; a host may write it as plain text. None: nothing is known.
    :param unknown_goes: purposes that go ahead where nothing is known.
    """
    if purpose == "service":
        return True
    if said is None or said == Consent.UNKNOWN:
        return purpose != "promotion" and purpose in unknown_goes
    return said == Consent.YES


def consent_said(
    consent: Mapping[str, Consent | str], purpose: str, channel: str
) -> Consent | str | None:
    """What somebody said to one purpose on one channel: ``promotion.sms`` holds before ``promotion``."""
    return consent.get(f"{purpose}.{channel}", consent.get(purpose))


def names_yes(consent: Mapping[str, Consent | str], purpose: str, channel: str) -> bool:
    """Whether somebody agreed to one purpose on this very channel."""
    return consent.get(f"{purpose}.{channel}") == Consent.YES


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts in this request; ``addresses`` by channel key are where a trial message may go."""

    ref: str
    name: str
    addresses: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterField:
    """One filter of an audience, shown as a form field."""

    key: str
    label: str
    #: ``"text"``, ``"date"``, ``"choice"`` or ``"bool"``.
    kind: str = "text"
    #: Value and label of each choice, for ``"choice"``.
    choices: Sequence[tuple[str, str]] = ()
    default: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """A group of recipients the host offers: "appointments of a day", "all patients"."""

    key: str
    label: str
    filters: Sequence[FilterField] = ()
    #: Names of placeholders its recipients carry in ``values``.
    placeholders: Sequence[str] = ()
    #: The purpose a mailing to it usually has: proposed, not imposed.
    purpose: str = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A patient as the host describes them."""

    #: Any text that names the patient in the host; never empty, at most 128 characters.
    ref: str
    name: str = field(default="", repr=False)
    #: BCP 47, ``"de"`` or ``"de-AT"``.
    locale: str = ""
    #: Raw addresses by channel key; several in one text may be separated by commas.
    addresses: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: By purpose; a purpose not named is unknown. Who agreed to some channels only: ``promotion.sms``.
    consent: Mapping[str, Consent | str] = field(default_factory=dict)
    #: The zone whose clock says when it is night for them, ``"Europe/Lisbon"``; empty: the clinic's.
    timezone: str = ""
    #: False for the deceased, and for cards that are closed.
    active: bool = True
    #: Values of the placeholders; dates and times in ISO 8601.
    values: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """A recipient said that they understood a message, such as by a key while it was spoken."""

    #: As the host's :class:`Recipient`; empty where the message came from a file.
    ref: str
    channel: str
    #: What they pressed.
    key: str
    mailing_id: int
    message_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Which template of the host holds our pages, and in which block."""

    template: str
    block: str = "content"
