"""Which messages a person means: ticked ones, or all of one cause of a mailing, and always only visible ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from clinic_dispatch_plugin.error_reference.answers import answers_of_cause
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import lists_store as store
from clinic_dispatch_plugin.messages.access import Sight
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.registry import Dispatch

#: Messages moved in one transaction.
BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Either ``ids``, or messages of a mailing, narrowed to one cause where it is given."""

    ids: tuple[int, ...] = ()
    mailing_id: int | None = None
    cause: str = ""
    #: Empty: every state the use case can start from.
    states: frozenset[MessageState] = field(default_factory=frozenset)


def batches(
    dispatch: Dispatch, actor: Actor, chosen: Chosen, states: Iterable[MessageState]
) -> Iterator[list[int]]:
    """The ids that are meant and visible, in portions of one transaction each.

    :param states: those the use case can start from.
    """
    wanted = frozenset(states)
    if chosen.states:
        wanted &= chosen.states
    sight = Sight(dispatch, actor)
    with dispatch.database.begin() as connection:
        if chosen.ids:
            found = store.messages_by_id(connection, chosen.ids)
            pairs = [(int(row["id"]), str(row["ref"])) for row in found]
        elif chosen.mailing_id is not None:
            answers = None
            if chosen.cause:
                answers = answers_of_cause(dispatch, connection, chosen.cause)
            rows = store.chosen(
                connection,
                mailing_id=chosen.mailing_id,
                answer_ids=answers,
                states=[state.value for state in wanted],
            )
            pairs = [(int(row.id), str(row.ref)) for row in rows]
        else:
            pairs = []
    ids = [found for found, _ in sight.of(pairs, lambda pair: pair[1])]
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]
