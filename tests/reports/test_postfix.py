"""A real relay takes our mail, cannot deliver it and writes back; its own report finds the message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clinic_dispatch_plugin.engine.pump import pump
from clinic_dispatch_plugin.host.types import Recipient
from clinic_dispatch_plugin.reports.service import take
from tests.clinic.full import EMAIL
from tests.clinic.host import make_clinic
from tests.clinic.mailbag import Mailbag
from tests.reports.conftest import Post
from tests.servers import postfix
from tests.servers.found import require
from tests.servers.postfix import Postfix

#: Who begins with "unknown" is taken and fails in the mailbox; mail to full.example is put off until it is given up.
SETTINGS = {
    "smtpd_reject_unlisted_recipient": "no",
    "transport_maps": "inline:{ {full.example = retry:4.2.2 mailbox is full} }",
    "maximal_queue_lifetime": "0",
}

pytestmark = pytest.mark.postfix


@pytest.fixture(scope="module")
def relay() -> Iterator[Postfix]:
    with postfix.running(require(postfix.find()), settings=SETTINGS, sends_reports=True) as server:
        yield server


def clinic(folder: Path, relay: Postfix, options: str) -> Post:
    config = {**EMAIL, "CLINIC_DISPATCH_EMAIL_URL": f"{relay.url}{options}"}
    made = make_clinic(folder, config=config)
    return Post(clinic=made, bag=Mailbag(made.dispatch))


def sent(post: Post, address: str) -> int:
    message_id = post.bag.message(
        post.bag.mailing(purpose="service"), "queued", address=address, ref="p1"
    )
    post.clinic.host.patients["p1"] = Recipient(
        ref="p1", name="Anna Berg", addresses={"email": address}
    )
    pump(post.dispatch)
    assert post.message(message_id)["state"] == "sent"
    return message_id


def raw_of(relay: Postfix) -> bytes:
    """The one mail in the mailbox, byte for byte."""
    (path,) = relay.mail_folder.glob("everybody/new/*")
    return path.read_bytes()


@pytest.mark.parametrize("verp", [True, False], ids=["with VERP", "without VERP"])
@pytest.mark.parametrize("dsn", ["on", "off"], ids=["DSN", "no DSN"])
def test_the_relays_own_report_finds_its_message(
    relay: Postfix, tmp_path: Path, verp: bool, dsn: str
) -> None:
    relay.empty_mailboxes()
    post = clinic(tmp_path, relay, f"?dsn={dsn}" + ("&verp=bounces.example" if verp else ""))
    message_id = sent(post, "unknown.anna@gone.example")
    sender = "praxis@clinic.example"
    if verp:
        sender = f"praxis+{post.message(message_id)['key']}@bounces.example"
    relay.wait_for_mail(sender)
    result = take(post.dispatch, raw_of(relay), source="mailbox", by="")
    (said,) = result.recipients
    assert (said.said.address, said.said.code) == ("unknown.anna@gone.example", "5.1.1")
    assert result.message_id == message_id
    assert post.message(message_id)["state"] == "undelivered"
    assert bool(result.read.clues.envelope_ids) == (dsn == "on")
    assert bool(result.read.clues.sender_keys) == verp
    post.dispatch.database.dispose()


def test_a_full_mailbox_comes_back_when_the_relay_gives_up(relay: Postfix, tmp_path: Path) -> None:
    relay.empty_mailboxes()
    post = clinic(tmp_path, relay, "")
    message_id = sent(post, "anna@full.example")
    relay.wait_for_mail("praxis@clinic.example")
    result = take(post.dispatch, raw_of(relay), source="mailbox", by="")
    entry = result.recipients[0].explanation.entry
    assert entry is not None
    assert entry.category == "recipient_full"
    assert post.message(message_id)["state"] == "undelivered"
    assert post.blocks() == []
    post.dispatch.database.dispose()
