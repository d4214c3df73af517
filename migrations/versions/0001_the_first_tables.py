"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


UTC_TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "dispatch_audit",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("at", UTC_TIME, nullable=False),
        sa.Column("actor_ref", sa.String(length=128), nullable=False),
        sa.Column("actor_name", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("mailing_id", sa.BigInteger(), nullable=True),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatch_audit")),
    )
    op.create_index("ix_dispatch_audit_mailing_id", "dispatch_audit", ["mailing_id"], unique=False)
    op.create_index("ix_dispatch_audit_message_id", "dispatch_audit", ["message_id"], unique=False)
    op.create_table(
        "dispatch_entry",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("system", sa.String(length=32), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("pattern", LONG_TEXT, nullable=False),
        sa.Column("pattern_digest", sa.String(length=64), nullable=False),
        sa.Column("unless", LONG_TEXT, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("shipped", sa.JSON(), nullable=True),
        sa.Column("own", sa.JSON(), nullable=True),
        sa.Column("base", sa.JSON(), nullable=True),
        sa.Column("pack", sa.String(length=64), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("updated_at", UTC_TIME, nullable=False),
        sa.Column("updated_by", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatch_entry")),
        sa.UniqueConstraint(
            "origin",
            "system",
            "code",
            "pattern_digest",
            name=op.f("uq_dispatch_entry_origin_system_code_pattern_digest"),
        ),
    )
    op.create_table(
        "dispatch_lock",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=False),
        sa.Column("live_until", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_dispatch_lock")),
    )
    op.create_table(
        "dispatch_reference_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("packs", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatch_reference_state")),
    )
    op.create_table(
        "dispatch_run",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("worker", sa.String(length=128), nullable=False),
        sa.Column("host", sa.String(length=128), nullable=False),
        sa.Column("boot_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("started_at", UTC_TIME, nullable=False),
        sa.Column("live_until", UTC_TIME, nullable=False),
        sa.Column("ended_at", UTC_TIME, nullable=True),
        sa.Column("settled_at", UTC_TIME, nullable=True),
        sa.Column("crashing_message_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('live', 'ended', 'lost')", name=op.f("ck_dispatch_run_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatch_run")),
    )
    op.create_index("ix_dispatch_run_state", "dispatch_run", ["state", "live_until"], unique=False)
    op.create_table(
        "dispatch_template",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("revision_id", BIG_ID, nullable=True),
        sa.Column("archived_at", UTC_TIME, nullable=True),
        sa.Column("updated_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatch_template")),
    )
    op.create_table(
        "dispatch_worker",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("host", sa.String(length=128), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("started_at", UTC_TIME, nullable=False),
        sa.Column("seen_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_dispatch_worker")),
    )
    op.create_table(
        "dispatch_answer",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("system", sa.String(length=32), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("sample", LONG_TEXT, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("entry_id", BIG_ID, nullable=True),
        sa.Column("matched", sa.String(length=16), nullable=False),
        sa.Column("draft", sa.Boolean(), nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column("first_seen_at", UTC_TIME, nullable=False),
        sa.Column("last_seen_at", UTC_TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["dispatch_entry.id"], name=op.f("fk_dispatch_answer_entry_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatch_answer")),
        sa.UniqueConstraint("digest", name=op.f("uq_dispatch_answer_digest")),
    )
    op.create_index("ix_dispatch_answer_code", "dispatch_answer", ["system", "code"], unique=False)
    op.create_index("ix_dispatch_answer_entry_id", "dispatch_answer", ["entry_id"], unique=False)
    op.create_table(
        "dispatch_revision",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("template_id", BIG_ID, nullable=True),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("subject", LONG_TEXT, nullable=False),
        sa.Column("body", LONG_TEXT, nullable=False),
        sa.Column("html", LONG_TEXT, nullable=False),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["template_id"], ["dispatch_template.id"], name=op.f("fk_dispatch_revision_template_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatch_revision")),
    )
    op.create_table(
        "dispatch_account",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("rest_until", UTC_TIME, nullable=True),
        sa.Column("rests", sa.SmallInteger(), nullable=False),
        sa.Column("failures", sa.SmallInteger(), nullable=False),
        sa.Column("refusals", sa.SmallInteger(), nullable=False),
        sa.Column("tat", sa.Float(precision=53), nullable=True),
        sa.Column("answer_id", BIG_ID, nullable=True),
        sa.Column("answer_text", LONG_TEXT, nullable=False),
        sa.Column("changed_at", UTC_TIME, nullable=True),
        sa.CheckConstraint(
            "state IN ('ready', 'resting', 'probing', 'stopped', 'disabled')",
            name=op.f("ck_dispatch_account_state"),
        ),
        sa.ForeignKeyConstraint(
            ["answer_id"], ["dispatch_answer.id"], name=op.f("fk_dispatch_account_answer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatch_account")),
        sa.UniqueConstraint("channel", "key", name=op.f("uq_dispatch_account_channel_key")),
    )
    op.create_table(
        "dispatch_block",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("address_digest", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("answer_id", BIG_ID, nullable=True),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("until", UTC_TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["answer_id"], ["dispatch_answer.id"], name=op.f("fk_dispatch_block_answer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatch_block")),
        sa.UniqueConstraint(
            "channel",
            "address_digest",
            "scope",
            name=op.f("uq_dispatch_block_channel_address_digest_scope"),
        ),
    )
    op.create_table(
        "dispatch_mailing",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("pause_reason", sa.String(length=32), nullable=False),
        sa.Column("pause_text", LONG_TEXT, nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("revision_id", BIG_ID, nullable=True),
        sa.Column("template_id", BIG_ID, nullable=True),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("selection", sa.JSON(), nullable=False),
        sa.Column("draft", sa.JSON(), nullable=True),
        sa.Column("planned", sa.Integer(), nullable=False),
        sa.Column("not_after", UTC_TIME, nullable=True),
        sa.Column("idempotency_key", sa.String(length=128), nullable=True),
        sa.Column("repeats_message_id", BIG_ID, nullable=True),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("created_by_name", sa.String(length=255), nullable=False),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("started_at", UTC_TIME, nullable=True),
        sa.Column("first_pass_at", UTC_TIME, nullable=True),
        sa.Column("finished_at", UTC_TIME, nullable=True),
        sa.CheckConstraint(
            "state IN ('draft', 'scheduled', 'planning', 'running', 'paused', 'finished', 'cancelled')",
            name=op.f("ck_dispatch_mailing_state"),
        ),
        sa.ForeignKeyConstraint(
            ["revision_id"], ["dispatch_revision.id"], name=op.f("fk_dispatch_mailing_revision_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatch_mailing")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_dispatch_mailing_idempotency_key")),
    )
    op.create_index("ix_dispatch_mailing_state", "dispatch_mailing", ["state", "id"], unique=False)
    op.create_table(
        "dispatch_message",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("key", sa.String(length=26), nullable=False),
        sa.Column("mailing_id", BIG_ID, nullable=False),
        sa.Column("account_id", BIG_ID, nullable=True),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("ref", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("locale", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column("duplicate_key", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("due_at", UTC_TIME, nullable=True),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("attempt_id", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("last_number", sa.SmallInteger(), nullable=False),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("lost_runs", sa.SmallInteger(), nullable=False),
        sa.Column("answer_id", BIG_ID, nullable=True),
        sa.Column("provider_id", sa.String(length=255), nullable=True),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("sent_at", UTC_TIME, nullable=True),
        sa.Column("final_at", UTC_TIME, nullable=True),
        sa.CheckConstraint(
            "state <> 'leased' OR run_id IS NOT NULL",
            name=op.f("ck_dispatch_message_leased_has_run"),
        ),
        sa.CheckConstraint(
            "state <> 'sending' OR attempt_id IS NOT NULL",
            name=op.f("ck_dispatch_message_sending_has_attempt"),
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'leased', 'sending', 'sent', 'delivered', 'undelivered', 'uncertain', 'skipped')",
            name=op.f("ck_dispatch_message_state"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["dispatch_account.id"], name=op.f("fk_dispatch_message_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["answer_id"], ["dispatch_answer.id"], name=op.f("fk_dispatch_message_answer_id")
        ),
        sa.ForeignKeyConstraint(
            ["mailing_id"], ["dispatch_mailing.id"], name=op.f("fk_dispatch_message_mailing_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatch_message")),
        sa.UniqueConstraint("key", name=op.f("uq_dispatch_message_key")),
    )
    op.create_index(
        "ix_dispatch_message_answer", "dispatch_message", ["answer_id", "id"], unique=False
    )
    op.create_index(
        "ix_dispatch_message_cause", "dispatch_message", ["mailing_id", "answer_id"], unique=False
    )
    op.create_index(
        "ix_dispatch_message_due",
        "dispatch_message",
        ["mailing_id", "account_id", "due_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'queued'"),
        sqlite_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_dispatch_message_mailing",
        "dispatch_message",
        ["mailing_id", "state", "id"],
        unique=False,
    )
    op.create_index("ix_dispatch_message_ref", "dispatch_message", ["ref"], unique=False)
    op.create_index(
        "ix_dispatch_message_run",
        "dispatch_message",
        ["run_id"],
        unique=False,
        postgresql_where=sa.text("run_id IS NOT NULL"),
        sqlite_where=sa.text("run_id IS NOT NULL"),
    )
    op.create_index("ix_dispatch_message_state", "dispatch_message", ["state", "id"], unique=False)
    op.create_table(
        "dispatch_attempt",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("message_id", BIG_ID, nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("key", sa.String(length=26), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("account_id", BIG_ID, nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("answer_id", BIG_ID, nullable=True),
        sa.Column("answer_text", LONG_TEXT, nullable=False),
        sa.Column("provider_id", sa.String(length=255), nullable=True),
        sa.Column("opened_at", UTC_TIME, nullable=False),
        sa.Column("closed_at", UTC_TIME, nullable=True),
        sa.Column("report", sa.String(length=16), nullable=True),
        sa.Column("report_at", UTC_TIME, nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'accepted', 'refused', 'uncertain', 'withdrawn')",
            name=op.f("ck_dispatch_attempt_state"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["dispatch_account.id"], name=op.f("fk_dispatch_attempt_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["answer_id"], ["dispatch_answer.id"], name=op.f("fk_dispatch_attempt_answer_id")
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["dispatch_message.id"], name=op.f("fk_dispatch_attempt_message_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatch_attempt")),
        sa.UniqueConstraint("key", name=op.f("uq_dispatch_attempt_key")),
        sa.UniqueConstraint(
            "message_id", "number", name=op.f("uq_dispatch_attempt_message_id_number")
        ),
    )
    op.create_index(
        "ix_dispatch_attempt_provider_id", "dispatch_attempt", ["provider_id"], unique=False
    )
    op.create_index("ix_dispatch_attempt_run_id", "dispatch_attempt", ["run_id"], unique=False)


def downgrade() -> None:
    # Indexes go with their tables: MariaDB lets none go that a foreign key needs.
    op.drop_table("dispatch_attempt")
    op.drop_table("dispatch_message")
    op.drop_table("dispatch_mailing")
    op.drop_table("dispatch_block")
    op.drop_table("dispatch_account")
    op.drop_table("dispatch_revision")
    op.drop_table("dispatch_answer")
    op.drop_table("dispatch_worker")
    op.drop_table("dispatch_template")
    op.drop_table("dispatch_run")
    op.drop_table("dispatch_reference_state")
    op.drop_table("dispatch_lock")
    op.drop_table("dispatch_entry")
    op.drop_table("dispatch_audit")
