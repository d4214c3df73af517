"""A mailing without a mouse: Tab, Enter, Space and the letters are enough, and one always sees where one is."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Page, expect

from tests.browser.clinic import PATIENCE, DemoClinic, sign_in, visitor

#: What the focused element is called, and whether one sees that it has the focus (WCAG 2.4.7, 2.4.11).
FOCUS = """() => {
  const here = document.activeElement;
  const style = getComputedStyle(here);
  const marked = style.outlineStyle !== "none" || style.boxShadow !== "none";
  const box = here.getBoundingClientRect();
  const parts = [0.1, 0.5, 0.9];
  const points = parts.flatMap((x) => parts.map((y) => [box.x + box.width * x, box.y + box.height * y]));
  const seen = points.some(([x, y]) => {
    const top = document.elementFromPoint(x, y);
    return top && (here.contains(top) || top.contains(here) && !top.matches("body, html"));
  });
  const label = here.labels && here.labels.length ? here.labels[0].innerText : here.innerText || here.value || "";
  return { name: label.trim(), id: here.id, tag: here.tagName, type: here.type || "", marked, seen };
}"""


def tab_to(page: Page, name: str, *, tag: str = "") -> None:
    """Press Tab until the focus is there, on a way on which every stop is visible."""
    for _ in range(80):
        page.keyboard.press("Tab")
        here = page.evaluate(FOCUS)
        if here["tag"] == "BODY":
            continue
        # Inside a field for a day the browser itself marks where one is.
        assert here["marked"] or "date" in here["type"], f"one cannot see that {here} has the focus"
        assert here["seen"], f"{here} has the focus under something else"
        if here["name"].startswith(name) and (not tag or here["tag"] == tag):
            return
    raise AssertionError(f"no way leads to {name!r}")


def test_a_mailing_is_sent_with_the_keyboard_alone(browser: Browser, demo: DemoClinic) -> None:
    with visitor(browser) as page:
        sign_in(page, demo)
        tab_to(page, "Zum Inhalt")
        tab_to(page, "Versand")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Nachrichten")
        tab_to(page, "Neue Mailingliste")
        page.keyboard.press("Enter")

        page.wait_for_url(re.compile("/new$"))
        tab_to(page, "Patienten mit Termin")
        page.keyboard.press("Space")
        tab_to(page, "Arzt")
        tab_to(page, "Weiter: der Text")
        page.keyboard.press("Enter")

        page.wait_for_url(re.compile("/what$"))
        tab_to(page, "Name der Mailingliste")
        page.keyboard.press("Control+A")
        page.keyboard.type("Nur mit Tasten")
        tab_to(page, "Betreff")
        page.keyboard.type("Ihr Termin")
        tab_to(page, "Text", tag="TEXTAREA")
        page.keyboard.type("Guten Tag ")
        tab_to(page, "{{ name }}", tag="BUTTON")
        page.keyboard.press("Space")
        # The name stands where the cursor was, and one goes on writing there.
        page.keyboard.type(", bis morgen.")
        expect(page.locator("#f-text")).to_have_value("Guten Tag {{ name }}, bis morgen.")
        tab_to(page, "Weiter: prüfen")
        page.keyboard.press("Enter")

        page.wait_for_url(re.compile("/check$"))
        tab_to(page, "Zeigen, wer")
        page.keyboard.press("Enter")
        expect(page.locator(".cd-names").first).to_be_visible()
        tab_to(page, "An ")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"/mailings/\d+$"), timeout=PATIENCE)
        expect(page.get_by_role("heading", level=1)).to_have_text("Nur mit Tasten")


def test_what_is_wrong_is_reached_at_once(browser: Browser, demo: DemoClinic) -> None:
    """After a refusal the focus is on what is wrong, and Enter leads to its field."""
    with visitor(browser) as page:
        sign_in(page, demo)
        page.goto(f"{demo.url}/dispatch/mailings/new")
        tab_to(page, "Weiter: der Text")
        page.keyboard.press("Enter")
        expect(page.locator("#cd-faults")).to_be_focused()
        expect(page.locator("#cd-faults")).to_contain_text(
            "Wählen Sie aus, wer die Nachricht erhält"
        )
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"#f-whom$"), timeout=PATIENCE)
