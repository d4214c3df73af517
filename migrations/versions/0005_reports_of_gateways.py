"""What gateways report later, and which attempts they are asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


UTC_TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "dispatch_report",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("received_at", UTC_TIME, nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("account_id", BIG_ID, nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("attempt_key", sa.String(length=100), nullable=False),
        sa.Column("provider_id", sa.String(length=255), nullable=False),
        sa.Column("also", sa.JSON(), nullable=False),
        sa.Column("part", sa.String(length=255), nullable=False),
        sa.Column("answer_system", sa.String(length=32), nullable=False),
        sa.Column("answer_code", sa.String(length=64), nullable=False),
        sa.Column("answer_text", LONG_TEXT, nullable=False),
        sa.Column("said_at", UTC_TIME, nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("looks", sa.SmallInteger(), nullable=False),
        sa.Column("look_at", UTC_TIME, nullable=True),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("attempt_id", sa.BigInteger(), nullable=True),
        sa.Column("answer_id", BIG_ID, nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'tied', 'strange')", name=op.f("ck_dispatch_report_state")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["dispatch_account.id"], name=op.f("fk_dispatch_report_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["answer_id"], ["dispatch_answer.id"], name=op.f("fk_dispatch_report_answer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatch_report")),
        sa.UniqueConstraint("digest", name=op.f("uq_dispatch_report_digest")),
    )
    op.create_index("ix_dispatch_report_state", "dispatch_report", ["state", "look_at"])
    op.create_index("ix_dispatch_report_message_id", "dispatch_report", ["message_id"])
    op.create_index("ix_dispatch_report_attempt_id", "dispatch_report", ["attempt_id"])
    op.create_table(
        "dispatch_asking",
        sa.Column("attempt_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("asked_at", UTC_TIME, nullable=True),
        sa.Column("next_at", UTC_TIME, nullable=True),
        sa.Column("not_found", sa.SmallInteger(), nullable=False),
        sa.Column("counted_at", UTC_TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["dispatch_attempt.id"], name=op.f("fk_dispatch_asking_attempt_id")
        ),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_dispatch_asking")),
    )
    op.create_index(
        "ix_dispatch_attempt_report", "dispatch_attempt", ["account_id", "report", "opened_at"]
    )


def downgrade() -> None:
    if op.get_bind().dialect.name in {"mysql", "mariadb"}:
        # Its foreign key would keep the index as its own.
        op.create_index("fk_dispatch_attempt_account_id", "dispatch_attempt", ["account_id"])
    op.drop_index("ix_dispatch_attempt_report", "dispatch_attempt")
    op.drop_table("dispatch_asking")
    op.drop_table("dispatch_report")
