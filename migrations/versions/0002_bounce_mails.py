"""Bounce mails."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


UTC_TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "dispatch_bounce",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("received_at", UTC_TIME, nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("raw", LONG_TEXT, nullable=False),
        sa.Column("recipients", sa.JSON(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("attempt_id", sa.BigInteger(), nullable=True),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("answer_id", BIG_ID, nullable=True),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("tied_by", sa.String(length=255), nullable=False),
        sa.CheckConstraint(
            "kind IN ('bounce', 'complaint', 'auto-reply', 'other')",
            name=op.f("ck_dispatch_bounce_kind"),
        ),
        sa.CheckConstraint(
            "state IN ('tied', 'early', 'unknown', 'unreadable')",
            name=op.f("ck_dispatch_bounce_state"),
        ),
        sa.ForeignKeyConstraint(
            ["answer_id"],
            ["dispatch_answer.id"],
            name=op.f("fk_dispatch_bounce_answer_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatch_bounce")),
        sa.UniqueConstraint("digest", name=op.f("uq_dispatch_bounce_digest")),
    )
    op.create_index("ix_dispatch_bounce_message_id", "dispatch_bounce", ["message_id"])
    op.create_index("ix_dispatch_bounce_state", "dispatch_bounce", ["state", "id"])


def downgrade() -> None:
    op.drop_table("dispatch_bounce")
