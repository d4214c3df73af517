"""The clinic's own code sends inside its own transaction, as the README shows it."""

from __future__ import annotations

from flask_sqlalchemy import SQLAlchemy

from clinic_dispatch_plugin import Recipient

# [sending]
from clinic_dispatch_plugin.mailings.service import send
from clinic_dispatch_plugin.registry import current_dispatch


def remind(db: SQLAlchemy, patient: Recipient) -> None:
    send(
        current_dispatch(),
        to=patient,
        purpose="reminder",
        subject="Your visit",
        text="Good day {{ name }}, we expect you tomorrow.",
        connection=db.session.connection(),
    )
    db.session.commit()
    # [/sending]
