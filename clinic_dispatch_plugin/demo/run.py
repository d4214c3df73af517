"""The demo: starts everything on this machine, sends a first mailing, says what became of it, and ends it all."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from flask import Flask

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.demo import beside, clock, create_app, scenarios, summary, ways
from clinic_dispatch_plugin.demo.background import (
    DemoProblem,
    FolderProblem,
    check_worker,
    listen,
    relay,
    serving,
    worker,
)
from clinic_dispatch_plugin.demo.gateways import gateways
from clinic_dispatch_plugin.demo.numbers import VOICE
from clinic_dispatch_plugin.demo.text import (
    HTML,
    NAME,
    RESULTS_NAME,
    RESULTS_SPOKEN,
    RESULTS_SUBJECT,
    RESULTS_TEXT,
    SUBJECT,
    TEXT,
)
from clinic_dispatch_plugin.engine.presence import worker_is_seen
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.mailings import service as mailings
from clinic_dispatch_plugin.mailings.content import MailingContent
from clinic_dispatch_plugin.mailings.sending import StartedMailing
from clinic_dispatch_plugin.mailings.sources import AudienceSource
from clinic_dispatch_plugin.messages.causes import causes_json
from clinic_dispatch_plugin.messages.commands import messages_for_command
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.registry import Dispatch, current_dispatch
from clinic_dispatch_plugin.simulators.smtp import Mode
from clinic_dispatch_plugin.web.i18n import translate
from clinic_dispatch_plugin.web.words import MESSAGE_STATES

FIRST_MAILING = "demo-first-reminder"
SECOND_MAILING = "demo-results-by-every-way"
#: Seconds the second mailing gets until every report is in; some twenty are usual.
FOLLOWING_SECONDS = 90.0
#: Seconds the first mailing gets; a few seconds are usual.
PATIENCE_SECONDS = 180.0
#: Retry pauses are multiplied by it: five minutes become a second and a half.
RETRY_SCALE = "0.005"
_MARKS = ("demo.lock", "session.key", "clinic.db")
#: Loggers that would talk between the demo's own words; the bell rings before the worker starts the queue.
_QUIET = {
    "werkzeug": logging.ERROR,
    "alembic": logging.WARNING,
    "clinic_dispatch_plugin.queue.doorbell": logging.ERROR,
}


def run_demo(
    *, data_dir: Path, port: int, fresh: bool, exit_when_done: bool, as_json: bool, lang: str
) -> int:
    """Run it; returns the exit status: 0 when every message is where its scenario says it must be.

    :raises DemoProblem: the folder is in use or not ours, the port is taken, or the worker does not start.
    """
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)
    say = _Voice(quiet_stdout=as_json)
    with ExitStack() as stack, _ends_on_signals() as over:
        if fresh:
            _remove(data_dir)
        stack.enter_context(_alone(data_dir))
        server = listen(port)
        stack.callback(server.server_close)
        say("Preparing the clinic …")
        gateway = stack.enter_context(relay(data_dir))
        url = f"http://127.0.0.1:{server.port}"
        others = stack.enter_context(gateways(data_dir, url))
        _set_environment(data_dir, gateway.url, url, others)
        stack.enter_context(beside.told(data_dir))
        app = create_app()
        server.app = app
        stack.enter_context(serving(server))
        hand = stack.enter_context(worker())
        with app.app_context():
            started = _first_mailing(app)
            mailing_id, is_new = started.mailing_id, not started.existed
            by_all_ways = _second_mailing(app)
            # Somebody may have paused, corrected and sent again what an earlier start sent.
            wait = is_new or exit_when_done
            finished = not wait or _watch(current_dispatch(), mailing_id, hand, over)
            _await_worker(current_dispatch(), hand, over)
            report = _report(current_dispatch(), mailing_id, url, lang)
            done = finished and (not is_new or _as_foreseen(app, mailing_id))
            done &= _follow(app, by_all_ways, over, wait=not by_all_ways.existed or exit_when_done)
            report["ways"] = {
                "mailing": by_all_ways.mailing_id,
                "channels": summary.by_channel(
                    summary.ends(current_dispatch(), by_all_ways.mailing_id)
                ),
            }
        if over.is_set():
            return 1 if exit_when_done else 0
        if not finished:
            say("The first mailing is not through: its page says what holds it up.")
        if as_json:
            click.echo(json.dumps(report, ensure_ascii=False))
        else:
            _print(report, lang)
        if exit_when_done:
            return 0 if done else 1
        _stay(url, data_dir, say, hand, over)
        say("\nEnding …")
    return 0


class _Voice:
    """Speaks on standard output, or on standard error where that is kept for JSON."""

    def __init__(self, *, quiet_stdout: bool) -> None:
        self.err = quiet_stdout

    def __call__(self, text: str) -> None:
        click.echo(text, err=self.err)


class _End:
    """Whether somebody asked for the end. No lock: a signal's handler may run inside whoever waits here."""

    def __init__(self) -> None:
        self._asked = False

    def ask(self, *_: object) -> None:
        """Ask for it; safe as a signal handler."""
        self._asked = True

    def is_set(self) -> bool:
        """Whether it was asked for."""
        return self._asked

    def wait(self, seconds: float = float("inf")) -> None:
        """Wait for it, at most so many seconds."""
        until = time.monotonic() + seconds
        while not self._asked and time.monotonic() < until:
            time.sleep(min(0.1, max(0.0, until - time.monotonic())))


@contextmanager
def _ends_on_signals() -> Iterator[_End]:
    """Set by Ctrl-C, SIGTERM, or the terminal that is closed."""
    over = _End()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    old = {n: signal.signal(n, over.ask) for n in numbers}
    try:
        yield over
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _remove(data_dir: Path) -> None:
    if not data_dir.exists():
        return
    if not any((data_dir / mark).exists() for mark in _MARKS) and any(data_dir.iterdir()):
        raise DemoProblem(
            f"{data_dir} was not made by the demo, so --fresh leaves it alone: name another --data-dir."
        )
    with _alone(data_dir):
        shutil.rmtree(data_dir)


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """Hold the folder for this demo."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(data_dir / "demo.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FolderProblem(error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise DemoProblem(
            f"A demo is running on {data_dir} already: end it, or name another --data-dir."
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)


def _set_environment(data_dir: Path, relay_url: str, url: str, others: Mapping[str, str]) -> None:
    """What the clinic's application and the worker's process both read."""
    os.environ.update(others)
    os.environ["CLINIC_DISPATCH_DATA_DIR"] = str(data_dir)
    os.environ["CLINIC_DISPATCH_EMAIL_URL"] = f"{relay_url}?connections=4"
    for name, value in (
        ("CLINIC_DISPATCH_EMAIL_FROM", "Klinik am Park <praxis@klinik-am-park.example>"),
        ("CLINIC_DISPATCH_BASE_URL", url),
        ("CLINIC_DISPATCH_RETRY_SCALE", RETRY_SCALE),
        ("FLASK_APP", "clinic_dispatch_plugin.demo"),
    ):
        os.environ[name] = os.environ.get(name) or value


def _first_mailing(app: Flask) -> StartedMailing:
    """The reminder to tomorrow's patients; a second start finds the one it sent."""
    return mailings.send_now(
        current_dispatch(),
        name=NAME,
        purpose="reminder",
        channel="email",
        content=MailingContent(subject=SUBJECT, text=TEXT, html=HTML),
        source=AudienceSource(key="appointments", filters={"day": clock.tomorrow(app).isoformat()}),
        actor=Actor(ref="empfang", name="Empfang"),
        idempotency_key=FIRST_MAILING,
    )


def _second_mailing(app: Flask) -> StartedMailing:
    """The word that results are there, by the quickest way each patient has."""
    spoken = MailingContent(text=RESULTS_SPOKEN)
    return mailings.send_now(
        current_dispatch(),
        name=RESULTS_NAME,
        purpose="results",
        channel=ways.ORDER[0],
        content=MailingContent(subject=RESULTS_SUBJECT, text=RESULTS_TEXT),
        further={key: spoken if key == VOICE else MailingContent() for key in ways.ORDER[1:]},
        silences={ways.ORDER[0]: ways.SILENCE},
        source=AudienceSource(
            key="results", filters={"since": (clock.today(app) - timedelta(days=7)).isoformat()}
        ),
        actor=Actor(ref="empfang", name="Empfang"),
        idempotency_key=SECOND_MAILING,
    )


def _follow(app: Flask, started: StartedMailing, over: _End, *, wait: bool) -> bool:
    """Wait until every message of the second mailing is where its number's way leads; False: one is not."""
    wanted, end = ways.expected_ends(app), time.monotonic() + FOLLOWING_SECONDS
    while wait:
        found = summary.ends(current_dispatch(), started.mailing_id)
        wrong = {
            ref: where
            for ref, where in found.items()
            if not ways.is_as_foreseen(where, wanted.get(ref))
        }
        if not wrong and found.keys() == wanted.keys():
            return True
        if over.is_set() or time.monotonic() > end:
            for ref, where in sorted(wrong.items()):
                said = " ".join((where.channel, where.state, where.report)).rstrip()
                click.echo(f"not as foreseen: patient {ref}: {said}", err=True)
            return False
        over.wait(0.5)
    return True


def _watch(dispatch: Dispatch, mailing_id: int, hand: subprocess.Popen[bytes], over: _End) -> bool:
    """Show a bar until nothing of the mailing waits any more; False: it stands still, was ended, or took too long.

    :raises DemoProblem: the worker ended by itself.
    """
    found = mailings.summary(dispatch, mailing_id)
    label = f"Mailing {mailing_id}, {found.recipients} recipients"
    end = time.monotonic() + PATIENCE_SECONDS
    with click.progressbar(length=max(1, found.recipients), label=label, file=sys.stderr) as bar:
        while not over.is_set() and time.monotonic() < end:
            found = mailings.summary(dispatch, mailing_id)
            open_ones = sum(found.counts.get(state, 0) for state in ("queued", "leased", "sending"))
            bar.update(max(0, found.recipients - open_ones - bar.pos))
            if found.finished_at is not None:
                return True
            if _stands_still(dispatch, found):
                return False
            check_worker(hand)
            over.wait(0.2)
    return False


def _await_worker(dispatch: Dispatch, hand: subprocess.Popen[bytes], over: _End) -> None:
    """Whoever reads that the demo is open may send at once: its worker has to be there, not just about to come.

    :raises DemoProblem: the worker ended by itself.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    while not worker_is_seen(dispatch) and not over.is_set() and time.monotonic() < end:
        check_worker(hand)
        over.wait(0.2)


def _stands_still(dispatch: Dispatch, found: mailings.MailingSummary) -> bool:
    """Whether nothing goes on before a person says so: the mailing is paused, or its account stopped."""
    if found.state is MailingState.PAUSED:
        return True
    with dispatch.database.begin() as connection:
        states = [row["state"] for row in accounts.accounts(connection)]
    return any(state in ("stopped", "disabled") for state in states)


def _report(dispatch: Dispatch, mailing_id: int, url: str, lang: str) -> dict[str, Any]:
    found = mailings.summary(dispatch, mailing_id)
    return {
        "url": url,
        "mailing": mailing_id,
        "counts": dict(found.counts),
        "causes": causes_json(dispatch, mailing_id, lang),
    }


def _as_foreseen(app: Flask, mailing_id: int) -> bool:
    """Compare message by message; totals could be right by two mistakes."""
    rows = messages_for_command(current_dispatch(), mailing_id=mailing_id)
    found = Counter((str(row["recipient"]), str(row["status"])) for row in rows)
    wanted = scenarios.expected_ends(app)
    for (ref, state), count in sorted((found - wanted).items()):
        instead = ", ".join(sorted(end for who, end in wanted if who == ref)) or "no message"
        click.echo(
            f"not as foreseen: patient {ref}: {count} × {state}; foreseen: {instead}", err=True
        )
    for ref, state in sorted(wanted - found):
        click.echo(f"not as foreseen: patient {ref} has no message that is {state}", err=True)
    return found == wanted


def _print(report: Mapping[str, Any], lang: str) -> None:
    click.echo("\nBy status")
    for state, count in report["counts"].items():
        if count:
            click.echo(f"  {count:4}  {translate(MESSAGE_STATES[state][0], lang)}")
    click.echo("\nBy cause")
    for cause in report["causes"]:
        click.echo(f"  {cause['count']:4}  {cause['note']}  ({cause['key']})")
    summary.show(report["ways"]["channels"], lang)


def _stay(url: str, data_dir: Path, say: _Voice, hand: subprocess.Popen[bytes], over: _End) -> None:
    """Say where everything is, and wait for the end.

    :raises DemoProblem: the worker ended by itself.
    """
    switch = data_dir / "relay-mode"
    say(
        f"\nOpen {url} and sign in, password demo:\n"
        "  empfang      reception: sees, writes, sends\n"
        "  marketing    promotions and greetings\n"
        "  verwaltung   administration: everything\n"
        "  gast         a colleague without rights\n"
        f"\nWhat went out is in {data_dir / 'outbox'}\n"
        f"Trouble for the whole relay: echo relaying_denied > {switch}\n"
        f"  ({', '.join(Mode)})\n"
        "\nCtrl-C ends everything."
    )
    while not over.is_set():
        check_worker(hand)
        over.wait(1.0)
