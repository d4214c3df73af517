"""The reference remembers its changes; entries can be taken out of use or be the same as another."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

UTC_TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _is_mariadb() -> bool:
    return op.get_bind().dialect.name in {"mysql", "mariadb"}


def _has_index(name: str) -> bool:
    found = sa.inspect(op.get_bind()).get_indexes("dispatch_attempt")
    return any(index["name"] == name for index in found)


def upgrade() -> None:
    op.add_column("dispatch_entry", sa.Column("retired_at", UTC_TIME, nullable=True))
    op.add_column("dispatch_entry", sa.Column("same_as", sa.BigInteger(), nullable=True))
    op.add_column("dispatch_answer", sa.Column("explained_at", UTC_TIME, nullable=True))
    op.add_column(
        "dispatch_block",
        sa.Column("shown", sa.String(length=320), nullable=False, server_default=""),
    )
    op.create_index(
        "ix_dispatch_attempt_answer",
        "dispatch_attempt",
        ["answer_id", "id"],
        unique=False,
        postgresql_where=sa.text("answer_id IS NOT NULL"),
        sqlite_where=sa.text("answer_id IS NOT NULL"),
    )
    if _is_mariadb() and _has_index("ix_dispatch_attempt_answer_id"):
        op.drop_index("ix_dispatch_attempt_answer_id", table_name="dispatch_attempt")
    op.create_table(
        "dispatch_entry_change",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("entry_id", BIG_ID, nullable=False),
        sa.Column("at", UTC_TIME, nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.Column("undoes", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["dispatch_entry.id"],
            name=op.f("fk_dispatch_entry_change_entry_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatch_entry_change")),
    )
    op.create_index(
        "ix_dispatch_entry_change_entry_id",
        "dispatch_entry_change",
        ["entry_id", "id"],
        unique=False,
    )


def downgrade() -> None:
    # What an older version does not know it would show as empty entries in use: it passes withdrawn ones over.
    op.execute(
        sa.text(
            "UPDATE dispatch_entry SET withdrawn = true "
            "WHERE retired_at IS NOT NULL OR same_as IS NOT NULL"
        )
    )
    op.drop_table("dispatch_entry_change")
    # MariaDB needs an index for the foreign key on answer_id alone.
    if _is_mariadb() and not _has_index("ix_dispatch_attempt_answer_id"):
        op.create_index("ix_dispatch_attempt_answer_id", "dispatch_attempt", ["answer_id"])
    op.drop_index("ix_dispatch_attempt_answer", table_name="dispatch_attempt")
    op.drop_column("dispatch_block", "shown")
    op.drop_column("dispatch_answer", "explained_at")
    op.drop_column("dispatch_entry", "same_as")
    op.drop_column("dispatch_entry", "retired_at")
