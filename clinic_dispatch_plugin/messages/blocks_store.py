"""The SQL of addresses we do not write to, and of the trail of who did what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    Executable,
    RowMapping,
    bindparam,
    func,
    insert,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.database.rows import among
from clinic_dispatch_plugin.messages.tables import Audit, Block


def blocked(
    connection: Connection, channel: str, digests: Iterable[str], purpose: str
) -> dict[str, str]:
    """Which of these addresses we do not write to, and the code of ours that says why.

    ``not_agreed`` where the recipient said so themselves for this purpose, else ``blocked``.
    """
    query = select(Block.address_digest, Block.scope).where(
        Block.channel == channel,
        among(connection, Block.__table__.c.address_digest, digests),
        or_(Block.scope == "", Block.scope == purpose),
        or_(Block.until.is_(None), Block.until > db_now()),
    )
    rows = sorted((row.scope, row.address_digest) for row in connection.execute(query))
    return {digest: "not_agreed" if scope else "blocked" for scope, digest in rows}


def block(
    connection: Connection,
    *,
    channel: str,
    digest: str,
    answer_id: int | None,
    scope: str = "",
    days: int = 0,
    shown: str = "",
) -> None:
    """Do not write to this address any more.

    :param days: until so many days from now; 0: until somebody changes the address or lifts the block.
    :param shown: the address as a list may show it, masked.
    """
    row = {
        "channel": channel,
        "digest": digest,
        "answer_id": answer_id,
        "scope": scope,
        "shown": shown,
    }
    block_all(connection, [row], days=days)


def block_all(connection: Connection, rows: Iterable[Mapping[str, Any]], *, days: int) -> None:
    """The same for several: ``channel, digest, answer_id, scope, shown``.

    In one order, whoever asks: two workers that block the same addresses never wait for each other in a circle.
    """
    several = sorted(rows, key=lambda row: (row["channel"], row["digest"], row["scope"]))
    if several:
        connection.execute(_putting(connection.dialect.name, days), several)


@cache
def _putting(dialect: str, days: int) -> Executable:
    """A new row, or the one there is with what is said now."""
    key = ("channel", "address_digest", "scope")
    values: dict[str, Any] = {
        "channel": bindparam("channel"),
        "address_digest": bindparam("digest"),
        "scope": bindparam("scope"),
        "answer_id": bindparam("answer_id"),
        "created_at": db_now(),
        "until": db_now(days * 86_400) if days else null(),
        "shown": bindparam("shown"),
    }
    said = [name for name in values if name not in key]
    if dialect in {"mysql", "mariadb"}:
        replacing = mysql.insert(Block).values(**values)
        return replacing.on_duplicate_key_update(
            **{name: replacing.inserted[name] for name in said}
        )
    added: postgresql.Insert | sqlite.Insert = (
        postgresql.insert(Block) if dialect == "postgresql" else sqlite.insert(Block)
    )
    added = added.values(**values)
    return added.on_conflict_do_update(
        index_elements=key, set_={name: added.excluded[name] for name in said}
    )


def count_of_answers(connection: Connection, answer_ids: Iterable[int]) -> int:
    """How many addresses are blocked because of these answers."""
    query = (
        select(func.count())
        .select_from(Block)
        .where(
            Block.answer_id.in_(list(answer_ids)),
            or_(Block.until.is_(None), Block.until > db_now()),
        )
    )
    return int(connection.execute(query).scalar_one())


def unblock(connection: Connection, channel: str, digests: Iterable[str]) -> None:
    """A person writes to these addresses again; what the recipient asked for themselves stays."""
    connection.execute(
        update(Block)
        .where(
            Block.channel == channel,
            Block.address_digest.in_(list(digests)),
            Block.scope == "",
        )
        .values(until=db_now())
    )


def unsubscribed(
    connection: Connection, channel: str, digests: Iterable[str], purpose: str
) -> dict[str, datetime]:
    """Which of these recipients said "no more of these", and when."""
    query = select(Block.address_digest, Block.created_at).where(
        Block.channel == channel,
        Block.address_digest.in_(list(digests)),
        Block.scope == purpose,
        or_(Block.until.is_(None), Block.until > db_now()),
    )
    return {row.address_digest: row.created_at for row in connection.execute(query)}


def subscribe_again(connection: Connection, channel: str, digest: str, purpose: str) -> None:
    """The recipient wants these messages again."""
    connection.execute(
        update(Block)
        .where(Block.channel == channel, Block.address_digest == digest, Block.scope == purpose)
        .values(until=db_now())
    )


def write_audit(
    connection: Connection,
    *,
    actor_ref: str,
    actor_name: str,
    action: str,
    mailing_id: int | None = None,
    message_ids: Iterable[int | None] = (None,),
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add to the trail; one line a message."""
    rows = [
        {
            "actor_ref": actor_ref[:128],
            "actor_name": actor_name[:255],
            "action": action,
            "mailing_id": mailing_id,
            "message_id": message_id,
            "details": dict(details or {}),
        }
        for message_id in message_ids
    ]
    if rows:
        connection.execute(insert(Audit).values(at=db_now()), rows)


def audit_of_message(connection: Connection, message_id: int) -> Sequence[RowMapping]:
    """Who did what to a message."""
    query = select(Audit.__table__).where(Audit.message_id == message_id)
    return connection.execute(query.order_by(Audit.id)).mappings().all()


def corrected_here(connection: Connection, ids: Sequence[int]) -> set[int]:
    """Those of ``ids`` whose address a person corrected for the message alone."""
    if not ids:
        return set()
    query = select(Audit.message_id, Audit.details).where(
        Audit.message_id.in_(list(ids)), Audit.action == "correct_address"
    )
    latest = {row.message_id: row.details for row in connection.execute(query.order_by(Audit.id))}
    return {found for found, details in latest.items() if not (details or {}).get("saved")}
