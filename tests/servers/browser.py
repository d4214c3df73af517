"""A real Chromium for the tests, driven by Playwright, that cannot reach anything but loopback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, sync_playwright

from tests.servers.found import Found, Missing, look_for

PART = "Chromium"

NAMES = ("chromium", "chromium-browser", "google-chrome")

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


def find() -> Found | Missing:
    """Look for the system's own Chromium; Playwright's downloads are not used."""
    for name in NAMES:
        answer = look_for(PART, [name])
        if isinstance(answer, Found):
            return Found(part=PART, programs={"chromium": answer.programs[name]})
    return Missing(part=PART, reason=f"none of {', '.join(NAMES)} found")


@contextlib.contextmanager
def running(found: Found) -> Iterator[Browser]:
    """Start a browser and close it afterwards."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found.program("chromium"), args=list(ARGUMENTS)
        )
        try:
            yield browser
        finally:
            with contextlib.suppress(Error):  # Ctrl-C has ended it already
                browser.close()


@contextlib.contextmanager
def fresh_page(browser: Browser, *, locale: str = "de-DE") -> Iterator[Page]:
    """Give a page with cookies and storage of its own, in the language of the clinic.

    :raises AssertionError: a script of the page failed, or its own content security policy refused something.
    """
    complaints: list[str] = []

    def on_error(error: Error) -> None:
        complaints.append(f"a script failed: {error}")

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error" and "Content Security Policy" in message.text:
            complaints.append(message.text)

    context = browser.new_context(locale=locale, timezone_id="Europe/Berlin")
    try:
        page = context.new_page()
        page.on("pageerror", on_error)
        page.on("console", on_console)
        yield page
    finally:
        with contextlib.suppress(Error):  # as above
            context.close()
    assert not complaints, "\n".join(complaints)
