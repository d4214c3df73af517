"""The mailbox bounce mails come to is read every few minutes; what was read is marked and stays."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from urllib.parse import quote

import pytest

from clinic_dispatch_plugin.engine.tender import Rounds
from clinic_dispatch_plugin.reports import mailbox
from clinic_dispatch_plugin.reports.mailbox import MailboxProblem, fetch, fetch_quietly
from clinic_dispatch_plugin.reports.service import look_again
from tests.reports.conftest import Post
from tests.reports.shapes_standard import OTHERS, STANDARD
from tests.servers.dovecot import PASSWORD, USER, Dovecot

POSTFIX = STANDARD[0].raw
ADVERTISING = OTHERS[-2].raw


def reads(post: Post, url: str) -> Post:
    """The same clinic with this mailbox configured."""
    post.dispatch.settings = dataclasses.replace(post.dispatch.settings, bounces_url=url)
    return post


def imaps(
    server: Dovecot, *, password: str = PASSWORD, folder: str = "INBOX", trusted: bool = True
) -> str:
    proof = f"?ca_file={server.certificate}" if trusted else ""
    return f"imaps://{USER}:{quote(password, safe='')}@127.0.0.1:{server.port}/{folder}{proof}"


def test_mails_of_an_imap_server_are_tied_and_marked_as_seen(office: Post, imap: Dovecot) -> None:
    reads(office, imaps(imap))
    message_id = office.sent()
    imap.deliver(office.mail(POSTFIX, message_id), name="1.report")
    imap.deliver(ADVERTISING, name="2.advertising")
    imap.deliver(POSTFIX + b"x" * 2_000_000, name="3.large")
    done = fetch(office.dispatch)
    assert (done.read, done.new, done.tied) == (3, 3, 1)
    assert office.message(message_id)["state"] == "undelivered"
    assert {row["source"] for row in office.bounces()} == {"mailbox"}
    assert all(name.endswith("S") for name in imap.names()), imap.names()
    assert len(imap.names()) == 3
    assert fetch(office.dispatch).read == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"password": "canary-4711"}, "refused"),
        ({"folder": "Nowhere"}, "refused"),
        ({"trusted": False}, "cannot be reached (SSLCertVerificationError)"),
    ],
)
def test_a_refusing_server_is_named_without_the_password(
    office: Post, imap: Dovecot, wrong: dict[str, object], said: str
) -> None:
    reads(office, imaps(imap, **wrong))  # type: ignore[arg-type]
    with pytest.raises(MailboxProblem) as error:
        fetch(office.dispatch)
    assert said in str(error.value)
    assert "canary" not in str(error.value)
    assert PASSWORD not in str(error.value)


def test_nobody_listening_is_said(office: Post, free_port: int) -> None:
    reads(office, f"imaps://u:p@127.0.0.1:{free_port}/INBOX")
    with pytest.raises(MailboxProblem, match=r"cannot be reached \(ConnectionRefusedError\)"):
        fetch(office.dispatch)


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    folder = tmp_path / "Mail dir"
    for name in ("new", "cur", "tmp"):
        (folder / name).mkdir(parents=True)
    return folder


def test_mails_of_a_maildir_are_moved_to_cur(office: Post, maildir: Path) -> None:
    reads(office, f"maildir://{quote(str(maildir))}")
    message_id = office.sent()
    (maildir / "new" / "1.report").write_bytes(office.mail(POSTFIX, message_id))
    (maildir / "new" / "2.other").write_bytes(ADVERTISING)
    assert fetch(office.dispatch).tied == 1
    assert list((maildir / "new").iterdir()) == []
    assert sorted(path.name for path in (maildir / "cur").iterdir()) == [
        "1.report:2,S",
        "2.other:2,S",
    ]
    assert office.message(message_id)["state"] == "undelivered"


def test_no_maildir_is_said(office: Post, tmp_path: Path) -> None:
    reads(office, f"maildir://{tmp_path}")
    with pytest.raises(MailboxProblem, match="needs the folders new and cur"):
        fetch(office.dispatch)


def test_a_worker_logs_a_failure_and_goes_on(
    office: Post, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fetch_quietly(office.dispatch)
    assert caplog.records == []
    reads(office, f"maildir://{tmp_path}")
    fetch_quietly(office.dispatch)
    assert "bounce mails could not be fetched" in caplog.text


def test_the_tender_fetches_every_few_minutes_and_never_waits(office: Post, maildir: Path) -> None:
    reads(office, f"maildir://{quote(str(maildir))}")
    message_id = office.sent()
    (maildir / "new" / "1.report").write_bytes(office.mail(POSTFIX, message_id))
    office.dispatch.rounds[:] = [
        each
        for each in office.dispatch.rounds
        if getattr(each[1], "func", None) in {fetch_quietly, look_again}
    ]
    rounds = Rounds(office.dispatch)
    rounds.go_on()
    assert rounds._thread is not None
    rounds._thread.join(30)
    assert office.message(message_id)["state"] == "undelivered"
    before = rounds._thread
    rounds.go_on()
    assert rounds._thread is before, "nothing is due yet"
    assert len(office.dispatch.rounds) == 2, "fetching, and looking again at what came"
    assert mailbox.TIMEOUT < 30
