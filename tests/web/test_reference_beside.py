"""An entry edited beside the list in a real Chromium: by keyboard, without losing the place or what was typed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference import service
from tests.clinic.host import Clinic
from tests.clinic.serving import serving

SPAM = Answer(system="smtp", code="5.7.1", text="550 5.7.1 message refused, looks like spam")
GONE = Answer(system="smtp", code="5.1.1", text="550 5.1.1 user unknown")


@pytest.fixture
def site(clinic: Clinic) -> Iterator[str]:
    clinic.host.page_layout = None  # our own plain page, with its strict policy
    with clinic.dispatch.database.begin() as connection:
        for answer in (SPAM, GONE):
            service.note_answer(clinic.dispatch, connection, answer, channel="email")
    with serving(clinic.app) as base:
        yield f"{base}/dispatch/errors"


def trouble(page: Page) -> list[Any]:
    """What axe finds, and how much the page is wider than the screen."""
    found: dict[str, Any] = Axe().run(page, ".cd")
    said = [(v["id"], n["html"]) for v in found["violations"] for n in v["nodes"]]
    wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return [*said, *([f"{wider} px too wide"] if wider > 0 else [])]


def test_by_keyboard_alone_from_the_search_to_a_saved_entry_and_back(page: Page, site: str) -> None:
    page.goto(site)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("5.1.1")
    expect(page.locator("[data-announce]")).to_contain_text("gefunden")
    assert page.url.endswith("?q=5.1.1")
    rows = page.locator("a[data-open]")
    page.keyboard.press("ArrowDown")
    expect(rows.nth(0)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(rows.nth(1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    chosen = rows.nth(0).get_attribute("data-open")
    page.keyboard.press("Enter")
    panel = page.locator("[data-panel]")
    title = panel.locator(".cd-part-title")
    expect(title).to_be_focused()
    assert page.url.endswith(f"?q=5.1.1&entry={chosen}")
    expect(page.locator(f"#e{chosen}")).to_have_class("sel")
    assert trouble(page) == []

    note = panel.get_by_label("Kurz (steht im Hinweis)").first
    note.fill("Anders gesagt")
    expect(panel.locator("[data-said]").first).to_have_text("Anders gesagt")
    expect(panel.locator(".cd-count").first).to_have_text("13 / 60")
    page.keyboard.press("Control+s")
    row = page.locator(f"#e{chosen}")
    expect(row).to_contain_text("Anders gesagt")
    expect(row).to_contain_text("geändert")
    expect(title).to_be_focused()
    expect(page.locator("[data-announce]")).to_contain_text("Gespeichert")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(row.locator("a")).to_be_focused()
    assert page.url.endswith("?q=5.1.1")
    page.go_back()
    expect(panel).to_be_visible()
    page.go_forward()
    expect(panel).to_be_hidden()
    page.reload()
    expect(page.locator(f"#e{chosen}")).to_contain_text("Anders gesagt")


def test_what_is_not_saved_is_asked_about_and_faults_and_outages_lose_nothing(
    page: Page, site: str
) -> None:
    page.goto(site)
    first, second = (page.locator("a[data-open]").nth(number) for number in (0, 1))
    first.click()
    panel, dialog = page.locator("[data-panel]"), page.locator("[data-ask]")
    note = panel.get_by_label("Kurz (steht im Hinweis)").first
    note.fill("Halb geschrieben")
    second.click()
    expect(dialog).to_be_visible()
    assert trouble(page) == []
    dialog.get_by_role("button", name="Weiterschreiben").click()
    expect(note).to_have_value("Halb geschrieben")
    page.go_back()
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(note).to_have_value("Halb geschrieben")
    assert "entry=" in page.url

    page.route("**/errors/*", lambda route: route.abort())
    page.keyboard.press("Control+s")
    expect(panel.get_by_role("alert")).to_contain_text("Ihr Text steht noch hier")
    page.unroute("**/errors/*")
    panel.get_by_role("tab", name="Русский").click()
    note_ru = panel.locator('[name="short.ru"]')
    note_ru.fill("ы" * 61)
    page.keyboard.press("Control+s")
    expect(panel.locator("#cd-faults")).to_be_focused()
    expect(note_ru).to_be_visible()  # the faulty language's tab is the one shown
    assert trouble(page) == []
    panel.get_by_role("tab", name="Deutsch").click()
    panel.locator('#cd-faults a[href="#f-short.ru"]').click()
    expect(note_ru).to_be_focused()
    note_ru.fill("Кратко")
    second.click()
    dialog.get_by_role("button", name="Speichern").click()
    expect(panel.locator(".cd-part-title")).to_have_text(second.inner_text())
    expect(first).to_have_text("Halb geschrieben")
    panel.get_by_label("Kurz (steht im Hinweis)").first.fill("Wird verworfen")
    page.keyboard.press("Escape")
    dialog.get_by_role("button", name="Verwerfen").click()
    expect(panel).to_be_hidden()
    expect(second).to_be_focused()
    expect(second).not_to_have_text("Wird verworfen")


def test_a_missing_language_is_marked_and_filled_from_another_one(
    page: Page, site: str, clinic: Clinic
) -> None:
    page.set_viewport_size({"width": 360, "height": 780})
    with clinic.dispatch.database.begin() as connection:
        known = service.reference(clinic.dispatch, connection)
        found = known.find("smtp", "5.1.1")
    assert found is not None
    page.goto(f"{site}?q=5.1.1&entry={found.id}")
    panel = page.locator("[data-panel]")
    english = panel.get_by_role("tab", name="English")
    english.click()
    for name in ("short", "what_happened", "what_helps"):
        panel.locator(f'[name="{name}.en"]').fill("")
    expect(english).to_contain_text("fehlt")
    panel.get_by_role("tabpanel").get_by_role("button", name="Deutsch").click()
    expect(panel.locator('[name="short.en"]')).to_have_value(found.text("short", "de"))
    expect(english).not_to_contain_text("fehlt")
    english.focus()
    page.keyboard.press("ArrowRight")
    expect(panel.get_by_role("tab", name="Русский")).to_be_focused()
    assert trouble(page) == []


def test_keys_can_be_switched_off_and_stay_off(page: Page, site: str) -> None:
    page.goto(site)
    page.get_by_text("Tastatur", exact=True).click()
    page.get_by_label("Diese Tasten benutzen").uncheck()
    page.reload()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).not_to_be_focused()
    page.get_by_text("Tastatur", exact=True).click()
    assert trouble(page) == []


def test_typing_on_shows_the_last_thing_typed(page: Page, site: str) -> None:
    """An older answer that comes late is not shown."""
    page.goto(site)

    def slowly(route: Route) -> None:
        if "q=5.1.1" not in route.request.url:
            page.wait_for_timeout(600)
        route.continue_()

    page.route("**/errors?q=*", slowly)
    page.get_by_role("searchbox").press_sequentially("5.1.1", delay=250)
    expect(page.locator("[data-announce]")).to_contain_text("gefunden")
    expect(page.locator("a[data-open]").first).to_be_visible()
    expect(page).to_have_url(f"{site}?q=5.1.1")
