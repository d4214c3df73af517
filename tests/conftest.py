"""Fixtures every test may ask for: databases, Redis, mail relays, a browser; started lazily, stopped at the end."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, Page

from tests import once
from tests.servers import browser as chromium
from tests.servers import dovecot, mariadb, memory, postgresql, process, smtp_sink
from tests.servers import postfix as postfix_relay
from tests.servers import redis as valkey
from tests.servers.dovecot import Dovecot
from tests.servers.found import LEFT_OUT, WANT_EVERYTHING, require
from tests.servers.mariadb import MariaDB
from tests.servers.postfix import Postfix
from tests.servers.postgresql import PostgreSQL
from tests.servers.redis import Redis
from tests.servers.smtp_sink import SmtpSink

once.install()
memory.use_if_roomy()
# How long an example takes says how busy the machine is, and nothing of what is tested.
settings.register_profile(
    "patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")

#: Which marker a test gets from a fixture it asks for, so that ``-m "not browser"`` needs no list of files.
MARKED_BY = {
    "redis_server": "redis",
    "postfix_server": "postfix",
    "smtp_sink": "postfix",
    "browser": "browser",
}

# Tests run at night as well: those about quiet hours set their own.
os.environ.setdefault("CLINIC_DISPATCH_QUIET_HOURS", "none")

DATABASES = [
    pytest.param(name, marks=getattr(pytest.mark, name), id=name)
    for name in ("sqlite", "postgresql", "mariadb")
]


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQL]:
    """Give one PostgreSQL for the whole run; ask for ``database_url`` unless one test wants several databases."""
    with postgresql.running(require(postgresql.find())) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDB]:
    """Give one MariaDB for the whole run; ask for ``database_url`` unless one test wants several databases."""
    with mariadb.running(require(mariadb.find())) as server:
        yield server


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a new, empty database; the test runs once for each kind of database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'clinic.sqlite'}"
        return
    server: PostgreSQL | MariaDB = request.getfixturevalue(f"{request.param}_server")
    with server.fresh_database() as url:
        yield url


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """Give one server of the Redis protocol for the whole run; ask for ``redis_url`` unless you stop it yourself."""
    with valkey.running(require(valkey.find())) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    """Give the URL of a Redis that holds nothing."""
    redis_server.flush()
    return redis_server.url


@pytest.fixture(scope="session")
def postfix_server() -> Iterator[Postfix]:
    """Give one Postfix relay for the whole run."""
    with postfix_relay.running(require(postfix_relay.find())) as relay:
        yield relay


@pytest.fixture
def postfix(postfix_server: Postfix) -> Postfix:
    """Give a Postfix relay with empty mailboxes."""
    postfix_server.empty_mailboxes()
    return postfix_server


@pytest.fixture(scope="session")
def imap_server() -> Iterator[Dovecot]:
    """Give one IMAP server for the whole run."""
    with dovecot.running(require(dovecot.find())) as server:
        yield server


@pytest.fixture
def imap(imap_server: Dovecot) -> Dovecot:
    """Give an IMAP server with an empty mailbox."""
    imap_server.empty()
    return imap_server


@pytest.fixture(name="smtp_sink")
def smtp_sink_of_the_test() -> Iterator[SmtpSink]:
    """Give an ``smtp-sink`` of the test's own that keeps each mail."""
    with smtp_sink.running(require(smtp_sink.find())) as sink:
        yield sink


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give one Chromium for each file of tests: Playwright's loop would stop ``asyncio.run`` in all later ones."""
    with chromium.running(require(chromium.find())) as instance:
        yield instance


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Give a fresh German page; the test fails when a script on it fails or its security policy is broken."""
    with chromium.fresh_page(browser) as fresh:
        yield fresh


@pytest.fixture
def free_port() -> int:
    """Give a loopback port that nobody listens on."""
    return process.free_port()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the equipment it asks for."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MARKED_BY:
                item.add_marker(MARKED_BY[fixture])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what this machine lacks, and how many tests that cost."""
    lacking = Counter(_left_out(terminalreporter.stats.get("skipped", [])))
    if not lacking:
        return
    terminalreporter.section("left out on this machine", yellow=True)
    for part, tests in sorted(lacking.items()):
        terminalreporter.line(f"Left out on this machine: {part}: {tests} test{'s' * (tests != 1)}")
    terminalreporter.line(
        f"(.ci/run installs these and sets {WANT_EVERYTHING}=1, so that they must run)"
    )


def _left_out(reports: list[pytest.TestReport]) -> Iterator[str]:
    for report in reports:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        if match := re.search(f"{re.escape(LEFT_OUT)}(.+)", str(reason)):
            yield match[1]
