"""The reference in real databases: packs, the clinic's words, drafts, and what describing one changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference import editing, packs, service, store
from clinic_dispatch_plugin.error_reference.checking import ReferenceProblem
from clinic_dispatch_plugin.error_reference.rules import Matched, conflicts
from clinic_dispatch_plugin.registry import Dispatch
from tests.store.pigeons import Pigeons, entry

STRANGE = Answer(system="smtp", code="5.9.87", text="554 5.9.87 <eva@example.org> Frobnication 7Q")


def note(dispatch: Dispatch, answer: Answer) -> int:
    return dispatch.database.run(lambda c: service.note_answer(dispatch, c, answer)[0])


def row(dispatch: Dispatch, answer_id: int) -> tuple[str, bool, str | None]:
    with dispatch.database.begin() as connection:
        found = store.answers_by_id(connection, [answer_id])[answer_id]
        entries = service.reference(dispatch, connection).entries
        known = entries.get(found["entry_id"])
    return found["matched"], found["draft"], known.text("short", "de") if known else None


def test_an_unforeseen_answer_becomes_one_draft_however_often_it_comes(dispatch: Dispatch) -> None:
    first = note(dispatch, STRANGE)
    again = note(dispatch, replace(STRANGE, text="554 5.9.87 <otto@example.org> Frobnication 7Q"))
    assert first == again
    assert row(dispatch, first)[:2] == ("reply", True)


def test_a_draft_keeps_no_address(dispatch: Dispatch) -> None:
    note(dispatch, STRANGE)
    with dispatch.database.begin() as connection:
        samples = [draft["sample"] for draft in store.drafts(connection)]
    assert samples == ["554 5.9.87 <@> Frobnication 7Q"]


def test_describing_a_draft_explains_what_came_before(dispatch: Dispatch) -> None:
    answer_id = note(dispatch, STRANGE)
    editing.add_entry(
        dispatch, system="smtp", code="5.9.87", content={"short.de": "Anlage gestört"}, by="A. Kern"
    )
    assert row(dispatch, answer_id) == ("exact", False, "Anlage gestört")


def test_an_answer_of_a_system_nobody_knows_waits_as_a_draft(dispatch: Dispatch) -> None:
    answer = Answer(system="smoke", code="9", text="three puffs")
    assert service.explain(dispatch, answer).matched is Matched.NONE
    answer_id = note(dispatch, answer)
    assert row(dispatch, answer_id)[:2] == ("draft", True)
    assert service.explain(dispatch, answer).matched is Matched.DRAFT


def test_saying_that_the_general_description_will_do_ends_a_draft(dispatch: Dispatch) -> None:
    answer_id = note(dispatch, STRANGE)
    editing.settle(dispatch, [answer_id])
    editing.add_entry(dispatch, system="smtp", code="5.9.1", content={"short.de": "x"}, by="")
    assert row(dispatch, answer_id)[:2] == ("reply", False)


def test_explaining_gathers_nothing(dispatch: Dispatch) -> None:
    service.explain(dispatch, STRANGE)
    with dispatch.database.begin() as connection:
        assert store.draft_count(connection) == 0


def test_the_same_pack_again_changes_nothing(dispatch: Dispatch) -> None:
    with dispatch.database.begin() as connection:
        before = store.revision(connection)
    assert packs.install_packs(dispatch) == {}
    with dispatch.database.begin() as connection:
        assert packs.packs_are_current(dispatch, connection)
        assert len(store.entries(connection)) == len(store.entries(connection, all_of_them=True))
        assert store.revision(connection) >= before


def test_a_newer_pack_changes_what_the_clinic_left_alone(
    dispatch: Dispatch, pigeons: Pigeons
) -> None:
    falcon = find(dispatch, "1")
    editing.change_entry(dispatch, falcon, content={"short.de": "Greifvogel"}, by="A. Kern")
    pigeons.pack = replace(
        pigeons.pack, version=2, entries=[entry("1", "Habicht"), entry("3", "Sturm")]
    )
    assert packs.install_packs(dispatch) == {"pigeon": 2}
    with dispatch.database.begin() as connection:
        known = service.reference(dispatch, connection)
        stored = store.entry(connection, falcon)
    assert stored is not None
    assert known.entries[falcon].text("short", "de") == "Greifvogel"
    assert known.entries[falcon].text("short", "en") == "Habicht"
    assert conflicts(stored["shipped"], stored["own"], stored["base"]) == {
        "short.de": ("Greifvogel", "Habicht")
    }
    assert known.find("pigeon", "2") is None
    assert known.find("pigeon", "3") is not None


def test_a_pattern_in_other_words_keeps_what_the_clinic_wrote_and_explains_what_came_before(
    dispatch: Dispatch, pigeons: Pigeons
) -> None:
    loft = replace(entry("~loft-1", "Schlag voll"), pattern="loft full")
    rows = [*pigeons.pack.entries, loft]
    pigeons.pack = replace(pigeons.pack, version=2, entries=rows)
    packs.install_packs(dispatch)
    full = service.explain(dispatch, Answer(system="pigeon", code="7", text="loft full")).entry
    assert full is not None
    editing.change_entry(dispatch, full.id, content={"short.de": "Kein Platz"}, by="A. Kern")
    answer_id = note(dispatch, Answer(system="pigeon", code="77", text="the dovecote is crowded"))
    rows = [*rows[:-1], replace(loft, pattern="loft full|dovecote is crowded")]
    pigeons.pack = replace(pigeons.pack, version=3, entries=rows)
    packs.install_packs(dispatch)
    assert row(dispatch, answer_id) == ("pattern", False, "Kein Platz")


def test_restoring_gives_the_packs_words_back(dispatch: Dispatch) -> None:
    falcon = find(dispatch, "1")
    editing.change_entry(dispatch, falcon, content={"short.de": "Greifvogel"}, by="")
    assert editing.restore_entry(dispatch, falcon, by="") is True
    with dispatch.database.begin() as connection:
        assert (
            service.reference(dispatch, connection).entries[falcon].text("short", "de") == "Falke"
        )


def test_removing_an_entry_of_the_clinics_makes_its_answer_a_draft_again(
    dispatch: Dispatch,
) -> None:
    answer_id = note(dispatch, STRANGE)
    own = editing.add_entry(
        dispatch, system="smtp", code="5.9.87", content={"short.de": "x"}, by=""
    )
    assert editing.restore_entry(dispatch, own.id, by="") is False
    assert row(dispatch, answer_id)[:2] == ("reply", True)


def test_a_second_entry_for_the_same_answer_is_refused(dispatch: Dispatch) -> None:
    editing.add_entry(dispatch, system="smtp", code="5.9.87", content={"short.de": "x"}, by="")
    with pytest.raises(ReferenceProblem) as problem:
        editing.add_entry(dispatch, system="smtp", code="5.9.87", content={"short.de": "y"}, by="")
    assert problem.value.field == "code"


@pytest.mark.parametrize(
    ("content", "pattern", "field"),
    [
        ({}, "", "short"),
        ({"short.de": "x" * 61}, "", "short.de"),
        ({"short.de": "x", "group": "elsewhere"}, "", "group"),
        ({"short.de": "x", "policy.tries": "many"}, "", "policy.tries"),
        ({"short.de": "x", "policy.action": "explode"}, "", "policy.action"),
        ({"short.de": "x"}, "(", "pattern"),
        ({"short.de": "x"}, r"(a)\1", "pattern"),
        ({"short.de": "x"}, "a" * 501, "pattern"),
    ],
)
def test_a_wrong_field_is_named(
    dispatch: Dispatch, content: dict[str, str], pattern: str, field: str
) -> None:
    with pytest.raises(ReferenceProblem) as problem:
        editing.add_entry(
            dispatch, system="smtp", code="5.9.87", content=content, pattern=pattern, by=""
        )
    assert problem.value.field == field


def test_editing_changes_what_the_program_does(dispatch: Dispatch) -> None:
    with dispatch.database.begin() as connection:
        found = service.reference(dispatch, connection).find("smtp", "5.1.1")
    assert found is not None
    changed = editing.change_entry(
        dispatch, found.id, content={"policy.action": "retry", "policy.tries": 3}, by=""
    )
    assert (changed.policy.action, changed.policy.tries) == ("retry", 3)


def find(dispatch: Dispatch, code: str) -> int:
    with dispatch.database.begin() as connection:
        found = service.reference(dispatch, connection).find("pigeon", code)
    assert found is not None
    return found.id
