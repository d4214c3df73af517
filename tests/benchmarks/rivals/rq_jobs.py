"""One RQ job a message: what a job does, as a worker imports it."""

from __future__ import annotations

import os
import smtplib

import psycopg

from tests.benchmarks.rivals.common import closed, mail, opened


def send_one(mail_id: int) -> None:
    """Read the row, send it, write what became of it."""
    with psycopg.connect(os.environ["RIVAL_DATABASE"], autocommit=True) as connection:
        row = connection.execute(
            "SELECT address, name FROM rival_mail WHERE id = %s", (mail_id,)
        ).fetchone()
        assert row is not None
        ledger_id = opened(connection, mail_id)
        with smtplib.SMTP("127.0.0.1", int(os.environ["RIVAL_RELAY"])) as relay:
            relay.send_message(mail(*row))
        closed(connection, mail_id, ledger_id)
