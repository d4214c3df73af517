"""Messages a second from rows in the database to a relay and back into rows, beside smtp-source and a smtplib loop.

The relay is Postfix's ``smtp-sink``; everything runs one after the other in one go, so that the ratios hold on any
machine. ``--database`` takes a URL of PostgreSQL or MariaDB; SQLite and the embedded queue server otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import smtplib
import subprocess
import sys
import tempfile
import time
from email.message import EmailMessage
from pathlib import Path

from tests.servers import smtp_sink
from tests.servers.found import Missing

TEXT = "Guten Tag {{ name }},\n\n" + "wir erwarten Sie zu Ihrem Termin.\n" * 24
HTML = "<p>Guten Tag {{ name }},</p>" + "<p>wir erwarten Sie zu Ihrem Termin.</p>\n" * 18


def main() -> int:
    """Run it and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--database", default="")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    found = smtp_sink.find()
    if isinstance(found, Missing):
        print(f"left out: {found.reason}")
        return 0
    with smtp_sink.running(found) as sink, tempfile.TemporaryDirectory() as folder:
        port = int(sink.url.rpartition(":")[2])
        source = _smtp_source(port, options.messages)
        loop = _smtplib(port, max(500, options.messages // 5))
        ours = _ours(sink.url, Path(folder), options)
    print(f"smtp-source, 10 sessions, connections kept {source:10,.0f} messages/s")
    print(f"smtplib, one connection kept               {loop:10,.0f} messages/s")
    print(f"ours, end to end, status and attempt rows  {ours:10,.0f} messages/s")
    print(f"ours / smtp-source {ours / source:6.2f}")
    print(f"ours / smtplib     {ours / loop:6.2f}")
    return 0


def _smtp_source(port: int, number: int) -> float:
    program = "/usr/sbin/smtp-source"
    command = [program, "-d", "-s", "10", "-m", str(number), "-l", "2048", "-f", "a@example.org"]
    start = time.perf_counter()
    subprocess.run([*command, "-t", "b@example.org", f"inet:127.0.0.1:{port}"], check=True)
    return number / (time.perf_counter() - start)


def _smtplib(port: int, number: int) -> float:
    start = time.perf_counter()
    with smtplib.SMTP("127.0.0.1", port) as relay:
        for each in range(number):
            message = EmailMessage()
            message["From"], message["To"] = "a@example.org", f"p{each}@example.org"
            message["Subject"] = "Ihr Termin"
            message.set_content(TEXT.replace("{{ name }}", f"Patient {each}"))
            message.add_alternative(HTML.replace("{{ name }}", f"Patient {each}"), subtype="html")
            relay.send_message(message)
    return number / (time.perf_counter() - start)


def _ours(relay: str, folder: Path, options: argparse.Namespace) -> float:
    environment = {
        **os.environ,
        "CLINIC_DISPATCH_DATA_DIR": str(folder / "data"),
        "CLINIC_DISPATCH_EMAIL_URL": relay,
        "CLINIC_DISPATCH_EMAIL_FROM": "Klinik <praxis@clinic.example>",
    }
    if options.database:
        environment["CLINIC_DISPATCH_DATABASE_URL"] = options.database
    (folder / "list.csv").write_text(
        "email,name\n" + "".join(f"p{n}@example.org,Patient {n}\n" for n in range(options.messages))
    )
    (folder / "text").write_text(TEXT)
    (folder / "html").write_text(HTML)
    files = ["--to", folder / "list.csv", "--text", folder / "text", "--html", folder / "html"]
    _command(environment, "send", *map(str, files), "--subject", "Ihr Termin, {{ name }}")
    _command(environment, "worker", "--burst")  # larger lists are planned by a worker
    sent = _states(environment)
    if sent != {"sent": options.messages}:
        raise SystemExit(f"not all were sent: {sent}")
    return float(options.messages) / _seconds(environment)


def _seconds(environment: dict[str, str]) -> float:
    """From the first attempt opened to the last one closed, by the database's clock."""
    code = (
        "from sqlalchemy import func, select\n"
        "from clinic_dispatch_plugin.demo import create_app\n"
        "from clinic_dispatch_plugin.messages.tables import Attempt\n"
        "from clinic_dispatch_plugin.registry import current_dispatch\n"
        "with create_app().app_context():\n"
        "    with current_dispatch().database.begin() as connection:\n"
        "        query = select(func.min(Attempt.opened_at), func.max(Attempt.closed_at))\n"
        "        first, last = connection.execute(query).one()\n"
        "        print((last - first).total_seconds())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def _command(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "-m", "clinic_dispatch_plugin.demo.cli", *arguments]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return done.stdout


def _states(environment: dict[str, str]) -> dict[str, int]:
    states: dict[str, int] = {}
    for line in _command(environment, "messages", "--json").splitlines():
        state = json.loads(line)["status"]
        states[state] = states.get(state, 0) + 1
    return states


if __name__ == "__main__":
    sys.exit(main())
