"""Orders to apply a changed policy to very many waiting messages: kept with how far they are; any worker goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.database.connection import now as database_now
from clinic_dispatch_plugin.error_reference import store
from clinic_dispatch_plugin.error_reference.again import Progress
from clinic_dispatch_plugin.error_reference.following import PolicyChange
from clinic_dispatch_plugin.error_reference.policy import Policy, PolicyAction
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.registry import Dispatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody ordered, and how far it is carried out."""

    #: When: what is refused later meets the new policy by itself.
    at: datetime
    actor: Actor
    changes: Sequence[PolicyChange]
    #: By which the one who gave it finds it again.
    mark: str = ""
    #: Given by a command, from which nothing is hidden.
    everything: bool = False
    #: The last message that was looked at.
    after: int = 0
    done: int = 0
    total: int = 0


def give(
    connection: Connection,
    actor: Actor,
    changes: Sequence[PolicyChange],
    *,
    total: int,
    mark: str = "",
    everything: bool = False,
) -> None:
    """Leave an order to the workers, behind those that were given before."""
    waiting = _rows(store.orders_alone(connection))
    order = Order(
        at=database_now(connection),
        actor=actor,
        changes=changes,
        mark=mark,
        everything=everything,
        total=total,
    )
    store.leave_orders(connection, [*waiting, _stored(order)])


def take(connection: Connection, mark: str) -> bool:
    """Take an order back from the workers to carry it out here; False: one of them has begun with it."""
    waiting = _rows(store.orders_alone(connection))
    rest = [row for row in waiting if row.get("mark") != mark or row["after"]]
    store.leave_orders(connection, rest)
    return len(rest) < len(waiting)


def first(connection: Connection) -> Order | None:
    """The order whose turn it is."""
    waiting = _rows(store.orders(connection))
    return _read(waiting[0]) if waiting else None


def is_still(connection: Connection, order: Order) -> bool:
    """Whether nobody went on with it since it was read; others that ask so wait until this transaction ends."""
    waiting = _rows(store.orders_alone(connection))
    return bool(waiting) and _read(waiting[0]) == order


def went_on(connection: Connection, *, after: int, more: int) -> None:
    """The first order is so much further; after :func:`is_still` in the same transaction."""
    waiting = _rows(store.orders(connection))
    waiting[0] = {**waiting[0], "after": after, "done": waiting[0]["done"] + more}
    store.leave_orders(connection, waiting)


def finish(connection: Connection) -> None:
    """The first order is carried out."""
    store.leave_orders(connection, _rows(store.orders(connection))[1:])


def progress(dispatch: Dispatch) -> Progress | None:
    """How far all orders are; None: there is none."""
    with dispatch.database.begin() as connection:
        waiting = _rows(store.orders(connection))
    if not waiting:
        return None
    return Progress(
        done=sum(each["done"] for each in waiting), total=sum(each["total"] for each in waiting)
    )


def _rows(kept: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    return list((kept or {}).get("orders", ()))


def _stored(order: Order) -> dict[str, Any]:
    return {
        "at": order.at.isoformat(),
        "ref": order.actor.ref,
        "name": order.actor.name,
        "mark": order.mark,
        "everything": order.everything,
        "after": order.after,
        "done": order.done,
        "total": order.total,
        "changes": [
            {
                "id": each.answer_id,
                "answer": [each.answer.system, each.answer.code, each.answer.text],
                "before": asdict(each.before),
                "after": asdict(each.after),
            }
            for each in order.changes
        ],
    }


def _read(row: Mapping[str, Any]) -> Order:
    return Order(
        at=datetime.fromisoformat(row["at"]),
        actor=Actor(ref=row["ref"], name=row["name"]),
        changes=[_change(each) for each in row["changes"]],
        mark=row.get("mark", ""),
        everything=row.get("everything", False),
        after=row["after"],
        done=row["done"],
        total=row["total"],
    )


def _change(row: Mapping[str, Any]) -> PolicyChange:
    system, code, text = row["answer"]
    return PolicyChange(
        answer_id=row["id"],
        answer=Answer(system=system, code=code, text=text),
        before=_policy(row["before"]),
        after=_policy(row["after"]),
    )


def _policy(row: Mapping[str, Any]) -> Policy:
    return Policy(**{**row, "action": PolicyAction(row["action"])})
