"""The base of all pages: who may, in whose layout, in which words, and what rubbish leads to."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, abort, redirect, request
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from clinic_dispatch_plugin.config import ConfigurationError
from clinic_dispatch_plugin.host.types import Action, Layout
from clinic_dispatch_plugin.web import headers, i18n, words
from clinic_dispatch_plugin.web.auth import MIB, acting, public, requires
from clinic_dispatch_plugin.web.blueprint import make_blueprint
from clinic_dispatch_plugin.web.layout import layout_marker_found, layout_problem, render_page
from clinic_dispatch_plugin.web.params import (
    Form,
    choice_arg,
    date_arg,
    id_arg,
    ids_in_form,
    int_arg,
    local_path,
    text_arg,
)
from tests.clinic.host import Clinic, TinyHost, make_clinic


@requires(Action.VIEW)
def _look() -> Response:
    return _shown(f"hello {acting().name}")


@requires(Action.SEND)
def _act() -> Response:
    return _shown(f"done {request.form.get('what', '')}")


def _unmarked() -> str:
    return "open to nobody"


@public()
def _callback() -> str:
    return "thanks"


@requires(Action.VIEW)
def _fail() -> str:
    raise RuntimeError("patient Anna Berger")


@requires(Action.VIEW)
def _database() -> str:
    raise OperationalError("SELECT 1", {}, Exception("no such host"))


@requires(Action.VIEW)
def _refuse(code: int) -> str:
    abort(code)


@requires(Action.VIEW)
def _one(number: int) -> str:
    return str(number)


@requires(Action.VIEW, max_body=2 * MIB)
def _big() -> str:
    return str(len(request.get_data()))


@requires(Action.VIEW)
def _preview() -> Response:
    return headers.preview_response("<p style='color:red'>mail</p>")


@requires(Action.VIEW)
def _read() -> dict[str, Any]:
    return {
        "text": text_arg("text", limit=10),
        "number": int_arg("number", 7, most=100),
        "id": id_arg("id"),
        "choice": choice_arg("choice", ("a", "b"), default="a"),
        "day": str(date_arg("day")),
    }


@requires(Action.VIEW)
def _tick() -> dict[str, Any]:
    return {"ids": ids_in_form("id")}


def _shown(text: str) -> Response:
    return render_page("clinic_dispatch/error.html", code=200, title_text=text, advice="<b>x</b>")


def _register(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/look", "look", _look)
    blueprint.add_url_rule("/act", "act", _act, methods=["POST"])
    blueprint.add_url_rule("/unmarked", "unmarked", _unmarked)
    blueprint.add_url_rule("/callback", "callback", _callback, methods=["GET", "POST"])
    blueprint.add_url_rule("/fail", "fail", _fail)
    blueprint.add_url_rule("/database", "database", _database)
    blueprint.add_url_rule("/refuse/<int:code>", "refuse", _refuse)
    blueprint.add_url_rule("/one/<int:number>", "one", _one)
    blueprint.add_url_rule("/big", "big", _big, methods=["POST"])
    blueprint.add_url_rule("/preview", "preview", _preview)
    blueprint.add_url_rule("/read", "read", _read)
    blueprint.add_url_rule("/tick", "tick", _tick, methods=["POST"])
    blueprint.add_url_rule("/token", "token", _token)
    blueprint.add_url_rule("/list", "messages", _look)
    blueprint.add_url_rule("/mistakes", "reference", _look)
    blueprint.add_url_rule("/mistakes/<int:number>", "reference_entry", _one)


@requires(Action.VIEW)
def _token() -> str:
    from clinic_dispatch_plugin.web.csrf import csrf_field

    return str(csrf_field())


@pytest.fixture
def clinic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clinic:
    return _mounted(tmp_path, monkeypatch)


def _mounted(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Clinic:
    """Mount the pages of this file in place of the product's own, through the same blueprint."""
    monkeypatch.setattr(
        "clinic_dispatch_plugin.extension.make_blueprint", lambda: make_blueprint([_register])
    )
    return make_clinic(folder, tables=False, **options)


def _sent_token(client: FlaskClient, **headers_: str) -> str:
    from tests.clinic.browsing import token_in

    return token_in(client.get("/dispatch/token", headers=headers_).text)


# Who may


def test_without_an_adapter_every_page_answers_401(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clinic = _mounted(tmp_path, monkeypatch, with_host=False)
    answer = clinic.app.test_client().get("/dispatch/look")
    assert answer.status_code == 401
    assert "pass host=YourAdapter()" in caplog.text


def test_nobody_signed_in_gets_401_in_the_hosts_layout(clinic: Clinic, client: FlaskClient) -> None:
    clinic.host.actor = None
    answer = client.get("/dispatch/look")
    assert answer.status_code == 401
    assert "Sie sind nicht angemeldet" in answer.text
    assert "Klinik am Park" in answer.text
    assert "cd-nav" not in answer.text


def test_the_hosts_own_way_to_its_sign_in_is_taken(clinic: Clinic, client: FlaskClient) -> None:
    clinic.app.register_error_handler(401, lambda error: redirect("/login"))
    clinic.host.actor = None
    assert client.get("/dispatch/look").location == "/login"


def test_an_adapter_may_lead_to_the_sign_in_itself(clinic: Clinic, client: FlaskClient) -> None:
    class ToLogin(TinyHost):
        def current_actor(self) -> None:
            abort(redirect("/sign-in"))

    clinic.dispatch.host = ToLogin()
    assert client.get("/dispatch/look").location == "/sign-in"


def test_an_actor_without_the_action_gets_403(clinic: Clinic, client: FlaskClient) -> None:
    assert client.get("/dispatch/look", headers={"X-Actor": "nobody"}).status_code == 403
    assert client.get("/dispatch/look", headers={"X-Actor": "reception"}).status_code == 200


def test_a_view_that_names_no_action_is_open_to_nobody(
    clinic: Clinic, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.get("/dispatch/unmarked").status_code == 403
    assert "clinic_dispatch.unmarked names no action" in caplog.text


def test_a_public_view_asks_for_nobody_and_no_token(clinic: Clinic, client: FlaskClient) -> None:
    clinic.host.actor = None
    assert client.post("/dispatch/callback").text == "thanks"


def test_an_adapter_that_raises_gives_a_page_with_503(clinic: Clinic, client: FlaskClient) -> None:
    clinic.host.broken = RuntimeError("directory server is down")
    answer = client.get("/dispatch/look")
    assert answer.status_code == 503
    assert "Kliniksystem hat nicht geantwortet" in answer.text
    assert "directory server" not in answer.text


def test_who_acts_is_not_remembered_beyond_the_request(clinic: Clinic) -> None:
    with clinic.app.app_context():  # as tests of hosts often do
        client = clinic.app.test_client()
        assert "A. Kern" in client.get("/dispatch/look").text
        assert "B. Lang" in client.get("/dispatch/look", headers={"X-Actor": "reception"}).text
        assert client.get("/dispatch/look", headers={"X-Actor": "nobody"}).status_code == 403


# Forms


def test_a_form_with_its_token_is_taken(clinic: Clinic, client: FlaskClient) -> None:
    data = {"csrf_token": _sent_token(client), "what": "1"}
    assert "done 1" in client.post("/dispatch/act", data=data).text


@pytest.mark.parametrize("token", [None, "", "rubbish", "a.b.c", "\0", "é" * 5000])
def test_a_form_without_its_token_is_refused_with_words(
    clinic: Clinic, client: FlaskClient, token: str | None
) -> None:
    answer = client.post("/dispatch/act", data={} if token is None else {"csrf_token": token})
    assert answer.status_code == 400
    assert "zu lange offen" in answer.text
    assert "ging nichts verloren" in answer.text


def test_a_token_of_one_person_is_no_token_of_another(clinic: Clinic, client: FlaskClient) -> None:
    token = _sent_token(client, **{"X-Actor": "reception"})
    assert client.post("/dispatch/act", data={"csrf_token": token}).status_code == 400


def test_a_token_is_no_good_in_another_clinic(
    clinic: Clinic, client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    config = {"CLINIC_DISPATCH_SECRET_KEYS": "o" * 40}
    other = _mounted(folder, monkeypatch, config=config).app.test_client()
    data = {"csrf_token": _sent_token(client)}
    assert other.post("/dispatch/act", data=data).status_code == 400


def test_a_token_signed_with_the_previous_key_still_holds(
    clinic: Clinic, client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "rotated"
    folder.mkdir()
    config = {"CLINIC_DISPATCH_SECRET_KEYS": f"{'n' * 40},{'k' * 40}"}
    rotated = _mounted(folder, monkeypatch, config=config).app.test_client()
    data = {"csrf_token": _sent_token(client)}
    assert rotated.post("/dispatch/act", data=data).status_code == 200


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "https://localhost"}, 200),  # TLS ends at a proxy
        ({"Origin": "https://evil.example"}, 400),
        ({"Origin": "null"}, 400),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"}, 400),
        ({"Origin": "http://["}, 400),
        ({"Referer": "http://localhost/dispatch/look"}, 200),
        ({"Referer": "https://evil.example/localhost"}, 400),
    ],
)
def test_a_form_from_another_origin_is_refused(
    clinic: Clinic, client: FlaskClient, said: dict[str, str], status: int
) -> None:
    data = {"csrf_token": _sent_token(client)}
    assert client.post("/dispatch/act", data=data, headers=said).status_code == status


def test_a_script_sends_the_token_in_a_header(clinic: Clinic, client: FlaskClient) -> None:
    headers_ = {"X-CSRFToken": _sent_token(client)}
    assert client.post("/dispatch/act", json={}, headers=headers_).status_code == 200


def test_the_hosts_own_protection_is_used_and_its_refusal_shown_in_our_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = _mounted(tmp_path, monkeypatch, protect_forms=True).app.test_client()
    data = {"csrf_token": _sent_token(client)}
    assert client.post("/dispatch/act", data=data).status_code == 200
    refused = client.post("/dispatch/act", data={"csrf_token": "rubbish"})
    assert refused.status_code == 400
    assert "zu lange offen" in refused.text


def test_our_tokens_step_in_where_the_host_exempts_us_from_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"WTF_CSRF_CHECK_DEFAULT": False}
    client = _mounted(tmp_path, monkeypatch, protect_forms=True, config=config).app.test_client()
    assert client.post("/dispatch/act", data={}).status_code == 400
    data = {"csrf_token": _sent_token(client)}
    assert client.post("/dispatch/act", data=data).status_code == 200


def test_nothing_goes_into_the_session(clinic: Clinic, client: FlaskClient) -> None:
    _sent_token(client)
    answer = client.get("/dispatch/look")
    assert "Set-Cookie" not in answer.headers


# The host's layout


def test_a_page_stands_in_the_hosts_layout_with_its_title(
    client: FlaskClient, clinic: Clinic
) -> None:
    page = client.get("/dispatch/look").text
    assert "<title>hello A. Kern – Klinik am Park</title>" in page
    assert '<header class="clinic-header">' in page
    assert "data-dispatch-page" in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page


def test_a_block_that_holds_the_title_tag_keeps_it(client: FlaskClient, clinic: Clinic) -> None:
    clinic.host.page_layout = Layout(template="tag_in_block.html", block="main")
    assert (
        '<head><meta charset="utf-8"><title>hello A. Kern</title></head>'
        in client.get("/dispatch/look").text
    )


def test_a_wrong_block_never_gives_an_empty_page(
    client: FlaskClient, clinic: Clinic, caplog: pytest.LogCaptureFixture
) -> None:
    clinic.host.page_layout = Layout(template="base.html", block="contents")
    answer = client.get("/dispatch/look")
    assert "hello A. Kern" in answer.text
    assert "name the right block" in caplog.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_the_doctor_sees_a_wrong_block_and_a_missing_template(clinic: Clinic) -> None:
    assert layout_marker_found(clinic.app)
    clinic.host.page_layout = Layout(template="base.html", block="contents")
    assert not layout_marker_found(clinic.app)
    assert "'contents'" in layout_problem(clinic.app)
    clinic.host.page_layout = Layout(template="no.html", block="content")
    assert "TemplateNotFound" in layout_problem(clinic.app)


def test_a_block_name_that_is_none_is_refused(clinic: Clinic, client: FlaskClient) -> None:
    clinic.host.page_layout = Layout(template="base.html", block="content %}{{ 7 * 7 }}{% set x")
    assert "hello" in client.get("/dispatch/look").text
    assert ConfigurationError.__name__ in layout_problem(clinic.app)


def test_without_a_layout_a_plain_page_stands_alone_with_a_strict_policy(
    clinic: Clinic, client: FlaskClient
) -> None:
    clinic.host.page_layout = None
    answer = client.get("/dispatch/look")
    assert "<title>hello A. Kern</title>" in answer.text
    assert '<html lang="de">' in answer.text
    assert answer.headers["Content-Security-Policy"] == headers.PLAIN_POLICY


def test_in_the_hosts_layout_the_hosts_own_headers_stand(
    clinic: Clinic, client: FlaskClient
) -> None:
    @clinic.app.after_request
    def strict(response: Response) -> Response:
        response.headers["Referrer-Policy"] = "origin"
        return response

    answer = client.get("/dispatch/look")
    assert "Content-Security-Policy" not in answer.headers
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "origin"


def test_the_setting_names_a_layout_where_the_adapter_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {
        "CLINIC_DISPATCH_BASE_TEMPLATE": "tag_in_block.html",
        "CLINIC_DISPATCH_BASE_BLOCK": "main",
    }
    clinic = _mounted(tmp_path, monkeypatch, config=config)
    clinic.host.page_layout = None
    assert "<title>hello A. Kern</title>" in clinic.app.test_client().get("/dispatch/look").text


def test_a_host_may_render_in_its_own_way(clinic: Clinic, client: FlaskClient) -> None:
    class OwnWay(TinyHost):
        def render(self, template: str, context: Any) -> str:
            return f"<html><title>{context['cd_title']}</title><body>{context['cd_page']}</body></html>"

    clinic.dispatch.host = OwnWay()
    assert client.get("/dispatch/look").text.startswith("<html><title>hello A. Kern</title>")


def test_nothing_of_a_page_is_inline(client: FlaskClient, clinic: Clinic) -> None:
    page = client.get("/dispatch/look").text
    for inline in (" style=", "<style", " onclick", "javascript:", "<script>"):
        assert inline not in page


def test_a_preview_has_a_policy_of_its_own(client: FlaskClient, clinic: Clinic) -> None:
    policy = client.get("/dispatch/preview").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "script" not in policy


# What goes wrong


def test_a_fault_of_ours_is_a_page_and_never_a_traceback(
    client: FlaskClient, clinic: Clinic
) -> None:
    clinic.app.testing = True
    answer = client.get("/dispatch/fail")
    assert answer.status_code == 500
    assert "Bei uns ist etwas schiefgegangen" in answer.text
    assert "Anna Berger" not in answer.text


def test_a_database_that_is_down_is_a_page_with_503(client: FlaskClient, clinic: Clinic) -> None:
    answer = client.get("/dispatch/database")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "30"
    assert "Datenbank antwortet nicht" in answer.text


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 409, 413, 415, 418, 422, 429, 500, 503])
def test_each_refusal_has_a_page_in_the_hosts_layout(
    client: FlaskClient, clinic: Clinic, code: int
) -> None:
    answer = client.get(f"/dispatch/refuse/{code}")
    assert answer.status_code == code
    assert "clinic-header" in answer.text
    assert "<h1>" in answer.text


def test_an_address_that_does_not_exist_is_our_page_and_the_hosts_own_stays(
    client: FlaskClient, clinic: Clinic
) -> None:
    ours = client.get("/dispatch/nothing")
    assert ours.status_code == 404
    assert "Diese Seite gibt es nicht" in ours.text
    assert ours.headers["X-Content-Type-Options"] == "nosniff"
    theirs = client.get("/nothing")
    assert theirs.status_code == 404
    assert "data-dispatch-page" not in theirs.text


def test_a_method_that_does_not_fit_is_405_and_says_which_do(
    client: FlaskClient, clinic: Clinic
) -> None:
    answer = client.get("/dispatch/act")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert "Knöpfe auf der Seite" in answer.text


def test_an_error_page_survives_a_layout_that_fails(client: FlaskClient, clinic: Clinic) -> None:
    clinic.host.page_layout = Layout(template="missing.html", block="content")
    answer = client.get("/dispatch/fail")
    assert answer.status_code == 500
    assert "schiefgegangen" in answer.text


def test_an_id_no_database_holds_is_404(client: FlaskClient, clinic: Clinic) -> None:
    assert client.get(f"/dispatch/one/{2**63 - 1}").status_code == 200
    assert client.get(f"/dispatch/one/{2**63}").status_code == 404
    assert client.get("/dispatch/one/" + "9" * 5000).status_code == 404


def test_a_body_that_is_too_big_is_413(client: FlaskClient, clinic: Clinic) -> None:
    token = {"X-CSRFToken": _sent_token(client)}
    assert client.post("/dispatch/act", data=b"x" * (MIB + 1), headers=token).status_code == 413
    assert client.post("/dispatch/big", data=b"x" * (MIB + 1), headers=token).status_code == 200
    assert client.post("/dispatch/big", data=b"x" * (2 * MIB + 1), headers=token).status_code == 413


def test_the_hosts_smaller_limit_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"MAX_CONTENT_LENGTH": 1000}
    client = _mounted(tmp_path, monkeypatch, config=config).app.test_client()
    headers_ = {"X-CSRFToken": _sent_token(client)}
    assert client.post("/dispatch/act", data=b"x" * 1001, headers=headers_).status_code == 413


@pytest.mark.parametrize(
    "query",
    [
        "number=x",
        "number=101",
        "number=-1",
        "id=0",
        f"id={10**30}",
        "choice=c",
        "day=31.12.",
        "id=%00",
    ],
)
def test_rubbish_in_the_address_is_400_with_its_name(
    client: FlaskClient, clinic: Clinic, query: str
) -> None:
    answer = client.get(f"/dispatch/read?{query}")
    assert answer.status_code == 400
    assert f"„{query.split('=')[0]}“" in answer.text


def test_what_is_usable_in_the_address_is_used(client: FlaskClient, clinic: Clinic) -> None:
    query = "text=%00%20a%01bc%ED%A0%80defghijklm&number=9&id=4&choice=b&day=2026-11-24"
    read = client.get(f"/dispatch/read?{query}").json
    assert read is not None
    assert read["text"].startswith("abc")
    assert len(read["text"]) == 10
    assert (read["number"], read["id"], read["choice"], read["day"]) == (9, 4, "b", "2026-11-24")


def test_ticked_ids_are_whole_numbers_each_once(client: FlaskClient, clinic: Clinic) -> None:
    headers_ = {"X-CSRFToken": _sent_token(client)}
    good = client.post("/dispatch/tick", data={"id": ["3", "1", "3"]}, headers=headers_)
    assert good.json == {"ids": [3, 1]}
    for bad in ("x", "1 OR 1=1", "\0", "-4", str(2**64)):
        answer = client.post("/dispatch/tick", data={"id": ["1", bad]}, headers=headers_)
        assert answer.status_code == 400


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("/dispatch/messages?page=2", True),
        ("//evil.example", False),
        ("/\\evil.example", False),
        ("https://evil.example", False),
        ("javascript:alert(1)", False),
        ("/a\r\nSet-Cookie: x", False),
        ("", False),
        (None, False),
    ],
)
def test_a_way_back_leads_only_within_this_host(value: str | None, taken: bool) -> None:
    assert (local_path(value) == value) is taken or (value is None and not taken)


def test_a_form_says_beside_each_field_what_is_wrong(clinic: Clinic) -> None:
    zone = clinic.dispatch.settings.timezone
    with clinic.app.test_request_context():
        form = Form(
            {
                "long": "x" * 12,
                "pick": "z",
                "n": "1,5",
                "bad": "many",
                "when": "soon",
                "day": "30.2.",
                "lone": "a\ud800\0b",
            }
        )
        assert form.text("lone") == "a?b"
        assert form.number("n", least=0, most=2) == 1.5
        assert not form.errors
        form.text("long", limit=10)
        form.text("missing", required=True)
        form.choice("pick", ("a", "b"))
        form.number("bad", least=1, most=5)
        form.moment("when", zone=zone)
        form.day("day")
        assert set(form.errors) == {"long", "missing", "pick", "bad", "when", "day"}
        assert form.errors["long"] == "2 Zeichen zu viel; höchstens 10 sind möglich."
        assert not form


# Words


@pytest.mark.parametrize(
    ("said", "browser", "shown"),
    [
        ("de_AT", "ru", "de"),
        (None, "ru-RU,ru;q=0.9,en;q=0.5", "ru"),
        (None, "fr", "en"),
        (None, "*", "en"),
        ("kk", "ru", "ru"),
        (None, "", "en"),
        ("../../etc", "", "en"),
    ],
)
def test_the_language_is_the_hosts_then_the_browsers_then_the_setting(
    clinic: Clinic, said: str | None, browser: str, shown: str
) -> None:
    clinic.host.language = said
    with clinic.app.test_request_context(headers={"Accept-Language": browser}):
        assert i18n.language() == shown


def test_an_adapter_without_a_language_does_not_stop_a_page(clinic: Clinic) -> None:
    class Broken(TinyHost):
        def locale(self) -> str:
            raise RuntimeError

    clinic.dispatch.host = Broken()
    with clinic.app.test_request_context():
        assert i18n.language() == "en"


@pytest.mark.parametrize(
    ("n", "form"),
    [(1, "1 поле "), (2, "2 поля "), (5, "5 полей "), (11, "11 полей "), (21, "21 поле ")],
)
def test_russian_counts_in_three_forms(n: int, form: str) -> None:
    one = "{n} entry is not right yet. Nothing was saved."
    many = "{n} entries are not right yet. Nothing was saved."
    assert i18n.translate_many(one, many, n, "ru").startswith(form)


def test_a_text_without_translation_is_shown_in_english() -> None:
    assert i18n.translate("Never {seen} before", "de", seen="x") == "Never x before"
    assert i18n.translate("Never {seen} before", "de", other="x") == "Never {seen} before"


def test_a_field_of_markup_makes_the_rest_safe() -> None:
    from markupsafe import Markup

    said = i18n.translate("<{a}> {b}", "en", a=Markup("<b>"), b="<i>")
    assert said == "&lt;<b>&gt; &lt;i&gt;"
    assert hasattr(said, "__html__")


def test_times_are_the_clinics_and_near_ones_have_names(clinic: Clinic) -> None:
    now = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
    with clinic.app.test_request_context():
        assert i18n.format_time(datetime(2026, 11, 24, 13, 5, tzinfo=UTC), now=now) == "heute 14:05"
        assert (
            i18n.format_time(datetime(2026, 11, 23, 23, 30, tzinfo=UTC), now=now) == "heute 00:30"
        )
        assert i18n.format_time(datetime(2026, 5, 4, 12, 0, tzinfo=UTC), now=now) == "4. Mai, 14:00"
        assert (
            i18n.format_time(datetime(2025, 5, 4, 12, 0, tzinfo=UTC), now=now)
            == "04.05.2025, 14:00"
        )
        assert i18n.format_number(12345) == "12.345"


def test_each_state_has_a_word_an_icon_and_a_colour(clinic: Clinic) -> None:
    with clinic.app.test_request_context():
        for key in words.MESSAGE_STATES:
            word = words.message_state(key)
            assert word.icon in "✓↻✕?–"
            assert word.css in {"ok", "wait", "bad", "doubt", "off"}
            assert word.label not in {words.MESSAGE_STATES[key][0], key}
        assert words.group("delivery") == "Nachrichtenzustellung prüfen"
        assert words.channel("pigeon") == "pigeon"


# The menu


def _menu(clinic: Clinic, client: FlaskClient, **headers_: str) -> str:
    return client.get("/dispatch/look", headers=headers_).text


def test_the_menu_has_two_items_for_who_may_look(clinic: Clinic, client: FlaskClient) -> None:
    page = _menu(clinic, client)
    assert '<a href="/dispatch/list" aria-current="page">Versand</a>' in page
    assert '<a href="/dispatch/mistakes">Mailing-Fehler</a>' in page
    assert "data-menu" not in _menu(clinic, client, **{"X-Actor": "nobody"})


def test_below_the_reference_the_second_item_is_the_active_one(
    clinic: Clinic, client: FlaskClient
) -> None:
    page = client.get("/dispatch/mistakes").text
    assert '<a href="/dispatch/mistakes" aria-current="page">Mailing-Fehler</a>' in page
    assert '<a href="/dispatch/list">Versand</a>' in page


def test_the_menu_shows_how_many_answers_nobody_described(
    clinic: Clinic, client: FlaskClient
) -> None:
    clinic.dispatch.cache["count_drafts"] = lambda: 3
    assert "Mailing-Fehler (3)" in _menu(clinic, client)


def test_the_menu_never_breaks_the_hosts_page(
    clinic: Clinic, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    from flask import render_template

    clinic.app.add_url_rule(
        "/patients", "patients", lambda: render_template("base.html", clinic_name="K")
    )
    clinic.host.broken = RuntimeError("down")
    page = client.get("/patients")
    assert page.status_code == 200
    assert "data-menu" not in page.text
    clinic.host.broken = None

    def down() -> int:
        raise OperationalError("SELECT 1", {}, Exception("no such host"))

    clinic.dispatch.cache["count_drafts"] = down
    page = client.get("/patients")
    assert "Mailing-Fehler</a>" in page.text


def test_the_menu_is_empty_outside_a_request(clinic: Clinic) -> None:
    from clinic_dispatch_plugin.web.menu import dispatch_menu

    with clinic.app.app_context():
        assert dispatch_menu() == []


def test_the_menu_as_a_macro(clinic: Clinic, client: FlaskClient) -> None:
    from flask import render_template

    clinic.app.add_url_rule("/macro", "macro", lambda: render_template("macro_menu.html"))
    shown = client.get("/macro").text
    assert (
        '<li class="nav-item"><a href="/dispatch/list" class="nav-link">Versand</a></li>' in shown
    )


def test_everything_works_below_a_sub_path(clinic: Clinic) -> None:
    client = clinic.app.test_client()
    page = client.get("/dispatch/look", base_url="http://localhost/clinic").text
    assert 'href="/clinic/dispatch/static/dispatch.css"' in page
    assert 'href="/clinic/dispatch/mistakes"' in page
    inside = client.get("/dispatch/mistakes", base_url="http://localhost/clinic").text
    assert '<a href="/clinic/dispatch/mistakes" aria-current="page">' in inside


def test_two_clinics_in_one_process_do_not_meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    one = _mounted(first, monkeypatch)
    two = _mounted(second, monkeypatch, config={"CLINIC_DISPATCH_URL_PREFIX": "/post"})
    two.host.page_layout = None
    assert "clinic-header" in one.app.test_client().get("/dispatch/look").text
    other = two.app.test_client().get("/post/look").text
    assert "clinic-header" not in other
    assert '"/post/static/dispatch.css"' in other
    assert isinstance(one.app, Flask)
