"""A message goes from one channel to the next: the mailing's order, and what each message knows for it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("dispatch_mailing", sa.Column("fallbacks", sa.JSON(), nullable=True))
    op.add_column("dispatch_message", sa.Column("route", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("dispatch_message", "route")
    op.drop_column("dispatch_mailing", "fallbacks")
