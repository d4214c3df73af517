"""The demo clinic in processes of its own, as ``clinic-dispatch demo`` starts it, and how people move about in it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Error, FilePayload, Page

#: Seconds until the clinic is filled and its first mailing has ended; a few are usual.
START_SECONDS = 120
STOP_SECONDS = 60
#: Milliseconds the browser waits for anything that is to come by itself.
PATIENCE = 60_000
#: Milliseconds for what is there as soon as a page is.
ACTION = 20_000

DESK = (1280, 900)
#: As narrow as a page has to work (WCAG 2.2, 1.4.10 asks for 320; the smallest telephones in use have 360).
PHONE = (360, 780)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoClinic:
    """A running demo."""

    url: str
    #: The first mailing, which the demo sent by itself.
    mailing: int
    folder: Path

    def relay(self, mode: str) -> None:
        """Switch the relay: ``normal``, ``slow`` …"""
        (self.folder / "relay-mode").write_text(mode, encoding="utf-8")


@contextlib.contextmanager
def running(folder: Path) -> Iterator[DemoClinic]:
    """Start the demo as a person does, and end it with the signal of Ctrl-C."""
    command = [sys.executable, "-m", "clinic_dispatch_plugin.demo.cli", "demo", "--port", "0"]
    log = folder / "demo.log"
    data = folder / "demo"
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("CLINIC_DISPATCH")
    }
    with log.open("wb") as errors, (folder / "demo.out").open("wb") as output:
        process = subprocess.Popen(
            [*command, "--json", "--data-dir", str(data)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=environment,
            start_new_session=True,
        )
    try:
        said = _said(process, folder / "demo.out", log)
        yield DemoClinic(url=said["url"], mailing=said["mailing"], folder=data)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _said(process: subprocess.Popen[bytes], output: Path, log: Path) -> dict[str, Any]:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        lines = output.read_text(encoding="utf-8").splitlines()
        if lines and lines[-1].endswith("}"):
            return dict(json.loads(lines[-1]))
        time.sleep(0.1)
    raise AssertionError(f"the demo did not start:\n{log.read_text(encoding='utf-8')[-3000:]}")


@contextlib.contextmanager
def visitor(
    browser: Browser,
    *,
    size: tuple[int, int] = DESK,
    scripts: bool = True,
) -> Iterator[Page]:
    """A person's own browser; at the end it complains about scripts that failed and policies that were broken."""
    complaints: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        # A page that says 403 or 404 on purpose is one for the browser's console too.
        if message.type == "error" and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    context = browser.new_context(
        locale="de-DE",
        timezone_id="Europe/Berlin",
        viewport={"width": size[0], "height": size[1]},
        java_script_enabled=scripts,
    )
    try:
        page = context.new_page()
        page.set_default_timeout(ACTION)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", on_console)
        yield page
    finally:
        with contextlib.suppress(Error):  # Ctrl-C has ended the browser already
            context.close()
    assert not complaints, "\n".join(complaints)


def sign_in(page: Page, clinic: DemoClinic, username: str = "empfang") -> None:
    """Sign in as somebody of the clinic."""
    page.goto(f"{clinic.url}/sign-in")
    page.get_by_label("Benutzername").fill(username)
    page.get_by_label("Kennwort").fill("demo")
    page.get_by_role("button", name="Anmelden").click()
    page.get_by_role("button", name="Abmelden").wait_for()


def list_of(*addresses: str, others: int = 0) -> bytes:
    """A CSV as a person uploads it: these addresses, and some whose mail arrives."""
    good = [f"gast{number}@example.org" for number in range(others)]
    rows = [
        f"{address};Person {number};214" for number, address in enumerate([*addresses, *good], 1)
    ]
    return ("email;name;raum\n" + "\n".join(rows) + "\n").encode()


def compose(page: Page, name: str, recipients: bytes) -> None:
    """From the menu through the three steps to the last page before sending, with a list of one's own."""
    page.get_by_role("link", name="Versand", exact=True).click()
    page.get_by_role("link", name="Neue Mailingliste").first.click()
    page.get_by_label("Eine eigene Liste (CSV-Datei)").check()
    file: FilePayload = {"name": f"{name}.csv", "mimeType": "text/csv", "buffer": recipients}
    page.locator('input[type="file"]').set_input_files(file)
    page.get_by_label("Wofür ist die Nachricht?").select_option("service")
    page.get_by_role("button", name="Weiter: der Text").click()
    page.get_by_label("Name der Mailingliste").fill(name)
    page.get_by_label("Betreff").fill("Ihr Zimmer {{ raum }}")
    page.get_by_label("Text", exact=False).first.fill("Guten Tag {{ name }},\n\nZimmer {{ raum }}.")
