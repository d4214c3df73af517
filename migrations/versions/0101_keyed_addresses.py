"""Blocked addresses are kept under a key of the installation: nobody can try addresses out against a copy of the table.

What was kept before is put under the key as it stands, without the addresses, which nobody has. A program from before
would not find them any more, so that a new pair of digits begins. Downwards the key goes, and with it what was blocked.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0101"
down_revision = "0010"
branch_labels = None
depends_on = None

_PORTION = 500
_BLOCK = sa.table(
    "dispatch_block", sa.column("id", sa.BigInteger), sa.column("address_digest", sa.String)
)
_AUDIT = sa.table(
    "dispatch_audit",
    sa.column("id", sa.BigInteger),
    sa.column("action", sa.String),
    sa.column("details", sa.JSON),
)


def upgrade() -> None:
    made = op.create_table(
        "dispatch_key",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_dispatch_key")),
    )
    key = secrets.token_hex(32)
    op.bulk_insert(made, [{"name": "addresses", "value": f"open:{key}"}])
    _put_under(bytes.fromhex(key))


def downgrade() -> None:
    op.drop_table("dispatch_key")


def _put_under(key: bytes) -> None:
    connection = op.get_bind()
    for rows in _portions(connection, sa.select(_BLOCK), _BLOCK.c.id):
        for row in rows:
            value = _kept(key, row.address_digest)
            connection.execute(
                sa.update(_BLOCK).where(_BLOCK.c.id == row.id).values(address_digest=value)
            )
    said = sa.select(_AUDIT).where(_AUDIT.c.action.in_(["unsubscribe", "subscribe_again"]))
    for rows in _portions(connection, said, _AUDIT.c.id):
        for row in rows:
            if digest := (row.details or {}).get("digest"):
                details = {**row.details, "digest": _kept(key, digest)}
                connection.execute(
                    sa.update(_AUDIT).where(_AUDIT.c.id == row.id).values(details=details)
                )


def _portions(connection: sa.Connection, query: sa.Select[Any], id_: sa.ColumnElement[int]) -> Any:
    last = 0
    while True:
        rows = connection.execute(query.where(id_ > last).order_by(id_).limit(_PORTION)).all()
        if not rows:
            return
        yield rows
        last = rows[-1].id


def _kept(key: bytes, digest: str) -> str:
    return "k" + hmac.new(key, digest.encode(), hashlib.sha256).hexdigest()[:63]
