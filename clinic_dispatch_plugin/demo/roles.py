"""Who may do what here: on the clinic's own pages, and what the clinic lets the dispatch plugin allow."""

from __future__ import annotations

from enum import StrEnum

from clinic_dispatch_plugin.host.types import Action


class Role(StrEnum):
    """What somebody works as."""

    RECEPTION = "reception"
    MARKETING = "marketing"
    ADMINISTRATOR = "administrator"
    #: A colleague without rights.
    COLLEAGUE = "colleague"


class Area(StrEnum):
    """A part of the clinic's own pages."""

    PATIENTS = "patients"
    #: Changing a patient's card.
    CARDS = "cards"
    APPOINTMENTS = "appointments"
    RESULTS = "results"


AREAS: dict[Role, frozenset[Area]] = {
    Role.RECEPTION: frozenset(Area),
    Role.MARKETING: frozenset({Area.PATIENTS}),
    Role.ADMINISTRATOR: frozenset(Area),
    Role.COLLEAGUE: frozenset(),
}

ACTIONS: dict[Role, frozenset[Action]] = {
    # Describing an answer nobody foresaw is reception's daily work; accounts and settings are not.
    Role.RECEPTION: frozenset(Action) - {Action.CONFIGURE},
    Role.MARKETING: frozenset({Action.VIEW, Action.COMPOSE, Action.SEND}),
    Role.ADMINISTRATOR: frozenset(Action),
    Role.COLLEAGUE: frozenset(),
}

#: Audiences for advertising and greetings; who has an appointment, or results, is not marketing's business.
MARKETING_AUDIENCES = frozenset({"birthdays", "all"})


def may_enter(role: str, area: Area) -> bool:
    """Whether this role sees this part of the clinic; an unknown role sees nothing."""
    return role in AREAS and area in AREAS[Role(role)]


def may(role: str, action: Action) -> bool:
    """Whether this role may do this with mailings; an unknown role may do nothing."""
    return role in ACTIONS and action in ACTIONS[Role(role)]


def sees_vip(role: str) -> bool:
    """Whether this role sees patients whom the public knows."""
    return role in {Role.RECEPTION, Role.ADMINISTRATOR}
