"""One long run from its first process to its verdict."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flask import Flask
from sqlalchemy import func, select

from clinic_dispatch_plugin.accounts.tables import AccountRow
from clinic_dispatch_plugin.database.migrate import upgrade
from clinic_dispatch_plugin.engine.store import live_runs, workers
from clinic_dispatch_plugin.error_reference.packs import install_packs
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.tables import Message
from clinic_dispatch_plugin.registry import Dispatch
from tests.crash import warm
from tests.servers.process import free_port
from tests.soak import callbacks, gateways, servers, wires
from tests.soak.clinic import create_app
from tests.soak.crew import Crew, Post
from tests.soak.faults import Breaker, Log
from tests.soak.load import Load
from tests.soak.logs import unexplained
from tests.soak.servers import Database
from tests.soak.verdict import Verdict, judge, ledger_lines

DATABASES = ("postgresql", "mariadb", "sqlite")
#: Seconds things may take to settle when the faults are over.
SETTLE = 120.0
LEASE, QUARANTINE = 4.0, 8.0
MIB = 1024 * 1024
Say = Callable[[str], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is wanted."""

    #: How long faults happen.
    seconds: float
    seed: int
    kind: str = "postgresql"
    workers: int = 2
    #: Seconds without faults before, to compare the speed.
    calm: float = 0.0
    #: People that are written to at most; 0: as many as can be.
    most: int = 0
    #: What the pauses between two faults, 0.2 to 0.6 s, are multiplied by.
    pace: float = 1.0
    #: Single messages a second.
    singles: float = 1.5


@dataclass(slots=True, kw_only=True)
class _Stage:
    """Everything that stands."""

    order: Order
    folder: Path
    app: Flask
    dispatch: Dispatch
    database: Database
    crew: Crew
    load: Load
    breaker: Breaker
    log: Log


def run(order: Order, *, say: Say) -> bool:
    """Run it; True: every promise was kept. Of a run that failed the folder stays."""
    folder = Path(tempfile.mkdtemp(prefix="cd-soak-"))
    say(f"seed {order.seed}, {order.kind}, {order.workers} workers, {order.seconds:g} s of faults")
    good = False
    try:
        with _stage(order, folder) as stage:
            good = _play(stage, say)
    finally:
        if good:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            say(f"Ledgers, logs and the log of faults: {folder}")
    return good


@contextlib.contextmanager
def _stage(order: Order, folder: Path) -> Iterator[_Stage]:
    dice = random.Random(order.seed)
    web_port, callback_port = free_port(), free_port()
    reports = callbacks.Reports(web_port, random.Random(f"storm {order.seed}"))
    with (
        servers.database(order.kind, folder) as database,
        servers.redis() as (redis_server, redis_url),
        gateways.running(folder, callback_port) as ports,
        wires.laid(ports) as laid,
        callbacks.listening(callback_port, reports),
        warm.running() as warm_process,
        _environment(_settings(folder, database, redis_url, laid.ports)),
    ):
        app = create_app()
        dispatch: Dispatch = app.extensions["clinic_dispatch"]
        upgrade(dispatch.database)
        install_packs(dispatch)
        crew = Crew(warm_process, _posts(order, folder, web_port), random.Random(order.seed))
        log = Log(folder / "faults.jsonl")
        load = Load(
            app,
            dispatch,
            seed=order.seed,
            singles=order.singles,
            most=order.most,
            web_port=web_port,
        )
        breaker = Breaker(
            app=app,
            dispatch=dispatch,
            crew=crew,
            database=database,
            redis_server=redis_server,
            redis_url=redis_url,
            wires=laid,
            reports=reports,
            load=load,
            log=log,
            dice=dice,
        )
        try:
            yield _Stage(
                order=order,
                folder=folder,
                app=app,
                dispatch=dispatch,
                database=database,
                crew=crew,
                load=load,
                breaker=breaker,
                log=log,
            )
        finally:
            with contextlib.suppress(Exception):
                breaker.put_right()
            crew.kill_all()
            load.stop()
            dispatch.database.dispose()


def _settings(
    folder: Path, database: Database, redis_url: str, ports: dict[str, int]
) -> dict[str, str]:
    settings = {
        "DATABASE_URL": database.url,
        "REDIS_URL": redis_url,
        "DATA_DIR": str(folder / "data"),
        "EMAIL_URL": f"smtp://127.0.0.1:{ports['email']}?connections=3&timeout=20&data_timeout=30",
        "EMAIL_FROM": "Klinik <post@klinik.example>",
        "SMS_URL": f"smpp://clinic:secret@127.0.0.1:{ports['sms']}/?sender=Clinic&timeout=20&rate=300",
        "VIBER_URL": "smsc://clinic:secret@smsc.example/?sender=Clinic&timeout=20&connections=2&list=20"
        f"&callback_key={gateways.CALLBACK_KEY}&base_url=http%3A%2F%2F127.0.0.1:{ports['viber']}",
        "LEASE_SECONDS": str(LEASE),
        "QUARANTINE_SECONDS": str(QUARANTINE),
        "RETRY_SCALE": "0.02",
        "SECRET_KEYS": "soak-secret-key-soak-secret-key-soak",
        "BASE_URL": "http://127.0.0.1",
        "LOCALE": "de",
        # It runs at any hour.
        "QUIET_HOURS": "none",
    }
    return {f"CLINIC_DISPATCH_{name}": value for name, value in settings.items()}


def _posts(order: Order, folder: Path, web_port: int) -> list[Post]:
    web = Post(
        name="web",
        words=("run", "--port", str(web_port), "--no-reload"),
        environment=dict(os.environ),
        folder=folder,
    )
    workers = [
        Post(
            name=f"worker{number}",
            words=("dispatch", "worker", "--concurrency", "1" if order.kind == "sqlite" else "2"),
            environment={
                **os.environ,
                "CLINIC_DISPATCH_DATA_DIR": str(folder / f"worker{number}"),
            },
            folder=folder,
        )
        for number in range(order.workers)
    ]
    return [web, *workers]


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _play(stage: _Stage, say: Say) -> bool:
    order, load = stage.order, stage.load
    _open_the_doors(stage)
    load.start()
    calm = _stretch(stage, order.calm, faults=False) if order.calm else 0.0
    say(f"without faults: {calm:.0f} messages a second" if calm else "no stretch without faults")
    broken = _stretch(stage, order.seconds, faults=True)
    say("the faults are over; things may settle")
    stage.breaker.put_right()
    load.stop()
    began = time.monotonic()
    settled = _settle(stage)
    took = time.monotonic() - began
    late = stage.crew.end()
    verdict = judge(stage.dispatch, stage.folder, load.accepted.mailings, stage.log.lines)
    stage.dispatch.database.dispose()
    said = _Say(stage, say)
    said.everything(verdict, calm=calm, broken=broken, settled=settled, took=took, late=late)
    return verdict.good and settled and not late and said.clean


def _open_the_doors(stage: _Stage) -> None:
    """Begin when pages answer and every worker has shown itself."""
    deadline = time.monotonic() + SETTLE
    while time.monotonic() < deadline:
        stage.crew.tend()
        with stage.dispatch.database.begin() as connection:
            seen = len(workers(connection, within=60.0))
        if seen >= stage.order.workers and stage.load.pages_answer():
            return
        time.sleep(0.2)
    raise SystemExit("The clinic did not open its doors.")


def _stretch(stage: _Stage, seconds: float, *, faults: bool) -> float:
    """Work for so long; returns messages a second by the ledgers."""
    began = time.monotonic()
    before = sum(ledger_lines(stage.folder).values())
    pace = random.Random(f"pace {stage.order.seed}")
    next_fault, next_look = began + (2.0 if faults else seconds), began
    while time.monotonic() < began + seconds:
        now = time.monotonic()
        stage.crew.tend()
        stage.breaker.mend()
        if now >= next_fault:
            stage.breaker.one()
            next_fault = now + stage.order.pace * pace.uniform(0.2, 0.6)
        if now >= next_look:
            stage.crew.sample()
            next_look = now + 5.0
        time.sleep(0.05)
    lines = sum(ledger_lines(stage.folder).values()) - before
    return lines / (time.monotonic() - began)


def _settle(stage: _Stage) -> bool:
    """Wait until nothing waits; False: it took too long."""
    deadline = time.monotonic() + SETTLE
    calm_since: float | None = None
    while time.monotonic() < deadline:
        stage.crew.tend()
        stage.breaker.unblock()
        stage.crew.sample()
        left = _left(stage)
        _note(stage, left)
        if left:
            calm_since = None
        elif calm_since is None:
            calm_since = time.monotonic()
        elif time.monotonic() - calm_since > QUARANTINE:  # late reports may queue something again
            return True
        time.sleep(1.0)
    return False


def _note(stage: _Stage, left: int) -> None:
    """Write down how it stands, for whoever wonders why it does not settle."""
    with stage.dispatch.database.begin() as connection:
        running = live_runs(connection)
        accounts = connection.execute(
            select(AccountRow.channel, AccountRow.state, AccountRow.failures, AccountRow.rests)
        )
        stands = [f"{each.channel} {each.state} {each.failures}/{each.rests}" for each in accounts]
        mailings = select(Mailing.id, Mailing.state).where(
            Mailing.state.not_in(["finished", "cancelled"])
        )
        unfinished = [f"{row.id} {row.state}" for row in connection.execute(mailings)][:8]
    now = datetime.now(UTC)
    with (stage.folder / "settling.log").open("a") as file:
        file.write(f"{now:%H:%M:%S} left {left}, {running} runs, {stands}, {unfinished}\n")


def _left(stage: _Stage) -> int:
    waiting = select(func.count()).where(Message.state.in_(["queued", "leased", "sending"]))
    open_ones = select(func.count()).where(Mailing.state.not_in(["finished", "cancelled"]))
    with stage.dispatch.database.begin() as connection:
        return sum(int(connection.execute(each).scalar_one()) for each in (waiting, open_ones))


class _Say:
    """Says what came of it."""

    def __init__(self, stage: _Stage, say: Say) -> None:
        self._stage = stage
        self._say = say
        #: Whether nothing is left behind and no log holds what nobody can explain.
        self.clean = True

    def everything(
        self,
        verdict: Verdict,
        *,
        calm: float,
        broken: float,
        settled: bool,
        took: float,
        late: list[str],
    ) -> None:
        say = self._say
        say(
            f"messages {verdict.messages} (accepted {self._stage.load.accepted.messages}), "
            f"handed over {verdict.handed_over}: {dict(verdict.states)}"
        )
        faults = self._stage.log.counts()
        say(f"faults {sum(faults.values())}:")
        for kind, number in faults.most_common():
            say(f"  {number:6} {kind}")
        for name in ("lost", "doubled", "wrong", "stuck", "counters"):
            self._ids(name, getattr(verdict, name))
        explained = sum(verdict.explained.values())
        say(f"uncertain {explained + len(verdict.unexplained)}, of which the log explains")
        for why, number in verdict.explained.most_common():
            say(f"  {number:6} {why}")
        self._ids("uncertain without a reason", verdict.unexplained)
        say(f"settled {'after' if settled else 'NOT within'} {took:.0f} s")
        if late:
            say(f"did not end when asked: {', '.join(late)}")
        share = f", {broken / calm:.2f} of the speed without" if calm else ""
        say(f"with faults: {broken:.0f} messages a second{share}")
        self._pages()
        self._memory()
        self._left_behind()

    def _ids(self, name: str, found: list[str]) -> None:
        self._say(f"{name} {len(found)}")
        for each in found[:20]:
            self._say(f"    {each}")

    def _pages(self) -> None:
        times = sorted(seconds for seconds, status in self._stage.load.pages if status == 200)
        statuses = Counter(status for _, status in self._stage.load.pages)
        if len(times) > 1:
            p95 = times[int(len(times) * 0.95)]
            middle = statistics.median(times)
            self._say(f"pages {dict(statuses)}: median {middle:.3f} s, p95 {p95:.3f} s")
        self._say(f"the clinic's software met {dict(self._stage.load.met)}")

    def _memory(self) -> None:
        for role, by_pid in sorted(self._stage.crew.memory.items()):
            several = sorted(by_pid.items(), key=lambda item: -len(item[1]))[:3]
            shown = [
                f"{pid}: {samples[0] / MIB:.0f} -> {samples[-1] / MIB:.0f} MiB in {len(samples)} looks"
                for pid, samples in several
            ]
            peak = max((max(samples) for samples in by_pid.values()), default=0)
            self._say(f"memory of {role}: {'; '.join(shown)}; at most {peak / MIB:.0f} MiB")

    def _left_behind(self) -> None:
        time.sleep(0.5)
        connections = self._stage.database.open_connections()
        journals = [str(each.name) for each in self._stage.folder.glob("*/spool/*.j")]
        self._say(f"open connections {connections}, journals left {len(journals)} {journals[:5]}")
        words = unexplained(self._stage.folder)
        self._say(f"kinds of log lines nobody explains: {len(words)}")
        for line, number in words.most_common(15):
            self._say(f"  {number:6} {line}")
        if connections or journals or words:
            self.clean = False
