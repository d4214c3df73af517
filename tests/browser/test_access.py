"""Every page for everybody, in three languages: axe finds nothing, no page is too wide, no script fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, FilePayload, Page

from tests.browser.clinic import DESK, PHONE, DemoClinic, list_of, sign_in, visitor

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
#: A list with rows of every kind of trouble.
BROKEN_LIST = b"email;name;raum\nanna@example.org;Anna;1\n;Bert;2\nclara@example.org;Clara\n"

LANGUAGES = {"de": "Deutsch", "en": "English", "ru": "Русский"}
#: Axe looks at each page in every language and at every size, though not at each of the two together.
LOOKED_AT = {("de", DESK), ("en", PHONE), ("ru", PHONE)}


@pytest.fixture(scope="module")
def paths(browser: Browser, demo: DemoClinic) -> list[str]:
    """Addresses of all pages, each with something on it."""
    with visitor(browser) as page:
        sign_in(page, demo)
        return list(_paths(page, demo))


def _paths(page: Page, demo: DemoClinic) -> Iterator[str]:
    mailing = f"/dispatch/mailings/{demo.mailing}"
    yield from (
        "/dispatch/",
        "/dispatch/?state=undelivered",
        "/dispatch/?q=nobody",
        "/dispatch/mailings",
    )
    yield from (mailing, f"{mailing}?correct=1&state=undelivered")
    page.goto(demo.url + mailing)
    for state in ("Nicht zugestellt", "Ungewiss", "Nicht gesendet"):
        row = page.locator("table[data-messages] tbody tr").filter(has_text=state).first
        message = row.get_by_role("link").first.get_attribute("href")
        yield from (f"{message}", f"{message}/contents")
    yield f"{message}/address"
    draft = _draft(page, demo, list_of("x+full@example.org", others=2))
    yield from ("/dispatch/mailings/new", *(f"{draft}/{step}" for step in ("who", "what", "check")))
    yield f"{_draft(page, demo, BROKEN_LIST)}/who"
    yield from (
        "/dispatch/templates",
        "/dispatch/templates/new",
        "/dispatch/errors",
        "/dispatch/errors/new",
    )
    page.goto(f"{demo.url}/dispatch/errors?q=5.1.1")
    yield str(page.locator(".cd-reference a").first.get_attribute("href"))
    yield from ("/dispatch/errors?q=xyzzy", "/dispatch/nowhere", "/dispatch/unsubscribe/x")
    page.goto(f"{demo.url}/dispatch/errors")
    yield from [
        str(each.get_attribute("href")) for each in page.locator(".cd-new .cd-btn").all()[:1]
    ]


def _draft(page: Page, demo: DemoClinic, recipients: bytes) -> str:
    """A draft with a text, made as a person makes it; its address without the step."""
    page.goto(f"{demo.url}/dispatch/mailings/new")
    page.get_by_label("Eine eigene Liste (CSV-Datei)").check()
    file: FilePayload = {"name": "Liste.csv", "mimeType": "text/csv", "buffer": recipients}
    page.locator('input[type="file"]').set_input_files(file)
    page.get_by_label("Wofür ist die Nachricht?").select_option("service")
    page.get_by_role("button", name="Weiter: der Text").click()
    page.wait_for_url("**/mailings/*/wh*")
    draft = page.url.removeprefix(demo.url).rpartition("/")[0]
    page.goto(f"{demo.url}{draft}/what")
    page.locator("#f-subject").fill("Ihr Zimmer")
    page.locator("#f-text").fill("Guten Tag {{ name }}")
    page.get_by_role("button", name="Weiter: prüfen").last.click()
    page.wait_for_url("**/check")
    return draft


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["1280px", "360px"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_for_everybody(
    browser: Browser, demo: DemoClinic, paths: list[str], language: str, size: tuple[int, int]
) -> None:
    found: dict[str, list[str]] = {}
    with visitor(browser, size=size) as page:
        sign_in(page, demo)
        page.get_by_role("button", name=LANGUAGES[language]).click()
        for path in paths:
            page.goto(demo.url + path)
            page.evaluate(
                "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
            )
            problems = [*_too_wide(page), *_wrong_language(page, language)]
            if (language, size) in LOOKED_AT:
                problems += _axe(page)
            if problems:
                found[path] = problems
    assert found == {}
    assert len(paths) > 25


def test_what_shuts_people_out_would_be_found(browser: Browser, demo: DemoClinic) -> None:
    with visitor(browser, size=PHONE) as page:
        sign_in(page, demo)
        page.goto(f"{demo.url}/dispatch/")
        page.evaluate("""() => {
          document.querySelector("h1").insertAdjacentHTML("afterend", '<img src="/static/clinic.svg"><input>');
          document.querySelector("h1").insertAdjacentHTML("afterend", '<div>' + "x".repeat(200) + '</div>');
          document.querySelector("h1 + div").style.cssText = "overflow-wrap: normal; width: 900px";
        }""")
        found = [each.partition(":")[0] for each in _axe(page)]
        assert {"image-alt", "label"} <= set(found)
        assert list(_too_wide(page)) != []


def _axe(page: Page) -> Iterator[str]:
    options = {"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]}
    for one in Axe().run(page, options=options)["violations"]:
        targets = [str(node["target"]) for node in one["nodes"][:3]]
        yield f"{one['id']}: {one['help']}: {' '.join(targets)}"


def _too_wide(page: Page) -> Iterator[str]:
    wide, seen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    if wide > seen:
        yield f"{wide} pixels wide, {seen} are there"


def _wrong_language(page: Page, language: str) -> Iterator[str]:
    said = page.evaluate("(document.querySelector('[data-dispatch-page]') || document.body).lang")
    if said != language and "/unsubscribe/" not in page.url:
        yield f"says it is {said!r}"


@pytest.mark.parametrize("path", ["/dispatch/", "/dispatch/errors", "/dispatch/mailings/new"])
def test_text_of_twice_the_size_still_fits(browser: Browser, demo: DemoClinic, path: str) -> None:
    """Zoomed to 400 percent a desk screen is 320 pixels wide (WCAG 1.4.10)."""
    with visitor(browser, size=(320, 640)) as page:
        sign_in(page, demo)
        page.goto(demo.url + path)
        assert list(_too_wide(page)) == []
