"""What messages cost, and what was spent through an account on a day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: SQLite has no decimals: it holds whole millionths.
AMOUNT = sa.Numeric(18, 6).with_variant(sa.BigInteger(), "sqlite")

_ATTEMPT = ("price", "estimate")


def upgrade() -> None:
    for name in _ATTEMPT:
        op.add_column("dispatch_attempt", sa.Column(name, AMOUNT, nullable=True))
    op.add_column("dispatch_attempt", sa.Column("currency", sa.String(length=8), nullable=True))
    op.add_column("dispatch_attempt", sa.Column("parts", sa.SmallInteger(), nullable=True))
    op.add_column("dispatch_account", sa.Column("part_price", AMOUNT, nullable=True))
    op.add_column(
        "dispatch_account", sa.Column("part_currency", sa.String(length=8), nullable=True)
    )
    op.create_table(
        "dispatch_spending",
        sa.Column("account_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.Column("amount", AMOUNT, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["dispatch_account.id"], name=op.f("fk_dispatch_spending_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", "day", "currency", name=op.f("pk_dispatch_spending")),
    )


def downgrade() -> None:
    op.drop_table("dispatch_spending")
    op.drop_column("dispatch_account", "part_currency")
    op.drop_column("dispatch_account", "part_price")
    op.drop_column("dispatch_attempt", "parts")
    op.drop_column("dispatch_attempt", "currency")
    for name in reversed(_ATTEMPT):
        op.drop_column("dispatch_attempt", name)
