"""What the rivals share: their two tables, and the mail. Needs psycopg and the standard library alone."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Any

SENDER = "praxis@clinic.example"
TEXT = "Guten Tag {name},\n\n" + "wir erwarten Sie zu Ihrem Termin.\n" * 24
HTML = "<p>Guten Tag {name},</p>" + "<p>wir erwarten Sie zu Ihrem Termin.</p>\n" * 18
TABLES = """
DROP TABLE IF EXISTS rival_ledger, rival_mail;
CREATE TABLE rival_mail (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    address text NOT NULL, name text NOT NULL, status text NOT NULL DEFAULT 'queued'
);
CREATE INDEX ON rival_mail (id) WHERE status = 'queued';
CREATE TABLE rival_ledger (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mail_id bigint NOT NULL REFERENCES rival_mail, state text NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(), closed_at timestamptz
)
"""
FILL = (
    "INSERT INTO rival_mail (address, name) "
    "SELECT 'p' || n || '@example.org', 'Patient ' || n FROM generate_series(1, %s) AS n"
)
TOOK = "SELECT count(*), extract(epoch FROM max(closed_at) - min(opened_at)) FROM rival_ledger WHERE state = 'sent'"


def prepare(connection: Any, many: int) -> None:
    """Fresh tables with so many rows."""
    connection.execute(TABLES)
    connection.execute(FILL, (many,))


def rate(connection: Any, many: int) -> float:
    """Messages a second, all of which must have gone out."""
    sent, seconds = connection.execute(TOOK).fetchone()
    if sent != many:
        raise SystemExit(f"only {sent} of {many} were sent")
    return float(many / float(seconds))


def mail(address: str, name: str) -> EmailMessage:
    """One mail, as the standard library makes it."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, address, f"Ihr Termin, {name}"
    message.set_content(TEXT.format(name=name))
    message.add_alternative(HTML.format(name=name), subtype="html")
    return message


def opened(connection: Any, mail_id: int) -> int:
    """A ledger row, committed before a byte leaves."""
    row = connection.execute(
        "INSERT INTO rival_ledger (mail_id, state) VALUES (%s, 'open') RETURNING id", (mail_id,)
    ).fetchone()
    return int(row[0])


def closed(connection: Any, mail_id: int, ledger_id: int) -> None:
    """Status and ledger, together."""
    with connection.transaction():
        connection.execute("UPDATE rival_mail SET status = 'sent' WHERE id = %s", (mail_id,))
        connection.execute(
            "UPDATE rival_ledger SET state = 'sent', closed_at = clock_timestamp() WHERE id = %s",
            (ledger_id,),
        )
