"""Plans against real databases: who becomes a message, what a broken plan leaves, and what a repeat changes."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from clinic_dispatch_plugin.channels.faults import ALLOWED, FAIL_AT, InjectedFault
from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference.service import note_answer
from clinic_dispatch_plugin.error_reference.tables import AnswerRow
from clinic_dispatch_plugin.host.types import Actor, Audience, Consent, Recipient
from clinic_dispatch_plugin.mailings import drafts, planning, service, store, uploads
from clinic_dispatch_plugin.mailings.checking import check
from clinic_dispatch_plugin.mailings.content import MailingContent
from clinic_dispatch_plugin.mailings.planning import PlanOutcome, plan
from clinic_dispatch_plugin.mailings.problems import MailingProblem, NoRoute
from clinic_dispatch_plugin.mailings.sources import AudienceSource, FileSource, RecipientsSource
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.access import CommandLine
from clinic_dispatch_plugin.messages.fingerprints import fingerprint
from clinic_dispatch_plugin.messages.mailing_tables import Mailing, Revision
from clinic_dispatch_plugin.messages.tables import Audit, Message
from tests.clinic.host import Clinic, TinyHost, make_clinic
from tests.store.letters import LetterPlugin, Letters

ACTOR = Actor(ref="reception", name="B. Lang")
HELLO = MailingContent(subject="Termin", text="Guten Tag {{ name }}, Raum {{ room }}.")
MakeClinic = Callable[..., Clinic]


class StreamingHost(TinyHost):
    """Streams its patients, may stop midway, and says how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.breaks_after: int | None = None
        self.given: list[Recipient] | None = None
        self.audience_list = [Audience(key="day", label="Termine", placeholders=["room"])]

    def recipients(self, audience: str, filters: Mapping[str, str]) -> Iterable[Recipient]:
        several = self.patients.values() if self.given is None else self.given
        for number, recipient in enumerate(several):
            if number == self.breaks_after:
                raise ConnectionError("the clinic's system went away")
            yield recipient


@pytest.fixture
def clinic(database_url: str, tmp_path: Path) -> Iterator[Clinic]:
    plugin = LetterPlugin()
    config = {"SQLALCHEMY_DATABASE_URI": database_url, "CLINIC_DISPATCH_LEASE_SECONDS": "10"}
    made = make_clinic(tmp_path, config=config, host=StreamingHost(), plugins=[plugin])
    made.extra["channel"] = plugin.channel
    with made.app.app_context():
        yield made
    made.dispatch.database.dispose()


def patient(ref: str, **changes: Any) -> Recipient:
    values = {
        "name": f"Frau {ref}",
        "locale": "de",
        "addresses": {"letter": f"{ref}@example.org"},
        "values": {"room": "214"},
    }
    return Recipient(ref=ref, **{**values, **changes})


def fill(clinic: Clinic, *recipients: Recipient) -> None:
    clinic.host.patients = {recipient.ref: recipient for recipient in recipients}


def send(clinic: Clinic, **changes: Any) -> service.StartedMailing:
    wanted: dict[str, Any] = {
        "name": "Termine",
        "purpose": "service",
        "channel": "letter",
        "content": HELLO,
        "source": AudienceSource(key="day"),
        "actor": ACTOR,
    }
    return service.send_now(clinic.dispatch, **{**wanted, **changes})


def rows(clinic: Clinic, mailing_id: int) -> list[Any]:
    query = (
        select(Message, AnswerRow.code.label("reason"))
        .join(AnswerRow, AnswerRow.id == Message.answer_id, isouter=True)
        .where(Message.mailing_id == mailing_id)
        .order_by(Message.id)
    )
    with clinic.dispatch.database.begin() as connection:
        return list(connection.execute(query).mappings())


def reasons(clinic: Clinic, mailing_id: int) -> dict[str, str | None]:
    return {row["ref"] or row["address"]: row["reason"] for row in rows(clinic, mailing_id)}


def mailing(clinic: Clinic, mailing_id: int) -> Any:
    with clinic.dispatch.database.begin() as connection:
        return store.mailing(connection, mailing_id)


def csv(tmp_path: Path, text: str) -> FileSource:
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    return FileSource(path=path, file_name="list.csv")


def interrupted_at(monkeypatch: pytest.MonkeyPatch, nth: int) -> None:
    from clinic_dispatch_plugin.channels import faults

    monkeypatch.setattr(faults, "_passed", {})
    monkeypatch.setenv(ALLOWED, "1")
    monkeypatch.setenv(FAIL_AT, f"plan.mid_batch:raise:{nth}")


def test_each_recipient_becomes_one_message_with_the_values_its_text_names(clinic: Clinic) -> None:
    fill(clinic, patient("1", values={"room": "214", "diagnosis": "kept out"}), patient("2"))

    started = send(clinic)

    found = rows(clinic, started.mailing_id)
    assert (started.recipients, started.skipped, started.planned) == (2, 0, True)
    assert [row["ref"] for row in found] == ["1", "2"]
    assert found[0]["data"] == {"name": "Frau 1", "room": "214"}
    assert {row["state"] for row in found} == {"queued"}
    assert all(row["due_at"] and row["account_id"] and row["final_at"] is None for row in found)
    assert len({row["key"] for row in found}) == 2
    assert mailing(clinic, started.mailing_id)["state"] == "running"


def test_whoever_gets_nothing_is_a_row_that_says_why(clinic: Clinic) -> None:
    fill(
        clinic,
        patient("goes"),
        patient("dead", active=False),
        patient("without", addresses={}),
        patient("wrong", addresses={"letter": "no at sign"}),
        patient("said-no", consent={"reminder": Consent.NO}),
        patient("gap", values={"room": " "}),
        patient("blocked"),
    )

    def block(connection: Connection) -> None:
        answer_id, _ = note_answer(
            clinic.dispatch, connection, Answer(system="dispatch", code="blocked")
        )
        digest = fingerprint(clinic.dispatch, "letter", "blocked@example.org")
        messages.block(connection, channel="letter", digest=digest, answer_id=answer_id)

    clinic.dispatch.database.run(block)
    started = send(clinic, purpose="reminder")

    assert reasons(clinic, started.mailing_id) == {
        "goes": None,
        "dead": "inactive",
        "without": "no_address",
        "wrong": "malformed_address",
        "said-no": "not_agreed",
        "gap": "empty_placeholder",
        "blocked": "blocked",
    }
    assert (started.recipients, started.skipped) == (7, 6)
    skipped = [row for row in rows(clinic, started.mailing_id) if row["reason"]]
    assert all(row["state"] == "skipped" and row["final_at"] for row in skipped)
    assert next(row for row in skipped if row["ref"] == "wrong")["address"] == "no at sign"


def test_a_block_that_ended_or_holds_for_another_purpose_stops_nobody(clinic: Clinic) -> None:
    fill(clinic, patient("1"), patient("2"))

    def block(connection: Connection) -> None:
        for ref, scope in (("1", ""), ("2", "promotion")):
            digest = fingerprint(clinic.dispatch, "letter", f"{ref}@example.org")
            messages.block(connection, channel="letter", digest=digest, answer_id=None, scope=scope)
        first = [fingerprint(clinic.dispatch, "letter", "1@example.org")]
        messages.unblock(connection, "letter", first)

    clinic.dispatch.database.run(block)

    assert send(clinic).skipped == 0


def test_code_sends_to_no_more_than_one_transaction_bears(clinic: Clinic) -> None:
    people = [patient(str(number)) for number in range(501)]
    sent = clinic.dispatch.send(to=people[:500], subject="Hallo", text="Guten Tag")
    with pytest.raises(MailingProblem, match=r"At most 500 recipients .* call it several times"):
        clinic.dispatch.send(to=people, subject="Hallo", text="Guten Tag")
    with clinic.dispatch.database.begin() as connection:
        assert connection.scalars(select(Mailing.id)).all() == [sent], "nothing is half written"


def test_unknown_consent_goes_by_the_setting_of_its_purpose(clinic: Clinic) -> None:
    fill(clinic, patient("1"), patient("2", consent={"promotion": Consent.YES}))

    assert reasons(clinic, send(clinic, purpose="promotion").mailing_id) == {
        "1": "not_agreed",
        "2": None,
    }
    assert send(clinic, purpose="reminder").skipped == 0


def test_a_row_of_a_file_without_ref_is_not_looked_up_and_its_consent_is_unknown(
    clinic: Clinic, tmp_path: Path
) -> None:
    fill(clinic, patient("7", consent={"promotion": Consent.YES}), patient("8", active=False))
    source = csv(
        tmp_path,
        "email;ref;room\na@example.org;;1\nb@example.org;7;2\nc@example.org;8;3\n"
        "d@example.org;nobody-knows;4\n",
    )
    content = MailingContent(subject="Aktion", text="Raum {{ room }}")

    promotion = send(clinic, source=_letter(source), purpose="promotion", content=content)
    plain = send(clinic, source=_letter(source), content=content)

    assert [row["reason"] for row in rows(clinic, promotion.mailing_id)] == [
        "not_agreed",
        None,
        "inactive",
        "unknown_ref",
    ]
    assert [row["reason"] for row in rows(clinic, plain.mailing_id)] == [
        None,
        None,
        "inactive",
        "unknown_ref",
    ]
    assert [row["line"] for row in rows(clinic, plain.mailing_id)] == [2, 3, 4, 5]


def test_a_plan_asks_about_no_patient_its_writer_may_not_see(
    clinic: Clinic, tmp_path: Path
) -> None:
    fill(clinic, patient("7"), patient("8"))
    clinic.host.hidden = {"8"}
    source = csv(tmp_path, "letter;ref;room\na@example.org;7;1\nb@example.org;8;2\n")

    mine = rows(clinic, send(clinic, source=source).mailing_id)
    by_command = rows(clinic, send(clinic, source=source, actor=CommandLine()).mailing_id)

    assert [(row["name"], row["reason"]) for row in mine] == [("Frau 7", None), ("", "unknown_ref")]
    assert [row["reason"] for row in by_command] == [None, None]


def _letter(source: FileSource) -> FileSource:
    """The same file with the channel's key as its column of addresses."""
    text = source.path.read_text(encoding="utf-8").replace("email", "letter", 1)
    source.path.write_text(text, encoding="utf-8")
    return source


def test_the_same_patient_and_address_or_the_same_text_to_an_address_goes_once(
    clinic: Clinic,
) -> None:
    shared = {"letter": "family@example.org"}
    host = clinic.host
    assert isinstance(host, StreamingHost)
    host.given = [
        patient("1", addresses=shared),
        patient("1", addresses=shared, values={"room": "other"}),
        patient("2", addresses=shared, name="Frau 1"),
        patient("3", addresses=shared),
        patient("4", addresses={"letter": "FAMILY@example.org"}, name="Frau 3"),
    ]

    found = [row["reason"] for row in rows(clinic, send(clinic).mailing_id)]

    assert found == [None, "duplicate", "duplicate", None, "duplicate"]


def test_somebody_skipped_before_does_not_make_the_next_one_a_duplicate(clinic: Clinic) -> None:
    shared = {"letter": "family@example.org"}
    fill(
        clinic,
        patient("1", addresses=shared, name="Familie", consent={"reminder": Consent.NO}),
        patient("2", addresses=shared, name="Familie"),
    )

    found = reasons(clinic, send(clinic, purpose="reminder").mailing_id)

    assert found == {"1": "not_agreed", "2": None}


def test_nothing_goes_out_after_the_deadline_or_without_an_account(clinic: Clinic) -> None:
    fill(clinic, patient("1"))
    late = send(clinic, not_after=datetime.now(UTC) - timedelta(minutes=1))
    letters: Letters = clinic.extra["channel"]
    letters.has_account = False

    assert reasons(clinic, late.mailing_id) == {"1": "expired"}
    assert mailing(clinic, late.mailing_id)["state"] == "finished"
    with pytest.raises(NoRoute):
        send(clinic)
    by_code = service.send(
        clinic.dispatch, to=patient("1"), channel="letter", subject="S", text="T"
    )
    assert reasons(clinic, by_code) == {"1": "no_route"}


def test_a_mailing_of_which_nobody_gets_anything_is_finished_at_once(clinic: Clinic) -> None:
    fill(clinic)
    empty = mailing(clinic, send(clinic).mailing_id)

    assert empty["state"] == "finished"
    assert empty["first_pass_at"] is not None


def test_an_interrupted_plan_goes_on_and_nobody_comes_twice(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(clinic, *(patient(str(number)) for number in range(1_700)))
    interrupted_at(monkeypatch, 2)
    with pytest.raises(InjectedFault):
        send(clinic)
    monkeypatch.delenv(FAIL_AT)
    with clinic.dispatch.database.begin() as connection:
        mailing_id = connection.execute(select(Mailing.id)).scalar_one()
    halfway = mailing(clinic, mailing_id)

    assert (halfway["state"], halfway["planned"]) == ("planning", 1_000)
    assert service.summary(clinic.dispatch, mailing_id).recipients == 1_000
    with clinic.dispatch.database.begin() as connection:
        assert messages.due_work(connection) == []

    assert plan(clinic.dispatch, mailing_id) is PlanOutcome.WHOLE

    done = mailing(clinic, mailing_id)
    counts = Counter(row["ref"] for row in rows(clinic, mailing_id))
    assert (done["state"], done["planned"]) == ("running", 1_700)
    assert len(counts) == 1_700
    assert set(counts.values()) == {1}
    assert plan(clinic.dispatch, mailing_id) is PlanOutcome.NOT_OURS


def test_an_interrupted_plan_still_knows_duplicates_of_its_first_part(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"p{number}@example.org;{number}" for number in range(600)]
    lines += ["P3@example.org;3", "p3@example.org;other"]
    source = csv(tmp_path, "\n".join(["letter;room", *lines]) + "\n")
    content = MailingContent(subject="S", text="Raum {{ room }}")
    interrupted_at(monkeypatch, 1)
    with pytest.raises(InjectedFault):
        send(clinic, source=source, content=content)
    source.path.unlink()
    monkeypatch.delenv(FAIL_AT)
    with clinic.dispatch.database.begin() as connection:
        mailing_id = connection.execute(select(Mailing.id)).scalar_one()

    assert plan(clinic.dispatch, mailing_id) is PlanOutcome.WHOLE

    found = rows(clinic, mailing_id)
    assert [row["line"] for row in found] == list(range(2, 604))
    assert [row["reason"] for row in found[-2:]] == ["duplicate", None]


def test_two_planners_do_not_work_on_one_mailing_at_once(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(clinic, *(patient(str(number)) for number in range(600)))
    interrupted_at(monkeypatch, 1)
    with pytest.raises(InjectedFault):
        send(clinic)
    monkeypatch.delenv(FAIL_AT)
    with clinic.dispatch.database.begin() as connection:
        mailing_id = connection.execute(select(Mailing.id)).scalar_one()
    from clinic_dispatch_plugin.engine.store import take_lock

    held = clinic.dispatch.database.run(
        lambda connection: take_lock(connection, f"plan-{mailing_id}", "another", 60)
    )

    assert held
    assert plan(clinic.dispatch, mailing_id) is PlanOutcome.NOT_OURS
    assert mailing(clinic, mailing_id)["planned"] == 500


def test_a_planner_that_lost_its_lease_writes_nothing_more(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(clinic, *(patient(str(number)) for number in range(1_200)))
    from clinic_dispatch_plugin.engine.tables import Lock

    def steal(name: str) -> None:
        clinic.dispatch.database.run(
            lambda connection: connection.execute(update(Lock).values(owner="another"))
        )

    monkeypatch.setattr(planning, "fail_point", steal)
    started = send(clinic)

    assert not started.planned
    assert service.summary(clinic.dispatch, started.mailing_id).recipients == 500
    assert mailing(clinic, started.mailing_id)["state"] == "planning"


def test_more_than_5000_recipients_are_left_to_a_worker(clinic: Clinic) -> None:
    fill(clinic, *(patient(str(number)) for number in range(5_001)))

    started = send(clinic)

    assert (started.planned, started.recipients) == (False, None)
    assert mailing(clinic, started.mailing_id)["state"] == "planning"
    assert rows(clinic, started.mailing_id) == []
    with clinic.dispatch.database.begin() as connection:
        assert messages.plans_left(connection) == [started.mailing_id]
    assert plan(clinic.dispatch, started.mailing_id) is PlanOutcome.WHOLE
    assert service.summary(clinic.dispatch, started.mailing_id).recipients == 5_001


def test_a_host_that_fails_midway_pauses_the_mailing_and_the_plan_can_be_tried_again(
    clinic: Clinic,
) -> None:
    fill(clinic, *(patient(str(number)) for number in range(700)))
    host = clinic.host
    assert isinstance(host, StreamingHost)
    host.breaks_after = 650

    started = send(clinic)

    broken = mailing(clinic, started.mailing_id)
    assert (broken["state"], broken["pause_reason"]) == ("paused", "plan_failed")
    assert broken["pause_text"] == "The clinic's system did not answer."
    host.breaks_after = None
    assert service.resume(clinic.dispatch, started.mailing_id, ACTOR)
    assert service.summary(clinic.dispatch, started.mailing_id).counts == {"queued": 700}


def test_a_mailing_cancelled_while_it_is_planned_stays_cancelled(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(clinic, *(patient(str(number)) for number in range(1_200)))

    def cancel(name: str) -> None:
        with clinic.dispatch.database.begin() as connection:
            mailing_id = connection.execute(select(Mailing.id)).scalar_one()
        service.cancel(clinic.dispatch, mailing_id, ACTOR)

    monkeypatch.setattr(planning, "fail_point", cancel)
    started = send(clinic)

    assert mailing(clinic, started.mailing_id)["state"] == "cancelled"
    assert set(reasons(clinic, started.mailing_id).values()) == {"cancelled"}
    assert service.summary(clinic.dispatch, started.mailing_id).counts == {"skipped": 500}


def test_the_same_idempotency_key_gives_the_same_mailing(clinic: Clinic) -> None:
    fill(clinic, patient("1"))

    first = send(clinic, idempotency_key="visit-1")
    again = send(clinic, idempotency_key="visit-1")
    other = send(clinic, idempotency_key="visit-2")

    assert (first.existed, again.existed, other.existed) == (False, True, False)
    assert first.mailing_id == again.mailing_id != other.mailing_id
    assert service.summary(clinic.dispatch, first.mailing_id).recipients == 1


def test_two_at_once_with_one_key_make_one_mailing(clinic: Clinic) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def one(number: int) -> int:
        return service.send(
            clinic.dispatch,
            to=patient("1"),
            channel="letter",
            subject="S",
            text="T",
            idempotency_key=f"key-{number // 2}",
        )

    with ThreadPoolExecutor(2) as pool:
        ids = list(pool.map(one, range(40)))

    assert len(set(ids)) == 20
    with clinic.dispatch.database.begin() as connection:
        assert len(connection.execute(select(Message.id)).all()) == 20


def test_what_a_host_rolls_back_was_never_sent(clinic: Clinic) -> None:
    engine = clinic.dispatch.database.engine

    def one(connection: Connection) -> int:
        return service.send(
            clinic.dispatch,
            to=[patient("1"), patient("2")],
            channel="letter",
            subject="S",
            text="Guten Tag {{ name }}",
            idempotency_key="k",
            connection=connection,
        )

    with engine.connect() as connection, connection.begin() as transaction:
        one(connection)
        transaction.rollback()
    with clinic.dispatch.database.begin() as connection:
        for table in (Mailing, Message, Revision, Audit):
            assert connection.execute(select(table.id)).all() == []

    with engine.begin() as connection:
        mailing_id = one(connection)
    assert service.summary(clinic.dispatch, mailing_id).counts == {"queued": 2}


def test_a_single_message_goes_before_the_mailings_of_many(clinic: Clinic) -> None:
    fill(clinic, patient("1"), patient("2"))
    many = send(clinic).mailing_id
    one = service.send(clinic.dispatch, to="1", channel="letter", subject="S", text="T")

    with clinic.dispatch.database.begin() as connection:
        assert [work[0] for work in messages.due_work(connection)] == [one, many]


def test_a_patient_the_host_does_not_know_is_named(clinic: Clinic) -> None:
    with pytest.raises(MailingProblem, match="no patient 404"):
        service.send(clinic.dispatch, to="404", channel="letter", subject="S", text="T")


def test_text_that_cannot_be_used_stops_everything_before_anything_is_written(
    clinic: Clinic,
) -> None:
    fill(clinic, patient("1"))
    for content in (
        MailingContent(subject="", text="T"),
        MailingContent(subject="S", text=" "),
        MailingContent(subject="S", text="{{ unknown }}"),
        MailingContent(subject="S\r\nBcc: x@example.org", text="T"),
        MailingContent(subject="S", text="{{ name"),
    ):
        with pytest.raises(MailingProblem):
            send(clinic, content=content)
    with pytest.raises(MailingProblem, match="day"):
        send(clinic, source=AudienceSource(key="nonsense"))
    with clinic.dispatch.database.begin() as connection:
        assert connection.execute(select(Mailing.id)).all() == []


def test_rubbish_from_a_host_is_stored_without_what_a_database_cannot_hold(clinic: Clinic) -> None:
    fill(
        clinic,
        patient(
            "x\x00y",
            name="Anna\r\nBcc: \ud800 \u202eBerger" + "ü" * 400,
            locale="de-" + "x" * 40,
            values={"room": "2\x0014 \udfff"},
        ),
        patient("r" * 500),
    )

    found = rows(clinic, send(clinic).mailing_id)

    assert found[0]["name"].startswith("Anna Bcc: � Berger")
    assert found[0]["data"]["room"] == "214 �"
    assert found[1]["reason"] == "inactive"
    assert len(found[1]["ref"]) == 128


def test_pause_resume_and_cancel_move_only_what_may_move(clinic: Clinic) -> None:
    fill(clinic, patient("1"), patient("2"))
    mailing_id = send(clinic).mailing_id
    dispatch = clinic.dispatch

    assert service.pause(dispatch, mailing_id, ACTOR)
    assert not service.pause(dispatch, mailing_id, ACTOR)
    with dispatch.database.begin() as connection:
        assert messages.due_work(connection) == []
    assert service.resume(dispatch, mailing_id, ACTOR)
    assert not service.resume(dispatch, mailing_id, ACTOR)
    assert service.cancel(dispatch, mailing_id, ACTOR)
    assert not service.cancel(dispatch, mailing_id, ACTOR)
    assert not service.resume(dispatch, mailing_id, ACTOR)
    assert set(reasons(clinic, mailing_id).values()) == {"cancelled"}
    with dispatch.database.begin() as connection:
        done = connection.scalars(select(Audit.action).order_by(Audit.id)).all()
    assert done == ["send", "pause", "resume", "cancel"]
    with pytest.raises(LookupError):
        service.pause(dispatch, 10**9, ACTOR)


def test_the_check_says_what_the_plan_then_does(clinic: Clinic) -> None:
    fill(
        clinic,
        patient("goes"),
        patient("without", addresses={}),
        patient("gap", values={}),
        patient("twin", addresses={"letter": "goes@example.org"}, name="Frau goes"),
    )
    mailing_id = drafts.create_draft(clinic.dispatch, ACTOR)
    draft = drafts.load(clinic.dispatch, mailing_id, ACTOR)
    drafts.choose_audience(clinic.dispatch, draft, key="day", filters={}, purpose="reminder")
    draft = drafts.load(clinic.dispatch, mailing_id, ACTOR)
    drafts.write(clinic.dispatch, draft, name="Termine", content=HELLO)

    found = check(clinic.dispatch, mailing_id, language="de")

    assert (found.recipients, found.will_get) == (4, 1)
    assert {group.code: group.count for group in found.groups} == {
        "no_address": 1,
        "empty_placeholder": 1,
        "duplicate": 1,
    }
    without = next(group for group in found.groups if group.code == "no_address")
    assert without.short == "Keine Adresse oder Nummer hinterlegt"
    assert [example.name for example in without.examples] == ["Frau without"]
    with clinic.dispatch.database.begin() as connection:
        assert connection.execute(select(Message.id)).all() == []

    assert service.start(clinic.dispatch, mailing_id, ACTOR)
    assert not service.start(clinic.dispatch, mailing_id, ACTOR)
    planned = service.summary(clinic.dispatch, mailing_id)
    assert planned.counts == {"queued": 1, "skipped": 3}


def test_a_draft_sent_keeps_its_words_whatever_is_written_later(clinic: Clinic) -> None:
    fill(clinic, patient("1"))
    mailing_id = send(clinic).mailing_id

    with clinic.dispatch.database.begin() as connection:
        row = store.mailing(connection, mailing_id)
        assert row is not None
        kept = store.revision(connection, row["revision_id"])
    assert kept is not None
    assert (kept["subject"], kept["body"]) == (HELLO.subject, HELLO.text)
    with pytest.raises(MailingProblem):
        drafts.write(
            clinic.dispatch,
            drafts.load(clinic.dispatch, mailing_id, ACTOR),
            name="x",
            content=MailingContent(text="other"),
        )


def test_a_list_is_private_and_gone_once_it_is_planned(clinic: Clinic, tmp_path: Path) -> None:
    source = csv(tmp_path, "letter;room\na@example.org;1\n")
    folder = uploads.folder(clinic.dispatch)
    key = uploads.keep_copy(clinic.dispatch, source.path)
    kept = uploads.path(clinic.dispatch, key)

    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    uploads.remove(clinic.dispatch, key)
    send(clinic, source=source, content=MailingContent(subject="S", text="{{ room }}"))
    assert list(folder.iterdir()) == []
    for wrong in ("../../etc/passwd", "", None, "a" * 26, f"{key}\n"):
        with pytest.raises(LookupError):
            uploads.path(clinic.dispatch, wrong)


def test_recipients_given_by_code_go_through_the_same_door(clinic: Clinic) -> None:
    source = RecipientsSource(recipients=[patient("1"), patient("1"), patient("2", active=False)])

    started = send(clinic, source=source)

    assert [row["reason"] for row in rows(clinic, started.mailing_id)] == [
        None,
        "duplicate",
        "inactive",
    ]
