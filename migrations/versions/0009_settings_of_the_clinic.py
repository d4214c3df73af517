"""What the settings page keeps beside accounts: quiet hours, addresses for reports, and who holds which connections."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


UTC_TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "dispatch_setting",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("changed_at", UTC_TIME, nullable=False),
        sa.Column("changed_by", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_dispatch_setting")),
    )
    op.create_table(
        "dispatch_account_callback",
        sa.Column("account_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("changed_at", UTC_TIME, nullable=False),
        sa.Column("changed_by", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["dispatch_account.id"],
            name=op.f("fk_dispatch_account_callback_account_id"),
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_dispatch_account_callback")),
    )
    op.create_table(
        "dispatch_account_share",
        sa.Column("account_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("run_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("connections", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["dispatch_account.id"],
            name=op.f("fk_dispatch_account_share_account_id"),
        ),
        sa.PrimaryKeyConstraint("account_id", "run_id", name=op.f("pk_dispatch_account_share")),
    )


def downgrade() -> None:
    op.drop_table("dispatch_account_share")
    op.drop_table("dispatch_account_callback")
    op.drop_table("dispatch_setting")
