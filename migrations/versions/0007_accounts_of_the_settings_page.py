"""Accounts that people set up on the settings page, and how their last trial ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


UTC_TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "dispatch_account_setup",
        sa.Column("account_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("scheme", sa.String(length=32), nullable=False),
        sa.Column("url", LONG_TEXT, nullable=False),
        sa.Column("purposes", sa.String(length=255), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("secrets_at", sa.JSON(), nullable=False),
        sa.Column("changed_at", UTC_TIME, nullable=False),
        sa.Column("changed_by", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["dispatch_account.id"],
            name=op.f("fk_dispatch_account_setup_account_id"),
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_dispatch_account_setup")),
    )
    op.create_table(
        "dispatch_account_test",
        sa.Column("account_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("started_at", UTC_TIME, nullable=False),
        sa.Column("ended_at", UTC_TIME, nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("answer_id", BIG_ID, nullable=True),
        sa.Column("answer_text", LONG_TEXT, nullable=False),
        sa.Column("started_by", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["dispatch_account.id"],
            name=op.f("fk_dispatch_account_test_account_id"),
        ),
        sa.ForeignKeyConstraint(
            ["answer_id"], ["dispatch_answer.id"], name=op.f("fk_dispatch_account_test_answer_id")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_dispatch_account_test")),
    )
    op.create_index("ix_dispatch_audit_action", "dispatch_audit", ["action", "id"])
    op.create_index("ix_dispatch_report_account_id", "dispatch_report", ["account_id", "id"])


def downgrade() -> None:
    if op.get_bind().dialect.name in {"mysql", "mariadb"}:
        # Its foreign key would keep the index as its own.
        op.create_index("fk_dispatch_report_account_id", "dispatch_report", ["account_id"])
    op.drop_index("ix_dispatch_report_account_id", "dispatch_report")
    op.drop_index("ix_dispatch_audit_action", "dispatch_audit")
    op.drop_table("dispatch_account_test")
    op.drop_table("dispatch_account_setup")
