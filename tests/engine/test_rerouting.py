"""Several accounts of a channel on every database: their order, their purposes, and what waits for a broken one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import update

from clinic_dispatch_plugin.accounts import book, service, setup, setup_store
from clinic_dispatch_plugin.accounts.rules import RESTS_TO_LEAVE, may_wait_for
from clinic_dispatch_plugin.accounts.setup import Wanted
from clinic_dispatch_plugin.accounts.tables import AccountRow
from clinic_dispatch_plugin.api import Account, Answer
from clinic_dispatch_plugin.engine.rerouting import reroute
from clinic_dispatch_plugin.engine.turns import next_turn
from clinic_dispatch_plugin.messages import reroute_store
from clinic_dispatch_plugin.registry import Dispatch
from tests.clinic.host import make_clinic
from tests.clinic.mailbag import Mailbag
from tests.store.letters import LetterPlugin, Letters

LOGIN = Answer(system="dispatch", code="connect_failed", text="wrong password")
URL = "letter://user:canary-geheim@post.example/"


class Posts(Letters):
    """Letters through three post offices: one takes everything but promotions, one only those, the last one all."""

    def accounts(self) -> Sequence[Account]:
        usual = frozenset({"service", "reminder", "results", "greeting"})
        return [
            Account(channel=self.key, key="default", label="first", purposes=usual),
            Account(channel=self.key, key="ads", label="ads", purposes=frozenset({"promotion"})),
            Account(channel=self.key, key="reserve", label="reserve"),
        ]

    def account_at(self, url: str, *, key: str, allowed: Sequence[str]) -> Account:
        return Account(channel=self.key, key=key, label="added", settings=url)


@dataclass
class Given:
    dispatch: Dispatch
    bag: Mailbag

    def row(self, key: str) -> int:
        return self.dispatch.database.run(lambda c: service.account_id(c, "letter", key))

    def way(self, purpose: str) -> str | None:
        found = self.dispatch.database.run(
            lambda c: service.way(self.dispatch, c, "letter", purpose)
        )
        return found.account.key if found is not None else None

    def set(self, key: str, **values: object) -> None:
        row_id = self.row(key)
        self.dispatch.database.run(
            lambda c: c.execute(update(AccountRow).where(AccountRow.id == row_id).values(**values))
        )


@pytest.fixture
def given(database_url: str, tmp_path: Path) -> Iterator[Given]:
    plugin = LetterPlugin()
    plugin.channel = Posts()
    config = {
        "SQLALCHEMY_DATABASE_URI": database_url,
        "CLINIC_DISPATCH_BLOCKED_PLUGINS": "email,sms,voice,viber",
        "CLINIC_DISPATCH_SECRET_KEYS": f"{'n' * 40},{'o' * 40}",
    }
    clinic = make_clinic(tmp_path, config=config, plugins=[plugin])
    with clinic.app.app_context():
        yield Given(clinic.dispatch, Mailbag(clinic.dispatch, channel="letter"))
    clinic.dispatch.database.dispose()


@pytest.mark.parametrize(
    ("state", "rests", "waits"),
    [
        ("ready", 0, True),
        ("probing", 9, True),
        ("resting", RESTS_TO_LEAVE - 1, True),
        ("resting", RESTS_TO_LEAVE, False),
        ("stopped", 0, False),
        ("disabled", 0, False),
    ],
)
def test_what_is_worth_waiting_for(state: str, rests: int, waits: bool) -> None:
    assert may_wait_for(state, rests) is waits


def test_order_purposes_and_what_waits_for_one_that_stopped(given: Given) -> None:
    dispatch, bag = given.dispatch, given.bag
    assert [given.way(each) for each in ("reminder", "promotion", "")] == [
        "default",
        "ads",
        "default",
    ]
    first, reserve = given.row("default"), given.row("reserve")
    mailing, offers = bag.mailing(), bag.mailing(purpose="promotion")
    waits = bag.message(mailing, "queued")
    later = bag.message(mailing, "queued", due_in=600, attempt="refused")
    in_doubt = bag.message(mailing, "uncertain", attempt="uncertain")
    doubted = bag.message(mailing, "queued", attempt="uncertain")
    held = bag.message(mailing, "leased")
    other = bag.message(offers, "queued", account_id=given.row("ads"))
    dispatch.database.run(lambda c: service.stop(dispatch, c, first, LOGIN))

    reroute(dispatch)

    accounts = {
        each: bag.row(each)["account_id"] for each in (waits, later, in_doubt, doubted, held, other)
    }
    assert accounts == {
        waits: reserve,
        later: reserve,
        in_doubt: first,
        doubted: first,
        held: first,
        other: given.row("ads"),
    }
    assert given.way("reminder") == "reserve"
    with dispatch.database.begin() as connection:
        (told,) = reroute_store.moved(connection, mailing)
        turn = next_turn(connection, dispatch, without=[offers])
    assert (told["details"]["number"], told["actor_ref"]) == (2, "system")
    assert turn is not None
    assert turn.account.key == "reserve"

    reroute(dispatch)  # nothing is left to move, and nobody is told so again
    with dispatch.database.begin() as connection:
        assert len(reroute_store.moved(connection, mailing)) == 1


def test_one_that_rests_briefly_keeps_its_messages_and_without_another_they_wait(
    given: Given,
) -> None:
    mailing = given.bag.mailing()
    message = given.bag.message(mailing, "queued")
    given.set("default", state="resting", rests=1)
    reroute(given.dispatch)
    assert given.bag.row(message)["account_id"] == given.row("default")
    given.row("reserve")
    given.set("reserve", state="stopped")
    given.set("default", rests=RESTS_TO_LEAVE)
    reroute(given.dispatch)
    assert given.bag.row(message)["account_id"] == given.row("default")
    assert given.way("reminder") == "default"


def test_an_account_of_the_page_is_sealed_changed_ordered_and_rotated(
    given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatch = given.dispatch
    wanted = Wanted(url=URL, purposes=["results"], typed=frozenset({"password"}), by="A. Kern")
    for key in ("a", "b", "default"):
        with dispatch.database.begin() as connection:
            setup.add(dispatch, connection, "letter", key, wanted)
    with pytest.raises(LookupError):
        dispatch.database.run(lambda c: setup.add(dispatch, c, "letter", "a", wanted))
    order = ["default", "ads", "reserve", "a", "b"]
    # What another process would know after some seconds; the configuration's own "default" wins.
    monkeypatch.setattr(book, "FRESH_SECONDS", 0.0)
    assert dispatch.database.run(lambda c: [e.key for e in dispatch.accounts("letter")]) == order
    found = dispatch.account_called("letter", "a")
    assert found is not None
    assert found.settings == URL
    assert found.purposes == frozenset({"results"})
    assert dispatch.account_called("letter", "a") is found  # the same object: it is opened once
    assert dispatch.database.run(lambda c: setup.move(c, given.row("b"), up=True))
    assert not dispatch.database.run(lambda c: setup.move(c, given.row("b"), up=True))
    moved = dispatch.database.run(lambda c: [e.key for e in dispatch.accounts("letter")])
    assert moved[-2:] == ["b", "a"]

    with dispatch.database.begin() as connection:
        rows = setup_store.setups(connection)
    assert all("canary" not in str(dict(row)) for row in rows)
    assert setup.rotate(dispatch).done == 3
    with dispatch.database.begin() as connection:
        assert {row["url"] for row in rows}.isdisjoint(
            row["url"] for row in setup_store.setups(connection)
        )
    row = next(row for row in rows if row["key"] == "a")
    stale = dispatch.database.run(lambda c: setup.change(dispatch, c, row, wanted))
    assert not stale, "it was sealed anew since it was read"
