"""A loop over Flask-Mail with its connection kept; run in a virtual environment of its own."""

from __future__ import annotations

import os

import psycopg
from common import HTML, SENDER, TEXT, closed, opened
from flask import Flask
from flask_mail import Mail, Message

app = Flask("rival")
app.config.update(MAIL_SERVER="127.0.0.1", MAIL_PORT=int(os.environ["RIVAL_RELAY"]))
mail = Mail(app)
with (
    app.app_context(),
    psycopg.connect(os.environ["RIVAL_DATABASE"], autocommit=True) as database,
    mail.connect() as relay,
):
    for mail_id, address, name in database.execute(
        "SELECT id, address, name FROM rival_mail WHERE status = 'queued' ORDER BY id"
    ).fetchall():
        ledger_id = opened(database, mail_id)
        message = Message(f"Ihr Termin, {name}", sender=SENDER, recipients=[address])
        message.body, message.html = TEXT.format(name=name), HTML.format(name=name)
        relay.send(message)
        closed(database, mail_id, ledger_id)
