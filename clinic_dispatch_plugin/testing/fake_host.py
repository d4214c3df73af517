"""A clinic's system in memory: who acts, what they may do and who the patients are is set by the test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from clinic_dispatch_plugin.host.adapter import HostAdapter
from clinic_dispatch_plugin.host.types import Action, Actor, Audience, Confirmed, Recipient

#: The one audience of a fake host.
EVERYBODY = Audience(key="everybody", label="Everybody", placeholders=("name",))


class FakeHost(HostAdapter):
    """Answers from its attributes; change them at will, also while messages are sent."""

    def __init__(
        self,
        recipients: Iterable[Recipient] = (),
        *,
        actor: Actor | None = None,
        actions: Iterable[Action] = tuple(Action),
    ) -> None:
        """Begin with these recipients.

        :param actor: who acts; None: nobody is signed in.
        :param actions: what they may do; everything unless said.
        """
        self.people: dict[str, Recipient] = {each.ref: each for each in recipients}
        self.actor = actor
        self.actions = set(actions)
        #: Refs whose messages nobody may see.
        self.hidden: set[str] = set()
        #: Raised by every question about recipients while it is set.
        self.broken: Exception | None = None
        #: How often recipients were asked for, and for which refs.
        self.questions: list[tuple[str, ...]] = []
        #: Address corrections that were saved: ref, channel, value.
        self.corrections: list[tuple[str, str, str]] = []
        #: What recipients confirmed.
        self.told: list[Confirmed] = []

    def add(self, *recipients: Recipient) -> None:
        """Add patients, or replace those with the same ref."""
        self.people.update({each.ref: each for each in recipients})

    def confirmed(self, confirmed: Confirmed) -> None:
        self.told.append(confirmed)

    def current_actor(self) -> Actor | None:
        return self.actor

    def is_allowed(self, actor: Actor, action: Action) -> bool:
        return action in self.actions

    def may_see(self, actor: Actor, refs: Sequence[str]) -> set[str]:
        return set(refs) - self.hidden

    def audiences(self) -> Sequence[Audience]:
        return (EVERYBODY,)

    def recipients(self, audience: str, filters: Mapping[str, str]) -> Iterable[Recipient]:
        self._answer_or_raise()
        return list(self.people.values())

    def recipient(self, ref: str) -> Recipient | None:
        self._answer_or_raise()
        return self.people.get(ref)

    def recipients_now(self, refs: Sequence[str]) -> Mapping[str, Recipient]:
        self._answer_or_raise()
        self.questions.append(tuple(refs))
        return {ref: self.people[ref] for ref in refs if ref in self.people}

    def update_address(self, ref: str, channel: str, value: str) -> bool:
        self.corrections.append((ref, channel, value))
        return True

    def _answer_or_raise(self) -> None:
        if self.broken is not None:
            raise self.broken
