"""What messages say and to whom they went ends with their retention: when that was done, and what is due."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


UTC_TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    op.add_column("dispatch_message", sa.Column("stripped_at", UTC_TIME, nullable=True))
    op.add_column("dispatch_mailing", sa.Column("stripped_at", UTC_TIME, nullable=True))
    op.create_index("ix_dispatch_mailing_kept", "dispatch_mailing", ["stripped_at", "finished_at"])


def downgrade() -> None:
    op.drop_index("ix_dispatch_mailing_kept", "dispatch_mailing")
    op.drop_column("dispatch_mailing", "stripped_at")
    op.drop_column("dispatch_message", "stripped_at")
