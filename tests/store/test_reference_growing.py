"""The reference grows: what a change would do, earlier messages that follow, merging, splitting and undoing."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, text

from clinic_dispatch_plugin.api import Answer
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.error_reference import (
    again,
    draft_reading,
    editing,
    history,
    packs,
    reading,
    regrouping,
    service,
    store,
    updates,
)
from clinic_dispatch_plugin.error_reference.checking import ReferenceProblem
from clinic_dispatch_plugin.error_reference.counting import Touched
from clinic_dispatch_plugin.error_reference.foresight import as_new, foresee, sharing
from clinic_dispatch_plugin.error_reference.rules import KnownEntry
from clinic_dispatch_plugin.error_reference.tables import AnswerRow
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages.answers_store import mailings_of_answer
from clinic_dispatch_plugin.messages.detail import message_detail
from clinic_dispatch_plugin.messages.lists_store import count_by_answer
from clinic_dispatch_plugin.registry import Dispatch
from tests.clinic.host import make_clinic
from tests.clinic.mailbag import STRANGE, Mailbag
from tests.store.pigeons import Pigeons, entry

FIRE = Answer(system="pigeon", code="9", text="the loft is on fire again")
SMOKE = Answer(system="pigeon", code="9", text="smoke over the loft")


@pytest.fixture
def coop(tmp_path: Path, pigeons: Pigeons) -> Iterator[Dispatch]:
    """Give a clinic on SQLite, for what no database does differently."""
    clinic = make_clinic(tmp_path, plugins=[pigeons])
    yield clinic.dispatch
    clinic.dispatch.database.dispose()


def note(dispatch: Dispatch, answer: Answer) -> int:
    return dispatch.database.run(lambda c: service.note_answer(dispatch, c, answer)[0])


def rows(dispatch: Dispatch) -> dict[int, tuple[Any, ...]]:
    """What explains each answer."""
    with dispatch.database.begin() as connection:
        found = store.answers(connection)
    return {row["id"]: (row["entry_id"], row["matched"], row["draft"]) for row in found}


def kept(dispatch: Dispatch, entry_id: int) -> dict[str, Any]:
    with dispatch.database.begin() as connection:
        row = store.entry(connection, entry_id)
    assert row is not None
    return editing.kept_of(row)


def undo_latest(dispatch: Dispatch, entry_id: int) -> None:
    editing.undo_change(dispatch, history.history(dispatch, entry_id)[0].id, by="B. Lang")


def known(dispatch: Dispatch, code: str) -> KnownEntry:
    with dispatch.database.begin() as connection:
        found = service.reference(dispatch, connection).find("pigeon", code)
    assert found is not None
    return found


def own(dispatch: Dispatch, code: str, words: str, *, pattern: str = "") -> KnownEntry:
    return editing.add_entry(
        dispatch,
        system="pigeon",
        code=code,
        pattern=pattern,
        content={"short.de": words},
        by="A. Kern",
    )


def meant(code: str, *, pattern: str = "", words: str = "Neu") -> KnownEntry:
    content = {"short.de": words}
    return as_new(system="pigeon", code=code, pattern=pattern, unless="", content=content)


def many(dispatch: Dispatch, number: int) -> None:
    """So many distinct answers at once."""
    values = [
        {
            "system": "pigeon",
            "code": "9",
            "sample": f"loft number {each} burns",
            "digest": hashlib.sha256(str(each).encode()).hexdigest(),
            "matched": "draft",
            "draft": True,
            "settled": False,
        }
        for each in range(number)
    ]

    def work(connection: Connection) -> None:
        now = {"first_seen_at": db_now(), "last_seen_at": db_now()}
        connection.execute(insert(AnswerRow).values(**now), values)

    dispatch.database.run(work)


def _columns(connection: Connection) -> list[str]:
    return [row[1] for row in connection.execute(text("PRAGMA table_info(dispatch_message)"))]


# Before it takes effect


def test_what_a_new_entry_would_change_is_known_before(coop: Dispatch) -> None:
    fire, smoke = note(coop, FIRE), note(coop, SMOKE)
    coop.cache["count_by_answer"] = lambda _connection, _ids: {fire: 12, smoke: 3}
    before = rows(coop)
    ahead = foresee(coop, meant("9", pattern="on fire"))
    assert [(each.answer_id, each.messages) for each in ahead.moved] == [(fire, 12)]
    assert (ahead.messages, ahead.asks) == (12, True)
    [moved] = ahead.moved
    assert moved.then is not None
    assert moved.then.text("short", "de") == "Neu"
    assert foresee(coop, meant("9")).messages == 15
    assert rows(coop) == before, "looking ahead changes nothing"


def test_what_the_person_describes_just_now_is_not_asked_about(coop: Dispatch) -> None:
    fire = note(coop, FIRE)
    assert not foresee(coop, meant("9"), known={fire}).asks
    note(coop, SMOKE)
    assert foresee(coop, meant("9"), known={fire}).asks


def test_the_same_note_is_no_change(coop: Dispatch) -> None:
    note(coop, Answer(system="pigeon", code="1", text="eaten"))
    same = sharing(coop, meant("1", pattern="eaten"), known(coop, "1").id)
    assert not foresee(coop, same).asks


def test_taking_an_entrys_pattern_away_shows_what_falls_back(coop: Dispatch) -> None:
    fire = note(coop, FIRE)
    entry = own(coop, "9", "Brand", pattern="on fire")
    changed = KnownEntry(
        id=entry.id,
        origin="clinic",
        system="pigeon",
        code="9",
        pattern="never",
        content=entry.content,
    )
    assert [each.answer_id for each in foresee(coop, changed).moved] == [fire]


def test_a_pattern_for_everything_is_too_broad(coop: Dispatch) -> None:
    for word in ("one", "two", "three", "four", "five", "six"):
        note(coop, Answer(system="pigeon", code="9", text=f"{word} lofts"))
    assert foresee(coop, meant("9", pattern="lofts")).broad
    assert not foresee(coop, meant("9", pattern="two lofts")).broad
    assert foresee(coop, meant("77", pattern="x*")).broad, "it fits the empty answer too"
    assert foresee(coop, meant("77", pattern="(.?){1,1000}zz")).slow


def test_at_most_a_thousand_answers_are_looked_at(coop: Dispatch) -> None:
    many(coop, 1_200)
    ahead = foresee(coop, meant("77", pattern="never written"))
    assert (ahead.looked_at, ahead.asks) == (1_000, False)


def test_what_was_seen_is_known_again_and_nothing_else(coop: Dispatch) -> None:
    note(coop, FIRE)
    first = foresee(coop, meant("9"))
    assert first.mark == foresee(coop, meant("9")).mark
    note(coop, SMOKE)
    assert first.mark != foresee(coop, meant("9")).mark


# Earlier messages follow


def test_a_hundred_thousand_messages_with_one_answer_follow_at_once(coop: Dispatch) -> None:
    bag = Mailbag(coop)
    mailing = bag.mailing("Rundbrief")
    bag.message(mailing, "undelivered", answer=FIRE, attempt="refused")
    fire = note(coop, FIRE)

    def fill(connection: Connection) -> None:
        names = [column for column in _columns(connection) if column != "id"]
        values = ", ".join("'k' || n" if name == "key" else name for name in names)
        connection.execute(
            text(
                "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 99999) "
                f"INSERT INTO dispatch_message ({', '.join(names)}) "
                f"SELECT {values} FROM many, (SELECT * FROM dispatch_message LIMIT 1)"
            )
        )

    coop.database.run(fill)
    began = time.process_time()
    described = own(coop, "9", "Der Schlag brennt")
    spent = time.process_time() - began
    with coop.database.begin() as connection:
        assert count_by_answer(connection, [fire]) == {fire: 100_000}
        last = connection.execute(text("SELECT max(id) FROM dispatch_message")).scalar_one()
    assert rows(coop)[fire] == (described.id, "exact", False)
    line = message_detail(coop, Actor(ref="admin", name="A. Kern"), last).line
    assert line.answer is not None
    assert line.answer.text("short", "de") == "Der Schlag brennt"
    assert spent < 5, "one row explains them all"


@pytest.fixture
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done at once and in one portion, small enough for a test."""
    monkeypatch.setattr(again, "AT_ONCE", 20)
    monkeypatch.setattr(again, "PORTION", 10)


@pytest.mark.usefixtures("small_portions")
def test_very_many_answers_follow_in_portions_and_the_progress_is_seen(dispatch: Dispatch) -> None:
    number = again.AT_ONCE + again.PORTION + 5
    many(dispatch, number)
    own(dispatch, "9", "Brand")
    described = [each for each in rows(dispatch).values() if not each[2]]
    assert len(described) == again.AT_ONCE, "the latest follow at once"
    assert again.progress(dispatch) == again.Progress(done=0, total=number)
    assert again.go_on(dispatch)
    seen = again.progress(dispatch)
    assert seen is not None
    assert seen.done == again.PORTION
    again.finish(dispatch)
    assert again.progress(dispatch) is None
    assert not [each for each in rows(dispatch).values() if each[2]]
    assert not again.go_on(dispatch)


@pytest.mark.usefixtures("small_portions")
def test_a_change_meanwhile_begins_anew_and_forgets_no_system(coop: Dispatch) -> None:
    many(coop, again.AT_ONCE + 1)
    own(coop, "9", "Brand")
    again.go_on(coop)
    own(coop, "8", "Sturm")
    left = again.progress(coop)
    assert left is not None
    assert left.done == 0
    again.go_on_a_while(coop)
    assert again.progress(coop) is None


def test_a_message_says_since_when_it_is_explained_and_by_whom(coop: Dispatch) -> None:
    bag = Mailbag(coop)
    number = bag.message(bag.mailing(), "undelivered", answer=STRANGE, attempt="refused")
    actor = Actor(ref="admin", name="A. Kern")
    answer = message_detail(coop, actor, number).line.answer
    assert answer is not None
    assert not answer.explained_later
    time.sleep(0.01)  # two moments of a clock of milliseconds
    content = {"short.de": "Zorgon"}
    editing.add_entry(coop, system="smtp", code="5.9.9", content=content, by="R. Roth")
    found = message_detail(coop, actor, number)
    assert found.line.answer is not None
    assert found.line.answer.explained_later
    assert found.described_by == {found.line.answer.id: "R. Roth"}


def test_a_draft_names_the_mailings_it_touched(dispatch: Dispatch) -> None:
    bag = Mailbag(dispatch)
    first, second = bag.mailing("Erste"), bag.mailing("Zweite")
    for mailing in (first, second, second):
        bag.message(mailing, "undelivered", answer=FIRE, attempt="refused")
    bag.message(first, "undelivered", answer=SMOKE, attempt="refused")
    with dispatch.database.begin() as connection:
        found = mailings_of_answer(connection, note(dispatch, FIRE), 10)
        latest = mailings_of_answer(connection, note(dispatch, FIRE), 1)
    assert [(each.name, each.messages) for each in found] == [("Zweite", 2), ("Erste", 1)]
    assert [each.id for each in latest] == [second]
    assert isinstance(found[0], Touched)


# Drafts


def test_the_likeliest_entries_come_with_the_reason(coop: Dispatch) -> None:
    number = note(
        coop, Answer(system="smtp", code="5.2.87", text="550 5.2.87 quota of mailbox exhausted")
    )
    found = draft_reading.draft(coop, number)
    assert found is not None
    assert any("mailbox" in each.words or "quota" in each.words for each in found.likely)
    assert any(each.family == "5.2.x" for each in found.likely)
    assert all(each.words or each.family for each in found.likely)
    bare = draft_reading.draft(coop, note(coop, Answer(system="smtp", code="5.2.88", text="")))
    assert bare is not None
    assert {each.family for each in bare.likely} == {"5.2.x"}


def test_drafts_of_the_same_words_are_described_together_and_apart_again(coop: Dispatch) -> None:
    texts = ("zebra crossing refused today", "zebra crossing refused tomorrow")
    one, other = (
        note(coop, Answer(system="pigeon", code=str(70 + n), text=each))
        for n, each in enumerate(texts)
    )
    before = rows(coop)
    draft = draft_reading.draft(coop, one)
    assert draft is not None
    assert [each.id for each in draft.alike] == [other]
    entry = meant("70", words="Zebra")
    keys = draft_reading.keys_for(coop, draft.alike, entry=entry)
    assert keys == [("71", "")]
    added = editing.add_entry(
        coop, system="pigeon", code="70", content={"short.de": "Zebra"}, by="A. Kern", also=keys
    )
    alias = known(coop, "71")
    assert (alias.same_as, alias.text("short", "de")) == (added.id, "Zebra")
    assert rows(coop)[other] == (alias.id, "exact", False)
    undo_latest(coop, alias.id)
    undo_latest(coop, added.id)
    assert rows(coop) == before


def test_both_ways_of_calling_it_the_same_are_offered_the_better_first(coop: Dispatch) -> None:
    def ways(answer: Answer) -> list[str]:
        draft = draft_reading.draft(coop, note(coop, answer))
        assert draft is not None
        return [each.by for each in draft_reading.ways(coop, draft)]

    assert ways(Answer(system="smtp", code="5.9.3", text="550 5.9.3 unwelcome zip at this")) == [
        "code",
        "pattern",
    ]
    assert ways(Answer(system="smtp", code="550", text="550 unwelcome zip at this")) == ["pattern"]
    assert ways(Answer(system="smtp", code="550", text="550 mx9.praxis-roth.de")) == []


# Merging and splitting


def test_an_answer_taken_out_waits_again_and_undoing_puts_it_back(coop: Dispatch) -> None:
    fire, smoke = note(coop, FIRE), note(coop, SMOKE)
    entry = own(coop, "9", "Brand")
    before, was = rows(coop), kept(coop, entry.id)
    regrouping.take_out(coop, entry.id, smoke, by="A. Kern")
    assert rows(coop)[smoke][2], "it is a draft again"
    assert rows(coop)[fire] == before[fire]
    assert note(coop, SMOKE) == smoke
    assert service.explain(coop, SMOKE).entry != entry
    assert history.history(coop, entry.id)[0].action == "split"
    undo_latest(coop, entry.id)
    assert rows(coop) == before
    assert kept(coop, entry.id) == was
    with pytest.raises(LookupError):
        regrouping.take_out(coop, known(coop, "1").id, smoke, by="")


def test_a_shipped_entry_lets_an_answer_go_too(coop: Dispatch) -> None:
    eaten = note(coop, Answer(system="pigeon", code="1", text="eaten"))
    falcon = known(coop, "1")
    regrouping.take_out(coop, falcon.id, eaten, by="A. Kern")
    assert rows(coop)[eaten][2]
    assert known(coop, "1").text("short", "de") == "Falke"
    editing.change_entry(coop, falcon.id, content={"short.de": "Habicht"}, by="")
    assert rows(coop)[eaten][2], "it stays out when the words change"
    editing.restore_entry(coop, falcon.id, by="")
    assert not rows(coop)[eaten][2]


def test_two_entries_become_one_and_two_again(coop: Dispatch) -> None:
    fire = note(coop, FIRE)
    one, two = own(coop, "9", "Brand"), own(coop, "8", "Feuer")
    alias = editing.add_same_as(coop, system="pigeon", code="7", same_as=one.id, by="")
    before, was = rows(coop), kept(coop, one.id)
    regrouping.merge_entry(coop, one.id, into=two.id, by="A. Kern")
    for code in ("9", "7"):
        assert known(coop, code).text("short", "de") == "Feuer", "what followed it follows on"
    assert reading.detail(coop, alias.id).same_as.id == two.id  # type: ignore[union-attr]
    editing.change_entry(coop, two.id, content={"short.de": "Flammen"}, by="")
    assert known(coop, "9").text("short", "de") == "Flammen"
    assert rows(coop)[fire] == before[fire]
    with pytest.raises(LookupError):
        regrouping.merge_entry(coop, two.id, into=one.id, by="")
    undo_latest(coop, one.id)
    assert known(coop, "9").text("short", "de") == "Brand"
    assert (rows(coop), kept(coop, one.id)) == (before, was)


def test_a_shipped_entry_made_one_with_another_has_its_words(coop: Dispatch) -> None:
    regrouping.merge_entry(coop, known(coop, "1").id, into=known(coop, "2").id, by="A. Kern")
    assert known(coop, "1").text("short", "de") == "Nebel"
    assert known(coop, "1").changed
    editing.restore_entry(coop, known(coop, "1").id, by="")
    assert known(coop, "1").text("short", "de") == "Falke"


def test_a_changed_pattern_is_in_the_history_and_can_be_taken_back(dispatch: Dispatch) -> None:
    fire = note(dispatch, FIRE)
    entry = own(dispatch, "9", "Brand", pattern="smoke")
    before = rows(dispatch)
    regrouping.change_pattern(dispatch, entry.id, pattern="on fire", unless="", by="A. Kern")
    assert rows(dispatch)[fire][0] == entry.id
    assert list(history.history(dispatch, entry.id)[0].fields) == ["pattern"]
    other = own(dispatch, "9", "Rauch", pattern="smoke")
    with pytest.raises(ReferenceProblem, match="has an entry"):
        undo_latest(dispatch, entry.id)
    editing.restore_entry(dispatch, other.id, by="")
    with pytest.raises(ReferenceProblem, match="has an entry"):
        regrouping.change_pattern(dispatch, entry.id, pattern="smoke", unless="", by="")
    regrouping.change_pattern(dispatch, entry.id, pattern="fog", unless="", by="")
    undo_latest(dispatch, entry.id)
    assert rows(dispatch)[fire][0] == entry.id
    assert rows(dispatch).keys() == before.keys()
    with pytest.raises(LookupError):
        regrouping.change_pattern(dispatch, known(dispatch, "1").id, pattern="x", unless="", by="")


# Updates


def test_an_update_of_what_the_clinic_changed_is_counted_until_decided(
    dispatch: Dispatch, pigeons: Pigeons
) -> None:
    falcon = known(dispatch, "1").id
    editing.change_entry(dispatch, falcon, content={"short.de": "Greifvogel"}, by="")
    assert updates.count(dispatch) == 0
    pigeons.ship(2, entry("1", "Falke, neu"), entry("2", "Nebel, neu"))
    packs.install_packs(dispatch)
    assert updates.count(dispatch) == 1, "what the clinic left alone just follows"
    [found] = updates.updated(dispatch)
    assert [(each.name, each.before, each.now, each.ours) for each in found.fields] == [
        ("short.de", "Falke", "Falke, neu", "Greifvogel")
    ]
    editing.change_entry(dispatch, falcon, content={"short.de": "Greifvogel"}, by="", action="kept")
    assert updates.count(dispatch) == 0
    undo_latest(dispatch, falcon)
    assert updates.count(dispatch) == 1
    editing.restore_entry(dispatch, falcon, by="", fields=["short.de"], action="taken")
    assert (updates.count(dispatch), known(dispatch, "1").text("short", "de")) == (0, "Falke, neu")
    undo_latest(dispatch, falcon)
    assert known(dispatch, "1").text("short", "de") == "Greifvogel"
    assert updates.count(dispatch) == 1


def test_an_update_that_says_what_the_clinic_says_needs_no_decision(
    coop: Dispatch, pigeons: Pigeons
) -> None:
    editing.change_entry(coop, known(coop, "1").id, content={"short.de": "Greifvogel"}, by="")
    pigeons.ship(2, entry("1", "Greifvogel"), entry("2", "Nebel"))
    packs.install_packs(coop)
    assert updates.count(coop) == 0
