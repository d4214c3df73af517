"""The host of the long run: configured by the environment alone, so that any process can begin again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from flask import Flask

from clinic_dispatch_plugin.extension import ClinicDispatch
from clinic_dispatch_plugin.host.adapter import HostAdapter
from clinic_dispatch_plugin.host.types import Action, Actor, Audience, FilterField, Recipient
from tests.soak.people import people, person

RECEPTION = Actor(ref="reception", name="Reception")
EVERYBODY = Audience(
    key="people",
    label="People",
    filters=(FilterField(key="start", label="From"), FilterField(key="end", label="To")),
    placeholders=("name",),
)


class EndlessHost(HostAdapter):
    """A clinic with as many patients as there are numbers, where everybody may do everything."""

    def current_actor(self) -> Actor | None:
        return RECEPTION

    def is_allowed(self, actor: Actor, action: Action) -> bool:
        return True

    def audiences(self) -> Sequence[Audience]:
        return (EVERYBODY,)

    def recipients(self, audience: str, filters: Mapping[str, str]) -> Iterable[Recipient]:
        return people(int(filters["start"]), int(filters["end"]))

    def recipient(self, ref: str) -> Recipient | None:
        return person(int(ref[1:]))


def create_app() -> Flask:
    """The host, with a database of our own."""
    app = Flask("soak_clinic")
    app.secret_key = "soak"
    ClinicDispatch().init_app(app, host=EndlessHost())
    return app
