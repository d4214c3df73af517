"""A tiny clinic with something of everything: drafts, mailings, messages in every state, a template, a list."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference.editing import change_entry
from clinic_dispatch_plugin.error_reference.service import reference
from clinic_dispatch_plugin.host.types import Actor, Audience, FilterField, Recipient
from clinic_dispatch_plugin.mailings import drafts, texts
from clinic_dispatch_plugin.mailings.content import MailingContent
from clinic_dispatch_plugin.messages.blocks import block_address
from clinic_dispatch_plugin.messages.fingerprints import fingerprint
from clinic_dispatch_plugin.messages.rules import unsubscribe_token
from clinic_dispatch_plugin.reports.service import take
from tests.clinic.browsing import submit
from tests.clinic.host import Clinic, make_clinic
from tests.clinic.mailbag import LOST, STRANGE, UNKNOWN_USER, Mailbag
from tests.reports.shapes_words import WORDS

EMAIL = {
    # Nobody listens there, and no worker runs: what is started stays where it is.
    "CLINIC_DISPATCH_EMAIL_URL": "smtp://127.0.0.1:9",
    "CLINIC_DISPATCH_EMAIL_FROM": "Klinik am Park <praxis@clinic.example>",
}
ADMIN = Actor(ref="admin", name="A. Kern", addresses={"email": "kern@clinic.example"})
CSV = "email;name;raum\nanna@example.org;Anna Berg;1\nkein-@;Bert;2\nclara@example.org;Clara;3\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class FullClinic:
    """The clinic and the ids of what is in it."""

    clinic: Clinic
    file: Path
    uploads: Path
    #: For ``{name}`` in addresses of pages: what each id of an address names.
    ids: Mapping[str, Any]
    content: bytes = field(repr=False)
    #: The reference of the beginning as the process keeps it: reading it again costs more than most requests.
    reference: Any = field(repr=False)

    def client(self) -> FlaskClient:
        """A browser without JavaScript."""
        return self.clinic.app.test_client()

    def rows(self, *, but: frozenset[str] = frozenset()) -> dict[str, list[Any]]:
        """Everything in our tables, read past the program.

        :param but: tables that may change.
        """
        with sqlite3.connect(self.file) as connection:
            names = [
                name
                for (name,) in connection.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'dispatch%'"
                )
                if name not in but
            ]
            found = {
                name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in names
            }
        connection.close()
        return found

    def kept_files(self) -> list[str]:
        """Names of the lists of recipients that are kept."""
        return sorted(each.name for each in self.uploads.iterdir()) if self.uploads.is_dir() else []

    def restore(self) -> None:
        """Everything as it was in the beginning."""
        self.clinic.dispatch.database.dispose()
        for ending in ("-wal", "-shm"):
            self.file.with_name(self.file.name + ending).unlink(missing_ok=True)
        self.file.write_bytes(self.content)
        # What the process keeps of the reference goes by its revision, which has just gone back.
        cache = self.clinic.dispatch.cache
        for name in [each for each in cache if str(each).partition(".")[0] == "reference"]:
            del cache[name]
        cache["reference"] = self.reference


def make_full_clinic(folder: Path) -> FullClinic:
    """Make one in the folder."""
    clinic = make_clinic(folder, config=EMAIL)
    ids = fill(clinic)
    with clinic.dispatch.database.begin() as ours:
        reference(clinic.dispatch, ours)
    clinic.dispatch.database.dispose()
    file = folder / "clinic.db"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return FullClinic(
        clinic=clinic,
        file=file,
        uploads=folder / "data" / "uploads",
        ids=ids,
        content=file.read_bytes(),
        reference=clinic.dispatch.cache["reference"],
    )


def fill(clinic: Clinic) -> dict[str, Any]:
    """Something of everything for a clinic that can send e-mail; returns what each id of an address names."""
    _people(clinic)
    bag = Mailbag(clinic.dispatch)
    return {
        **_mailings(bag),
        **_messages(bag),
        **_drafts(clinic),
        "token": _token(clinic),
        "channel": "email",
        "account_key": "default",
        "bounce": _bounce(clinic),
        "block": _block(clinic),
    }


def _people(clinic: Clinic) -> None:
    for number in range(1, 13):
        clinic.host.patients[f"p{number}"] = Recipient(
            ref=f"p{number}",
            name=f"Berger, Anna {number}",
            locale="de",
            addresses={"email": f"anna{number}@example.org"},
            values={"room": "214"},
        )
    day = FilterField(key="day", label="Tag", kind="date", default="2026-11-25", required=True)
    word = FilterField(key="doctor", label="Arzt", kind="text")
    clinic.host.audience_list = [
        Audience(
            key="tomorrow",
            label="Termine morgen",
            filters=[day, word],
            placeholders=["name", "room"],
        )
    ]


def _mailings(bag: Mailbag) -> dict[str, Any]:
    paused = bag.mailing("Angehalten", state="paused", pause_reason="person", pause_text="A. Kern")
    bag.message(paused, "queued")
    return {"paused": paused, "running": bag.mailing("Terminerinnerung")}


def _messages(bag: Mailbag) -> dict[str, Any]:
    running = bag.mailing("Befunde", state="running")
    found = {
        "undelivered": bag.message(running, "undelivered", answer=UNKNOWN_USER, attempt="refused"),
        "strange": bag.message(running, "undelivered", answer=STRANGE, attempt="refused"),
        "uncertain": bag.message(running, "uncertain", answer=LOST, attempt="uncertain"),
        "sent": bag.message(running, "sent", attempt="accepted"),
        "waiting": bag.message(running, "queued", due_in=3600),
        "skipped": bag.message(
            running, "skipped", answer=Answer(system="dispatch", code="no_address"), address=""
        ),
    }
    account = bag.stop_account(
        Answer(system="smtp", code="5.7.8", text="535 5.7.8 Bad credentials")
    )
    return {"mailing": running, "account": account, **found, **_answers(bag)}


def _answers(bag: Mailbag) -> dict[str, int]:
    with bag.dispatch.database.begin() as connection:
        execute = connection.exec_driver_sql
        draft = execute("SELECT id FROM dispatch_answer WHERE code = '5.9.9'").scalar_one()
        entry = execute("SELECT id FROM dispatch_entry WHERE code = '5.1.1'").scalars().first()
    assert entry is not None
    change_entry(bag.dispatch, entry, content={"what_helps.de": "Fragen Sie nach."}, by="A. Kern")
    with bag.dispatch.database.begin() as connection:
        change = connection.exec_driver_sql("SELECT max(id) FROM dispatch_entry_change").scalar()
    return {"answer": draft, "entry": entry, "change": change}


def _drafts(clinic: Clinic) -> dict[str, Any]:
    dispatch = clinic.dispatch
    day = {"whom": "audience:tomorrow", "filter.tomorrow.day": "2026-11-25"}
    written, listed = (
        _draft(clinic, day),
        _draft(clinic, {"whom": "file", "purpose": "service", "file": _csv()}),
    )
    with clinic.app.test_request_context("/"):
        empty = drafts.create_draft(dispatch, ADMIN)
        template = texts.create_template(
            dispatch,
            name="Erinnerung",
            purpose="reminder",
            channel="email",
            content=MailingContent(subject="Termin", text="Guten Tag {{ name }}"),
            actor=ADMIN,
        )
    return {"draft": written, "listed": listed, "empty": empty, "template": template}


def _token(clinic: Clinic) -> str:
    key = clinic.dispatch.settings.secret_keys[0]
    return unsubscribe_token(
        key, "email", "promotion", fingerprint(clinic.dispatch, "email", "anna1@example.org")
    )


def _bounce(clinic: Clinic) -> int:
    """A mail that came back and belongs to no message."""
    kept = take(clinic.dispatch, WORDS[0].raw, source="mailbox", by="")
    assert kept.bounce_id is not None
    return kept.bounce_id


def _block(clinic: Clinic) -> int:
    """An address somebody blocked by hand."""
    return block_address(
        clinic.dispatch, ADMIN, channel="email", address="alt@example.org", why="Alte Adresse"
    )


def _csv() -> tuple[BytesIO, str]:
    return BytesIO(CSV.encode()), "liste.csv"


def _draft(clinic: Clinic, whom: Mapping[str, Any]) -> int:
    """A draft that only has to be sent, made as a person makes it."""
    client = clinic.app.test_client()
    answer = submit(client, "/dispatch/mailings/new", {"purpose": "", **whom})
    assert answer.status_code == 303, answer.text
    number = int(answer.location.split("/mailings/")[1].split("/")[0])
    page = f"/dispatch/mailings/{number}/what"
    text = {"name": "Morgen", "subject": "Termin", "text": "Guten Tag {{ name }}", "html": ""}
    answer = submit(client, page, {**text, "go": "next"})
    assert answer.location == f"/dispatch/mailings/{number}/check", answer.text
    return number


@contextmanager
def as_actor(full: FullClinic, name: str | None) -> Iterator[None]:
    """Somebody else acts for a while."""
    host = full.clinic.host
    before, host.actor = host.actor, name
    try:
        yield
    finally:
        host.actor = before
