"""A clinic that runs plain ``rq worker`` processes already: they send our mailings, too."""

from __future__ import annotations

import sys
from pathlib import Path

from clinic_dispatch_plugin.queue.names import queue_names
from clinic_dispatch_plugin.simulators.smtp import SmtpSimulator
from tests.cli.programs import FLASK, Shell, wait_until


def test_a_plain_rq_worker_sends_a_mailing(tmp_path: Path, redis_url: str) -> None:
    (tmp_path / "text.txt").write_text("Guten Tag {{ name }}")
    (tmp_path / "list.csv").write_text("email,name\nanna@example.org,Anna\nbert@example.org,Bert\n")
    with SmtpSimulator() as relay:
        shell = Shell(
            tmp_path,
            {
                "FLASK_APP": "clinic_dispatch_plugin.demo",
                "CLINIC_DISPATCH_DATA_DIR": str(tmp_path / "state"),
                "CLINIC_DISPATCH_REDIS_URL": redis_url,
                "CLINIC_DISPATCH_EMAIL_URL": relay.url,
                "CLINIC_DISPATCH_EMAIL_FROM": "praxis@clinic.example",
            },
        )
        words = ("send", "--to", "list.csv", "--text", "text.txt", "--subject", "x", "--json")
        sent = shell.run(*FLASK, "dispatch", *words)
        assert sent.status == 0, sent.err
        rq = ("rq", "worker", "--serializer", "rq.serializers.JSONSerializer", "--url", redis_url)
        program = Path(sys.executable).parent / rq[0]
        with shell.running(program, *rq[1:], *queue_names("clinic-dispatch"), name="rq"):
            wait_until(lambda: relay.counters.accepted == 2, "the plain worker sent nothing")
            done = (*FLASK, "dispatch", "messages", "--status", "sent", "--json")
            wait_until(
                lambda: len(shell.run(*done).lines) == 2, "what it sent was not written down"
            )
            doctor = shell.run(*FLASK, "dispatch", "check")
    assert doctor.status == 1
    assert "WRONG    worker" in doctor.out


def test_an_idle_plain_rq_worker_is_told_from_one_that_tends(
    tmp_path: Path, redis_url: str
) -> None:
    shell = Shell(
        tmp_path,
        {
            "FLASK_APP": "clinic_dispatch_plugin.demo",
            "CLINIC_DISPATCH_DATA_DIR": str(tmp_path / "state"),
            "CLINIC_DISPATCH_REDIS_URL": redis_url,
        },
    )
    assert shell.run(*FLASK, "dispatch", "status").status == 0
    rq = ("worker", "--serializer", "rq.serializers.JSONSerializer", "--url", redis_url)
    words = (*rq, "--name", "night-shift", *queue_names("clinic-dispatch"))
    with shell.running(Path(sys.executable).parent / "rq", *words, name="rq"):
        check = (*FLASK, "dispatch", "check")
        wait_until(
            lambda: "a plain RQ worker (night-shift) sends" in shell.run(*check).out,
            "the doctor does not see the plain worker",
        )
    assert "none was seen" in shell.run(*check).out
