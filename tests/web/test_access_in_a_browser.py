"""Every page of the map of addresses, and every way a page says no: for everybody, also at 360 pixels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Page, Route

from clinic_dispatch_plugin.mailings import check_views
from clinic_dispatch_plugin.mailings.checking import StillChecking
from clinic_dispatch_plugin.web.csrf import NAME
from tests.clinic.full import FullClinic, make_full_clinic
from tests.clinic.serving import serving
from tests.guards.test_routes import addresses, gets

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
#: Answers that are no pages of ours, each with what it is.
NO_PAGES = {
    "callback": "for a gateway, which reads no page",
    "secret_callback": "for a gateway, which reads no page",
    "messages_csv": "a file",
    "bad_rows_csv": "a file",
    "support_report": "a file",
    "export_reference": "a file",
    "mailing_counts": "for a script",
    "mailing_progress_json": "for a script",
    "work_json": "for a script",
    "metrics": "for a script",
    "message_html": "the mail itself, in a frame",
    "mailing_preview": "the mail itself, in a frame",
}
#: What a page says no to, as its form would be sent.
REFUSED: tuple[tuple[str, dict[str, str]], ...] = (
    ("/messages/settle", {"ids": "{uncertain}", "back": "/dispatch/"}),
    ("/messages/{undelivered}/address", {"address": "kein at"}),
    ("/mailings/new", {"purpose": ""}),
    ("/mailings/{draft}/what", {"go": "next", "name": "", "subject": "", "text": "{{"}),
    ("/mailings/{draft}/check", {"not_after": "2020-01-01T10:00"}),
    ("/mailings/{draft}/start", {"expected": "3"}),
    ("/templates/new", {"name": "", "purpose": "", "text": ""}),
    ("/templates/{template}", {"name": "", "purpose": "", "text": ""}),
    ("/errors/new", {"code": "", "system": ""}),
)


@pytest.fixture
def full(tmp_path: Path) -> Iterator[FullClinic]:
    made = make_full_clinic(tmp_path)
    made.clinic.host.page_layout = None  # what is around our pages is the host's own business
    yield made
    made.clinic.dispatch.database.dispose()


@pytest.fixture
def site(full: FullClinic) -> Iterator[str]:
    with serving(full.clinic.app) as base:
        yield base


def trouble(page: Page) -> list[str]:
    """What shuts people out of the page that is open."""
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    options = {"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]}
    found = [
        f"{one['id']}: {[str(node['target']) for node in one['nodes'][:3]]}"
        for one in Axe().run(page, options=options)["violations"]
    ]
    wide, seen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    return [*found, f"{wide} pixels wide"] if wide > seen else found


def sent(page: Page, action: str, data: dict[str, str]) -> int:
    """Send a form as if it stood on the page; the answer's status."""
    with page.expect_navigation() as navigation:
        page.evaluate(
            """([action, data]) => {
              const token = document.querySelector('input[name="csrf_token"]').value;
              const form = document.createElement("form");
              form.method = "post";
              form.action = action;
              for (const [name, value] of Object.entries({ csrf_token: token, ...data })) {
                const field = document.createElement("input");
                field.name = name;
                field.value = value;
                form.append(field);
              }
              document.body.append(form);
              form.submit();
            }""",
            [action, data],
        )
    response = navigation.value
    assert response is not None
    return response.status


def test_every_page_of_the_map_is_for_everybody(page: Page, site: str, full: FullClinic) -> None:
    page.set_viewport_size({"width": 360, "height": 780})
    found: dict[str, Any] = {}
    looked = set()
    for rule in gets(full):
        name = rule.endpoint.removeprefix(f"{NAME}.")
        if name in NO_PAGES:
            continue
        for address in addresses(full, rule):
            page.goto(site + address)
            looked.add(name)
            if problems := trouble(page):
                found[address] = problems
    assert found == {}
    assert len(looked) > 15


def test_every_refusal_is_for_everybody(page: Page, site: str, full: FullClinic) -> None:
    page.set_viewport_size({"width": 360, "height": 780})
    found: dict[str, Any] = {}
    for path, data in REFUSED:
        page.goto(f"{site}/dispatch/messages/{full.ids['undelivered']}")
        said = {
            name: value.replace("{uncertain}", str(full.ids["uncertain"]))
            for name, value in data.items()
        }
        action = f"/dispatch{path.format(**full.ids)}"
        assert sent(page, action, said) == 422, action
        if problems := trouble(page):
            found[action] = problems
    assert found == {}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 422, 503])
def test_every_page_that_says_no_is_for_everybody(
    page: Page, site: str, full: FullClinic, status: int
) -> None:
    host = full.clinic.host
    path = {400: "/?mailing=x", 404: "/nowhere", 405: "/messages/settle", 422: f"/?q={'a' * 201}"}
    if status == 401:
        host.actor = None
    elif status == 403:
        host.actor = "nobody"
    elif status == 503:
        host.broken = RuntimeError()
    response = page.goto(f"{site}/dispatch{path.get(status, '/')}")
    assert response is not None and response.status == status
    assert trouble(page) == []


def test_the_page_that_waits_for_a_long_check_is_for_everybody(
    page: Page, site: str, full: FullClinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_args: Any, **_kw: Any) -> Any:
        raise StillChecking(12_000)

    monkeypatch.setattr(check_views, "check", busy)
    address = f"{site}/dispatch/mailings/{full.ids['draft']}/check"
    assert (
        full.client().get(f"/dispatch/mailings/{full.ids['draft']}/check").headers["Refresh"] == "2"
    )

    def once(route: Route) -> None:
        answer = route.fetch()
        kept = {name: value for name, value in answer.headers.items() if name != "refresh"}
        route.fulfill(response=answer, headers=kept)

    page.route(address, once)
    page.route(
        "**/new_mailing.js*", lambda route: route.fulfill(body="", content_type="text/javascript")
    )
    page.goto(address)
    assert "12.000" in page.content()
    assert trouble(page) == []
