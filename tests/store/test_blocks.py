"""Blocked addresses on every database: looked at, lifted, made by hand, and what they kept back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clinic_dispatch_plugin.api import Answer
from clinic_dispatch_plugin.error_reference.service import note_answer
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import blocks, store
from clinic_dispatch_plugin.messages.again import resend
from clinic_dispatch_plugin.messages.correction import AddressProblem, correct_address
from clinic_dispatch_plugin.messages.fingerprints import fingerprint
from clinic_dispatch_plugin.messages.rules import masked
from clinic_dispatch_plugin.messages.selection import Chosen
from clinic_dispatch_plugin.messages.service import Refusal
from clinic_dispatch_plugin.registry import Dispatch
from tests.clinic.host import TinyHost, make_clinic
from tests.clinic.mailbag import UNKNOWN_USER, Mailbag
from tests.conftest import DATABASES
from tests.store.letters import LetterPlugin

LANG = Actor(ref="reception", name="B. Lang")
BLOCKED = Answer(system="dispatch", code="blocked")
NOT_AGREED = Answer(system="dispatch", code="not_agreed")
on_one_database = pytest.mark.parametrize("database_url", DATABASES[:1], indirect=True)


@dataclass
class Given:
    """A clinic with letters, and what is in its tables."""

    dispatch: Dispatch
    host: TinyHost
    bag: Mailbag

    def block(self, address: str, *, scope: str = "", days: int = 0) -> int:
        """The program blocks an address; the block's id."""

        def work(connection: object) -> None:
            answer = NOT_AGREED if scope else UNKNOWN_USER
            answer_id, _ = note_answer(self.dispatch, connection, answer)  # type: ignore[arg-type]
            store.block(
                connection,  # type: ignore[arg-type]
                channel="letter",
                digest=fingerprint(self.dispatch, "letter", address),
                answer_id=answer_id,
                scope=scope,
                days=days,
                shown="" if scope else masked(address),
            )

        self.dispatch.database.run(work)
        return max(each.id for each in blocks.list_blocks(self.dispatch).blocks)

    def by_hand(self, address: str, until: datetime | None = None) -> int:
        """Somebody blocks an address."""
        return blocks.block_address(
            self.dispatch, LANG, channel="letter", address=address, why="Verzogen", until=until
        )

    def holds(self, address: str, purpose: str = "reminder") -> bool:
        """Whether nothing goes to it."""
        digest = fingerprint(self.dispatch, "letter", address)
        with self.dispatch.database.begin() as connection:
            return bool(store.blocked(connection, "letter", [digest], purpose))


@pytest.fixture
def given(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Given]:
    config = {
        "SQLALCHEMY_DATABASE_URI": database_url,
        "CLINIC_DISPATCH_BLOCKED_PLUGINS": "email",
    }
    clinic = make_clinic(tmp_path, config=config, plugins=[LetterPlugin()])
    monkeypatch.setattr(clinic.dispatch.doorbell, "ring", lambda: None)
    with clinic.app.test_request_context():
        yield Given(clinic.dispatch, clinic.host, Mailbag(clinic.dispatch, channel="letter"))
    clinic.dispatch.database.dispose()


def test_a_block_is_found_lifted_and_offers_what_it_kept_back(given: Given) -> None:
    first, second = given.block("anna@example.org"), given.block("eva@example.org", days=30)
    mailing, ended = given.bag.mailing(), given.bag.mailing(state="cancelled")
    held = given.bag.message(mailing, "skipped", answer=BLOCKED, address="Anna@example.org")
    again = given.bag.message(
        mailing, "undelivered", answer=BLOCKED, address="anna@example.org", attempt="refused"
    )
    given.bag.message(ended, "skipped", answer=BLOCKED, address="anna@example.org")
    given.bag.message(mailing, "skipped", answer=BLOCKED, address="eva@example.org")
    given.bag.message(mailing, "skipped", answer=NOT_AGREED, address="eva@example.org")

    shown = blocks.list_blocks(given.dispatch)
    assert [each.id for each in shown.blocks] == [second, first]
    assert [each.address for each in shown.blocks] == ["e•••@example.org", "a•••@example.org"]
    assert [each.until is None for each in shown.blocks] == [False, True]
    assert [each.id for each in blocks.list_blocks(given.dispatch, before=second).blocks] == [first]
    digests = blocks.digests_of(given.dispatch, " ANNA@example.org ")
    (found,) = blocks.list_blocks(given.dispatch, channel="letter", digests=digests).blocks
    assert found.id == first
    (reason,) = blocks.reasons(given.dispatch)
    assert len(blocks.list_blocks(given.dispatch, cause=reason.token).blocks) == 2
    assert blocks.list_blocks(given.dispatch, cause="entry:4711").blocks == []

    assert blocks.lift(given.dispatch, LANG, [first, 4711]) == [first]
    assert blocks.lift(given.dispatch, LANG, [first]) == [], "once is enough"
    assert not given.holds("anna@example.org") and given.holds("eva@example.org")
    deed = given.bag.trail()[-1]
    assert (deed["action"], deed["actor_ref"], deed["details"]["block"]) == (
        "lift_block",
        "reception",
        first,
    )
    lines = blocks.kept_back(given.dispatch, LANG, [first])
    assert [line.id for line in lines] == [again, held]
    assert resend(given.dispatch, LANG, Chosen(ids=(held,))).done == 1
    assert [line.id for line in blocks.kept_back(given.dispatch, LANG, [first])] == [again]
    given.host.hidden = {lines[0].ref}
    assert blocks.kept_back(given.dispatch, LANG, [first]) == []


def test_a_block_by_hand_has_a_reason_and_an_end_that_can_be_changed(given: Given) -> None:
    tomorrow = datetime.now(tz=UTC).replace(microsecond=0) + timedelta(days=1)
    block_id = given.by_hand("anna@example.org", tomorrow)
    block, deeds = blocks.one_block(given.dispatch, block_id)
    assert (block.by_hand, block.why, block.by, block.until) == (
        True,
        "Verzogen",
        "B. Lang",
        tomorrow,
    )
    assert [deed["action"] for deed in deeds] == ["block_address"]
    with pytest.raises(blocks.BlockedAlready):
        given.by_hand("anna@example.org")
    with pytest.raises(blocks.TooEarly):
        blocks.change_end(given.dispatch, LANG, block_id, tomorrow - timedelta(days=9))
    blocks.change_end(given.dispatch, LANG, block_id, None)
    assert blocks.one_block(given.dispatch, block_id)[0].until is None
    blocks.lift(given.dispatch, LANG, [block_id])
    with pytest.raises(LookupError):
        blocks.change_end(given.dispatch, LANG, block_id, None)
    assert not blocks.one_block(given.dispatch, block_id)[0].holds
    assert given.by_hand("anna@example.org") == block_id, "the same address, the same row"
    assert given.holds("anna@example.org")


@on_one_database
def test_sending_again_lifts_the_programs_block_and_no_colleagues(given: Given) -> None:
    given.block("anna@example.org")
    given.by_hand("eva@example.org")
    mailing = given.bag.mailing()
    program = given.bag.message(mailing, "skipped", answer=BLOCKED, address="anna@example.org")
    person = given.bag.message(mailing, "skipped", answer=BLOCKED, address="eva@example.org")
    done = resend(given.dispatch, LANG, Chosen(ids=(program, person)))
    assert (done.done, dict(done.refused)) == (1, {Refusal.BLOCKED: 1})
    assert not given.holds("anna@example.org") and given.holds("eva@example.org")
    assert given.bag.row(person)["state"] == "skipped"


@on_one_database
def test_a_corrected_address_has_no_block_and_the_old_one_keeps_its_own(given: Given) -> None:
    given.block("alt@example.org")
    given.block("neu@example.org")
    given.by_hand("gesperrt@example.org")
    message = given.bag.message(
        given.bag.mailing(), "skipped", answer=BLOCKED, address="alt@example.org"
    )
    with pytest.raises(AddressProblem):
        correct_address(given.dispatch, LANG, message, "gesperrt@example.org")
    assert given.host.updates == [], "nothing is saved on the card for it"
    correct_address(given.dispatch, LANG, message, "neu@example.org")
    assert given.bag.row(message)["state"] == "queued"
    assert given.holds("alt@example.org"), "it is as wrong for the next who has it"
    assert not given.holds("neu@example.org")


@on_one_database
def test_what_somebody_unsubscribed_from_is_lifted_only_when_they_asked(given: Given) -> None:
    block_id = given.block("anna@example.org", scope="promotion")
    (shown,) = blocks.list_blocks(given.dispatch).blocks
    assert (shown.purpose, shown.address) == ("promotion", "")
    assert blocks.lift(given.dispatch, LANG, [block_id]) == []
    assert given.holds("anna@example.org", "promotion")
    offers, other = given.bag.mailing(purpose="promotion"), given.bag.mailing()
    kept = given.bag.message(offers, "skipped", answer=NOT_AGREED, address="anna@example.org")
    given.bag.message(other, "skipped", answer=NOT_AGREED, address="anna@example.org")
    assert blocks.lift(given.dispatch, LANG, [block_id], asked_again=True) == [block_id]
    assert not given.holds("anna@example.org", "promotion")
    assert [line.id for line in blocks.kept_back(given.dispatch, LANG, [block_id])] == [kept]


@on_one_database
def test_many_blocks_come_in_pages_and_those_that_ended_do_not(given: Given) -> None:
    for number in range(7):
        given.block(f"p{number}@example.org")
    blocks.lift(given.dispatch, LANG, [blocks.list_blocks(given.dispatch).blocks[3].id])
    page = blocks.list_blocks(given.dispatch, limit=4)
    rest = blocks.list_blocks(given.dispatch, limit=4, before=page.after)
    assert (len(page.blocks), len(rest.blocks), rest.after) == (4, 2, None)
    assert len(list(blocks.every_block(given.dispatch))) == 6
