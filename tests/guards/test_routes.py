"""Keeps every page behind its door: an action for each, a token for each form, and nothing changed by looking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.routing import Rule

from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.web.csrf import NAME
from clinic_dispatch_plugin.web.layout import MARKER
from tests.clinic.full import FullClinic, make_full_clinic

#: Pages without a sign-in, each with its reason.
PUBLIC = {
    "unsubscribe": "a patient has no sign-in; the link itself is the key",
    "callback": "a gateway has no sign-in; each call proves itself, or is refused",
    "metrics": "figures without anybody's data, for this machine or whoever has the token",
    "secret_callback": "the same, where the address itself holds the proof",
}
#: What programs call: no page, and a GET there does change something.
CALLED = frozenset({"callback", "secret_callback"})
#: What looking may write: who looked at a message's contents.
TRAIL = frozenset({"dispatch_audit"})

#: What the ids in an address stand for; a draft's page is also opened with a started mailing, and the other way round.
MAILINGS = ("mailing", "draft", "listed", "empty", "paused", "running")
MESSAGES = ("undelivered", "strange", "uncertain", "sent", "waiting", "skipped")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullClinic]:
    made = make_full_clinic(tmp_path_factory.mktemp("full"))
    yield made
    made.clinic.dispatch.database.dispose()


def rules(full: FullClinic) -> list[Rule]:
    return rules_of(full.clinic.app)


def rules_of(app: Flask) -> list[Rule]:
    return [
        rule
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith(f"{NAME}.") and not rule.endpoint.endswith(".static")
    ]


def addresses(full: FullClinic, rule: Rule) -> list[str]:
    """The rule's addresses with every id that fits."""
    return addresses_of(full.clinic.app, full.ids, rule)


def addresses_of(app: Flask, ids: Mapping[str, Any], rule: Rule) -> list[str]:
    """The rule's addresses in this app, with every id that fits."""
    fitting = {
        "channel": ("channel",),
        "account": ("account_key",),
        "mailing_id": MAILINGS,
        "message_id": MESSAGES,
        "entry_id": ("entry",),
        "change_id": ("change",),
        "answer_id": ("answer",),
        "account_id": ("account",),
        "template_id": ("template",),
        "token": ("token",),
        "secret": ("token",),
        "bounce_id": ("bounce",),
        "block_id": ("block",),
    }
    found: list[dict[str, Any]] = [{}]
    for name in rule.arguments:
        found = [{**one, name: ids[key]} for one in found for key in fitting[name]]
    with app.test_request_context():
        adapter = app.url_map.bind("localhost")
        return [adapter.build(rule.endpoint, values) for values in found]


def posts(full: FullClinic) -> list[Rule]:
    return [rule for rule in rules(full) if "POST" in (rule.methods or ())]


def gets(full: FullClinic) -> list[Rule]:
    return [rule for rule in rules(full) if "GET" in (rule.methods or ())]


def action_of(full: FullClinic, rule: Rule) -> Any:
    return getattr(full.clinic.app.view_functions[rule.endpoint], "dispatch_action", "missing")


def test_every_page_names_one_action_or_is_public_by_name(full: FullClinic) -> None:
    named = {rule.endpoint.partition(".")[2]: action_of(full, rule) for rule in rules(full)}
    assert len(named) > 30
    assert {name for name, action in named.items() if action is None} == set(PUBLIC)
    assert {
        name: action
        for name, action in named.items()
        if action is not None and not isinstance(action, Action)
    } == {}


def test_nobody_signed_in_reaches_no_page(full: FullClinic) -> None:
    for rule in rules(full):
        if action_of(full, rule) is None:
            continue
        method = "GET" if "GET" in (rule.methods or ()) else "POST"
        address = addresses(full, rule)[0]
        full.clinic.host.actor = None
        answer = full.client().open(address, method=method)
        full.clinic.host.actor = "admin"
        assert answer.status_code == 401, f"{method} {address}"


def test_a_colleague_without_rights_reaches_no_page_and_changes_nothing(full: FullClinic) -> None:
    before = full.rows()
    for rule in rules(full):
        if action_of(full, rule) is None:
            continue
        for method in {"GET", "POST"} & set(rule.methods or ()):
            address = addresses(full, rule)[0]
            answer = full.client().open(address, method=method, headers={"X-Actor": "nobody"})
            assert answer.status_code == 403, f"{method} {address}"
            assert MARKER in answer.text
    assert full.rows() == before


def test_a_page_asks_for_its_own_action_and_no_other(full: FullClinic) -> None:
    """Whoever may do all but that one thing is refused."""
    for rule in rules(full):
        action = action_of(full, rule)
        if action is None:
            continue
        full.clinic.host.actions = frozenset(Action) - {action}
        method = "GET" if "GET" in (rule.methods or ()) else "POST"
        answer = full.client().open(addresses(full, rule)[0], method=method)
        full.clinic.host.actions = None
        assert answer.status_code == 403, f"{method} {rule}"


def test_a_form_without_its_token_is_refused_and_does_nothing(full: FullClinic) -> None:
    before = full.rows()
    forms = [rule for rule in posts(full) if rule.endpoint.partition(".")[2] not in PUBLIC]
    assert len(forms) > 20
    for rule in forms:
        for address in addresses(full, rule):
            for token in ({}, {"csrf_token": "made up"}):
                answer = full.client().post(address, data=token)
                assert answer.status_code == 400, address
                assert "Das Formular war zu lange offen" in answer.text
    assert full.rows() == before


def test_looking_changes_nothing(full: FullClinic) -> None:
    before, files = full.rows(but=TRAIL), full.kept_files()
    looked = 0
    for rule in gets(full):
        called = rule.endpoint.partition(".")[2] in CALLED
        for address in addresses(full, rule):
            answer = full.client().get(address)
            if called:  # it proves nothing, so nothing of it is kept
                assert answer.status_code == 403, address
                continue
            assert answer.status_code in {200, 303}, f"{address}: {answer.status}"
            looked += answer.status_code == 200
    assert looked > 40
    assert full.rows(but=TRAIL) == before
    assert full.kept_files() == files


def test_an_address_answers_to_its_own_methods_alone(full: FullClinic) -> None:
    forms = {addresses(full, rule)[0] for rule in posts(full)}
    for rule in rules(full):
        address = addresses(full, rule)[0]
        wrong = "PUT" if address in forms else "POST"
        answer = full.client().open(address, method=wrong)
        assert answer.status_code == 405, f"{wrong} {address}"
        assert MARKER in answer.text


def test_what_is_compared_holds_the_whole_clinic(full: FullClinic, tmp_path: Path) -> None:
    rows = full.rows()
    for table in (
        "message",
        "attempt",
        "mailing",
        "answer",
        "entry",
        "template",
        "account",
        "audit",
    ):
        assert f"dispatch_{table}" in rows
    assert len(rows["dispatch_message"]) == 7
    assert len(full.kept_files()) == 1
