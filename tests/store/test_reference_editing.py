"""Changing the reference: what was before stays in the history, and every change can be taken back."""

from __future__ import annotations

import time
from typing import Any

import pytest

from clinic_dispatch_plugin.api import Answer
from clinic_dispatch_plugin.error_reference import editing, history, packs, service, store, trying
from clinic_dispatch_plugin.error_reference.checking import ReferenceProblem
from clinic_dispatch_plugin.error_reference.rules import KnownEntry, Matched
from clinic_dispatch_plugin.registry import Dispatch
from tests.store.pigeons import Pigeons, entry

STRANGE = Answer(system="pigeon", code="9", text="the loft of eva@example.org is on fire")


def known(dispatch: Dispatch, code: str) -> KnownEntry:
    with dispatch.database.begin() as connection:
        found = service.reference(dispatch, connection).find("pigeon", code)
    assert found is not None
    return found


def note(dispatch: Dispatch, answer: Answer) -> int:
    return dispatch.database.run(lambda c: service.note_answer(dispatch, c, answer)[0])


def answer_row(dispatch: Dispatch, answer_id: int) -> Any:
    with dispatch.database.begin() as connection:
        return store.answers_by_id(connection, [answer_id])[answer_id]


def test_every_change_is_written_down_with_who_and_what(dispatch: Dispatch) -> None:
    falcon = known(dispatch, "1").id
    editing.change_entry(dispatch, falcon, content={"short.de": "Greifvogel"}, by="A. Kern")
    editing.change_entry(dispatch, falcon, content={"who": "reception"}, by="B. Lang")
    editing.change_entry(dispatch, falcon, content={"who": "reception"}, by="C. Still")
    found = history.history(dispatch, falcon)
    assert [(each.by, each.action, list(each.fields)) for each in found] == [
        ("B. Lang", "changed", ["who"]),
        ("A. Kern", "changed", ["short.de"]),
    ]
    assert [each.can_be_undone for each in found] == [True, False]


def test_a_change_can_be_taken_back_and_that_too(dispatch: Dispatch) -> None:
    falcon = known(dispatch, "1")
    editing.change_entry(dispatch, falcon.id, content={"short.de": "Greifvogel"}, by="A. Kern")
    [change] = history.history(dispatch, falcon.id)
    assert editing.undo_change(dispatch, change.id, by="B. Lang") == falcon.id
    assert known(dispatch, "1").text("short", "de") == falcon.text("short", "de")
    assert not known(dispatch, "1").changed
    undone = history.history(dispatch, falcon.id)[0]
    editing.undo_change(dispatch, undone.id, by="A. Kern")
    assert known(dispatch, "1").text("short", "de") == "Greifvogel"


def test_only_the_latest_change_can_be_taken_back(dispatch: Dispatch) -> None:
    falcon = known(dispatch, "1").id
    editing.change_entry(dispatch, falcon, content={"short.de": "Greifvogel"}, by="")
    first = history.history(dispatch, falcon)[0].id
    editing.change_entry(dispatch, falcon, content={"short.de": "Habicht"}, by="")
    with pytest.raises(ReferenceProblem, match="changed again since"):
        editing.undo_change(dispatch, first, by="")
    assert known(dispatch, "1").text("short", "de") == "Habicht"
    with pytest.raises(LookupError):
        editing.undo_change(dispatch, 10_000, by="")


def test_an_entry_taken_out_of_use_stays_for_its_history(dispatch: Dispatch) -> None:
    answer_id = note(dispatch, STRANGE)
    own = editing.add_entry(
        dispatch, system="pigeon", code="9", content={"short.de": "Brand"}, by="A. Kern"
    )
    assert answer_row(dispatch, answer_id)["entry_id"] == own.id
    assert editing.restore_entry(dispatch, own.id, by="A. Kern") is False
    assert service.explain(dispatch, STRANGE).entry != own
    assert answer_row(dispatch, answer_id)["draft"]
    retired = history.history(dispatch, own.id)[0]
    assert (retired.action, retired.can_be_undone) == ("retired", True)
    editing.undo_change(dispatch, retired.id, by="A. Kern")
    assert answer_row(dispatch, answer_id)["entry_id"] == own.id
    assert not answer_row(dispatch, answer_id)["draft"]


def test_describing_again_uses_the_same_row(dispatch: Dispatch) -> None:
    own = editing.add_entry(
        dispatch, system="pigeon", code="9", content={"short.de": "Brand"}, by=""
    )
    editing.restore_entry(dispatch, own.id, by="")
    again = editing.add_entry(
        dispatch, system="pigeon", code="9", content={"short.de": "Feuer"}, by=""
    )
    assert (again.id, again.text("short", "de")) == (own.id, "Feuer")
    assert len(history.history(dispatch, own.id)) == 3


def test_codes_that_differ_in_capitals_alone_are_one(dispatch: Dispatch) -> None:
    editing.add_entry(dispatch, system="pigeon", code="E1", content={"short.de": "a"}, by="")
    with pytest.raises(ReferenceProblem, match="has an entry for this already"):
        editing.add_entry(dispatch, system="pigeon", code="e1", content={"short.de": "b"}, by="")


def test_an_answer_that_is_the_same_follows_the_other_for_ever(dispatch: Dispatch) -> None:
    answer_id = note(dispatch, STRANGE)
    falcon = known(dispatch, "1")
    same = editing.add_same_as(dispatch, system="pigeon", code="9", same_as=falcon.id, by="")
    assert same.text("short", "de") == falcon.text("short", "de")
    assert same.policy == falcon.policy
    row = answer_row(dispatch, answer_id)
    assert (row["entry_id"], row["draft"], row["matched"]) == (same.id, False, "exact")
    editing.change_entry(dispatch, falcon.id, content={"short.de": "Greifvogel"}, by="")
    assert known(dispatch, "9").text("short", "de") == "Greifvogel"
    added = history.history(dispatch, same.id)[0]
    editing.undo_change(dispatch, added.id, by="")
    assert answer_row(dispatch, answer_id)["draft"]


def test_the_same_as_the_same_is_no_chain(dispatch: Dispatch) -> None:
    falcon = known(dispatch, "1")
    first = editing.add_same_as(dispatch, system="pigeon", code="9", same_as=falcon.id, by="")
    second = editing.add_same_as(dispatch, system="pigeon", code="10", same_as=first.id, by="")
    assert second.same_as == falcon.id
    with pytest.raises(LookupError):
        editing.add_same_as(dispatch, system="pigeon", code="11", same_as=10_000, by="")


def test_an_unread_update_stays_unread_when_another_field_is_changed(
    dispatch: Dispatch, pigeons: Pigeons
) -> None:
    falcon = known(dispatch, "1").id
    editing.change_entry(dispatch, falcon, content={"short.de": "Greifvogel"}, by="")
    pigeons.ship(2, entry("1", "Falke, neu"), entry("2", "Katze"))
    packs.install_packs(dispatch)
    editing.change_entry(dispatch, falcon, content={"category": "busy"}, by="")
    with dispatch.database.begin() as connection:
        row = store.entry(connection, falcon)
    assert row is not None
    assert row["base"]["short.de"] == "Falke"


def test_an_older_pack_never_overwrites_a_newer_one(dispatch: Dispatch, pigeons: Pigeons) -> None:
    pigeons.ship(5, entry("1", "Falke fünf"))
    assert packs.install_packs(dispatch) == {"pigeon": 1}
    pigeons.ship(4, entry("1", "Falke vier"))
    assert packs.install_packs(dispatch) == {}
    assert known(dispatch, "1").text("short", "de") == "Falke fünf"


def test_only_one_language_can_be_given_back(dispatch: Dispatch) -> None:
    falcon = known(dispatch, "1").id
    content = {"short.de": "Greifvogel", "short.en": "Raptor"}
    editing.change_entry(dispatch, falcon, content=content, by="")
    assert editing.restore_entry(dispatch, falcon, by="", fields=["short.de"])
    assert known(dispatch, "1").own == {"short.en"}


def test_an_emptied_text_is_empty_and_not_another_language(dispatch: Dispatch) -> None:
    falcon = known(dispatch, "1")
    assert falcon.text("what_helps", "de")
    editing.change_entry(dispatch, falcon.id, content={"what_helps.de": ""}, by="")
    assert known(dispatch, "1").text("what_helps", "de") == ""


def test_the_clinics_word_on_whether_it_passes_decides(dispatch: Dispatch) -> None:
    with dispatch.database.begin() as connection:
        gone = service.reference(dispatch, connection).find("smtp", "5.1.1")
    assert gone is not None
    answer = Answer(system="smtp", code="5.1.1", text="550 5.1.1 no such user")
    assert gone.policy_for(answer).action == "fail"
    changed = editing.change_entry(dispatch, gone.id, content={"permanence": "temporary"}, by="")
    assert changed.policy_for(answer).action == "retry"


def test_an_answer_is_tried_without_being_gathered(dispatch: Dispatch) -> None:
    found = trying.tried(dispatch, system="pigeon", code="1", text="eaten near mx7.clinic.de")
    assert found.hit is not None
    assert (found.hit.matched, found.hit.looked_for) == (Matched.EXACT, "1")
    assert found.sample == "eaten near <host>"
    with dispatch.database.begin() as connection:
        assert store.answers(connection) == []


def test_the_recipients_name_is_not_kept(dispatch: Dispatch) -> None:
    met = service.Met(
        answer=Answer(system="pigeon", code="9", text="no loft for Hans Busch <h.b7@x.de>"),
        address="h.b7@x.de",
        name="Busch, Hans",
    )
    [(answer_id, _, _)] = dispatch.database.run(lambda c: service.note_answers(dispatch, c, [met]))
    sample = answer_row(dispatch, answer_id)["sample"]
    assert "Hans" not in sample
    assert "Busch" not in sample
    assert sample.endswith("<@>")


def test_another_process_is_followed_within_two_seconds(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    note(dispatch, STRANGE)
    clock = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    kept = dispatch.cache.pop("reference")
    editing.add_entry(dispatch, system="pigeon", code="9", content={"short.de": "Brand"}, by="")
    dispatch.cache["reference"] = kept  # what a worker elsewhere still has

    def explained() -> str:
        found = dispatch.database.run(lambda c: service.note_answer(dispatch, c, STRANGE)[1])
        assert found.entry is not None
        return found.entry.text("short", "de")

    kept.checked_at = clock[0]
    assert explained() != "Brand"
    clock[0] += 2.0
    assert explained() == "Brand"


def test_what_was_called_the_same_stays_described_when_the_other_goes(dispatch: Dispatch) -> None:
    own = editing.add_entry(
        dispatch, system="pigeon", code="7", content={"short.de": "Sturm"}, by=""
    )
    editing.add_same_as(dispatch, system="pigeon", code="9", same_as=own.id, by="")
    editing.restore_entry(dispatch, own.id, by="")
    assert known(dispatch, "9").text("short", "de") == "Sturm"
    with pytest.raises(LookupError):
        editing.add_same_as(dispatch, system="pigeon", code="11", same_as=own.id, by="")
    with pytest.raises(LookupError):
        editing.add_same_as(
            dispatch, system="pigeon", code="7", same_as=known(dispatch, "9").id, by=""
        )


def test_the_same_does_the_same_also_where_the_clinic_said_whether_it_passes(
    dispatch: Dispatch,
) -> None:
    with dispatch.database.begin() as connection:
        gone = service.reference(dispatch, connection).find("smtp", "5.1.1")
    assert gone is not None
    editing.change_entry(dispatch, gone.id, content={"permanence": "temporary"}, by="")
    same = editing.add_same_as(dispatch, system="smtp", code="5.9.9", same_as=gone.id, by="")
    answer = Answer(system="smtp", code="5.9.9", text="550 5.9.9 odd")
    assert same.policy_for(answer).action == "retry"


def test_an_entry_out_of_use_is_not_changed(dispatch: Dispatch) -> None:
    own = editing.add_entry(
        dispatch, system="pigeon", code="7", content={"short.de": "Sturm"}, by=""
    )
    editing.restore_entry(dispatch, own.id, by="")
    with pytest.raises(ReferenceProblem, match="out of use"):
        editing.change_entry(dispatch, own.id, content={"short.de": "Wind"}, by="")


def test_a_first_meeting_is_explained_by_the_reference_as_it_is_now(dispatch: Dispatch) -> None:
    note(dispatch, Answer(system="pigeon", code="1"))
    stale = dispatch.cache["reference"]
    own = editing.add_entry(
        dispatch, system="pigeon", code="9", content={"short.de": "Brand"}, by=""
    )
    dispatch.cache["reference"] = stale  # what a worker still has within the first second
    stale.checked_at = time.monotonic()
    row = answer_row(dispatch, note(dispatch, STRANGE))
    assert (row["entry_id"], row["draft"]) == (own.id, False)


def test_a_name_that_is_a_word_of_answers_hides_nothing(dispatch: Dispatch) -> None:
    text = "554 5.7.1 Service unavailable; Client host [192.0.2.4] blocked using zen.spamhaus.org"
    met = service.Met(
        answer=Answer(system="smtp", code="554", text=text),
        address="service@firma.example",
        name="Client, Max",
    )
    [noted] = dispatch.database.run(lambda c: service.note_answers(dispatch, c, [met]))
    assert "Service unavailable; Client host" in noted.sample
    assert noted.explanation.entry is not None
    assert noted.explanation.entry.category == "sender_reputation"


def test_the_last_note_of_an_entry_cannot_be_emptied(dispatch: Dispatch) -> None:
    own = editing.add_entry(
        dispatch,
        system="pigeon",
        code="9",
        content={"short.de": "Brand", "short.en": "Fire"},
        by="",
    )
    editing.change_entry(dispatch, own.id, content={"short.en": ""}, by="")
    with pytest.raises(ReferenceProblem, match="Write the note") as caught:
        editing.change_entry(dispatch, own.id, content={"short.de": ""}, by="")
    assert caught.value.field == "short"
    assert known(dispatch, "9").text("short", "de") == "Brand"
