"""The pages *Gesperrte Adressen* as a browser without JavaScript gets them, and the command beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection

from clinic_dispatch_plugin.api import Answer
from clinic_dispatch_plugin.error_reference.service import note_answer
from clinic_dispatch_plugin.messages import store
from clinic_dispatch_plugin.messages.blocks import list_blocks
from clinic_dispatch_plugin.messages.fingerprints import fingerprint
from clinic_dispatch_plugin.messages.rules import masked
from tests.cli.conftest import typing_in
from tests.clinic.browsing import submit
from tests.clinic.full import EMAIL
from tests.clinic.host import Clinic, make_clinic
from tests.clinic.mailbag import UNKNOWN_USER, Mailbag

BLOCKED = Answer(system="dispatch", code="blocked")
NEW = {"channel": "email", "address": "Eva@Example.org", "why": "Gehört einem früheren Patienten"}


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = make_clinic(tmp_path, config=EMAIL)
    yield made
    made.dispatch.database.dispose()


@pytest.fixture
def bag(clinic: Clinic) -> Mailbag:
    return Mailbag(clinic.dispatch)


def block(clinic: Clinic, address: str, *, scope: str = "") -> int:
    """The program blocks an address; the block's id."""

    def work(connection: Connection) -> None:
        answer_id, _ = note_answer(clinic.dispatch, connection, UNKNOWN_USER)
        store.block(
            connection,
            channel="email",
            digest=fingerprint(clinic.dispatch, "email", address),
            answer_id=answer_id,
            scope=scope,
            shown="" if scope else masked(address),
        )

    clinic.dispatch.database.run(work)
    return max(each.id for each in list_blocks(clinic.dispatch).blocks)


def test_lifting_offers_what_was_kept_back_and_sends_what_is_chosen(
    clinic: Clinic, client: FlaskClient, bag: Mailbag
) -> None:
    assert "Keine Adresse ist gesperrt" in client.get("/dispatch/blocks").text
    assert "/dispatch/blocks" in client.get("/dispatch/errors").text
    block_id = block(clinic, "anna@example.org")
    mailing = bag.mailing()
    first, second = (
        bag.message(mailing, "skipped", answer=BLOCKED, address="anna@example.org")
        for _ in range(2)
    )
    page = client.get("/dispatch/blocks").text
    assert "a•••@example.org" in page and "anna@example.org" not in page
    assert "Postfach gibt es nicht" in page
    assert f"/dispatch/blocks/{block_id}" in client.get(f"/dispatch/messages/{first}").text

    assert submit(client, "/dispatch/blocks", to="/dispatch/blocks/lift").location.endswith(
        "said=nothing"
    )
    lifted = submit(client, "/dispatch/blocks", {"ids": block_id}, to="/dispatch/blocks/lift")
    offered = client.get(lifted.location).text
    assert "1 Sperre ist aufgehoben." in offered
    assert f'name="ids" value="{first}"' in offered and f'name="ids" value="{second}"' in offered
    again = submit(
        client,
        lifted.location,
        {"ids": first, "back": lifted.location},
        to="/dispatch/messages/resend",
    )
    assert bag.row(first)["state"] == "queued" and bag.row(second)["state"] == "skipped"
    assert "1 Nachricht wird erneut gesendet." in client.get(again.location).text
    assert "Diese Sperre ist zu Ende" in client.get(f"/dispatch/blocks/{block_id}").text
    twice = submit(client, "/dispatch/blocks/new", {"ids": block_id}, to="/dispatch/blocks/lift")
    assert twice.location.endswith("said=gone")


def test_a_search_by_the_whole_address_names_it_in_no_address_of_a_page(
    clinic: Clinic, client: FlaskClient
) -> None:
    block(clinic, "anna@example.org")
    block(clinic, "eva@example.org")
    find = "/dispatch/blocks/find"
    found = submit(client, "/dispatch/blocks", {"address": " Anna@Example.org "}, to=find)
    assert found.status_code == 303 and "anna" not in found.location.casefold()
    page = client.get(found.location).text
    assert "a•••@example.org" in page and "e•••@example.org" not in page
    other = submit(client, "/dispatch/blocks", {"address": "ida@example.org"}, to=find)
    assert "Diese Adresse ist nicht gesperrt" in client.get(other.location).text
    wrong = submit(client, "/dispatch/blocks", {"address": "keine"}, to=find)
    assert wrong.status_code == 422 and 'value="keine"' in wrong.text
    assert submit(client, "/dispatch/blocks", {"address": ""}, to=find).status_code == 422
    assert client.get("/dispatch/blocks?address=zu-kurz").status_code == 200
    assert client.get("/dispatch/blocks?channel=taube").status_code == 400


def test_blocking_by_hand_says_beside_the_field_what_is_wrong_and_loses_nothing(
    clinic: Clinic, client: FlaskClient, bag: Mailbag
) -> None:
    new = "/dispatch/blocks/new"
    message = bag.message(bag.mailing(), "sent", address="eva@example.org")
    assert 'value="eva@example.org"' in client.get(f"{new}?message={message}").text
    assert client.get(f"{new}?message=4711").status_code == 404
    for wrong in (
        {"address": "keine"},
        {"address": ""},
        {"why": ""},
        {"why": "x" * 201},
        {"until": "2020-01-01"},
        {"until": "morgen"},
        {"until": "9999-12-31"},
        {"channel": "taube"},
    ):
        answer = submit(client, new, {**NEW, **wrong})
        assert answer.status_code == 422, wrong
        (name,) = wrong
        assert f'id="e-{name}"' in answer.text, wrong
        if name != "why":
            assert "Gehört einem früheren Patienten" in answer.text
    made = submit(client, new, {**NEW, "until": "2199-12-31"})
    page = client.get(made.location).text
    assert "Die Adresse ist gesperrt" in page and 'value="2199-12-31"' in page
    assert "Gehört einem früheren Patienten" in page and "A. Kern" in page
    assert "Gesperrt von A. Kern" in page
    assert submit(client, new, NEW).status_code == 422, "it is blocked already"

    number = re.search(r"/blocks/(\d+)", made.location)
    assert number is not None
    own = f"/dispatch/blocks/{number[1]}"
    assert submit(client, own, {"until": "2020-01-01"}, to=f"{own}/end").status_code == 422
    changed = submit(client, own, {"until": ""}, to=f"{own}/end")
    assert "Das Ende der Sperre ist geändert" in client.get(changed.location).text
    assert "jemand die Sperre aufhebt" in client.get(own).text
    assert client.get("/dispatch/blocks/4711").status_code == 404


def test_what_a_recipient_unsubscribed_from_needs_their_word(
    clinic: Clinic, client: FlaskClient
) -> None:
    block_id = block(clinic, "anna@example.org", scope="promotion")
    page = client.get("/dispatch/blocks").text
    assert "Abbestellt" in page and f'name="ids" value="{block_id}"' not in page
    own, lift = f"/dispatch/blocks/{block_id}", "/dispatch/blocks/lift"
    refused = submit(client, own, {"ids": block_id}, to=lift)
    assert "Bitte" in client.get(refused.location).text and "said=not_asked" in refused.location
    assert list_blocks(clinic.dispatch).blocks
    submit(client, own, {"ids": block_id, "asked_again": "1"}, to=lift)
    assert list_blocks(clinic.dispatch).blocks == []


def test_the_command_lists_and_lifts(clinic: Clinic, bag: Mailbag) -> None:
    typed = typing_in(clinic)
    block(clinic, "anna@example.org")
    block(clinic, "ida@example.org", scope="promotion")
    held = bag.message(bag.mailing(), "skipped", answer=BLOCKED, address="anna@example.org")
    ida, anna = (
        json.loads(line) for line in typed("blocks", "--json", "--lang", "de").stdout.splitlines()
    )
    assert set(anna) == {
        *("id", "channel", "address", "purpose", "note", "entry"),
        *("why", "by", "since", "until"),
    }
    assert (anna["address"], anna["entry"], anna["until"]) == (
        "a•••@example.org",
        "smtp:~unknown_recipient-6",
        None,
    )
    assert "Postfach gibt es nicht" in anna["note"] and ida["purpose"] == "promotion"
    assert "a•••@example.org" in typed("blocks").stdout

    for arguments, words in (
        (("anna@example.org", "--channel", "taube"), "there is no such channel"),
        (("keine", "--channel", "email"), "no address of that channel"),
        (("eva@example.org", "--channel", "email"), "is not blocked"),
        (("ida@example.org", "--channel", "email"), "unsubscribed, which stays"),
    ):
        failed = typed("blocks", "lift", *arguments)
        assert failed.exit_code == 1 and words in failed.stderr, failed.stderr
    done = json.loads(
        typed("blocks", "lift", "Anna@example.org", "--channel", "email", "--json").stdout
    )
    assert (done["lifted"], done["kept_back"]) == ([anna["id"]], [held])
    assert bag.row(held)["state"] == "skipped", "a command sends nothing by itself"
