"""The sender with a centre: what is sent, what is in doubt, what comes back, and what ends a link."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clinic_dispatch_plugin.api import (
    Accepted,
    AccountError,
    ConnectionFailed,
    Content,
    DeliveryReport,
    HearsReports,
    NotSent,
    OutgoingMessage,
    Refused,
    ReportStatus,
    SendResult,
    SentMessage,
    Uncertain,
)
from clinic_dispatch_plugin.simulators.smpp import (
    Mode,
    Plan,
    SmppSimulator,
    Way,
    number_for,
    plan_of,
    read_ledger,
)
from clinic_dispatch_plugin.simulators.smpp import packets as wire
from clinic_dispatch_plugin.testing.batches import ListBatch
from clinic_dispatch_sms.smpp.sender import SmppSender
from tests.email.conftest import server_context
from tests.simulators.raw_client import wait_until
from tests.smpp.making import a_message, channel_for, messages
from tests.smpp.scripted import Peer, ScriptedCentre

Senders = Callable[..., SmppSender]
Centres = Callable[..., SmppSimulator]


def collect(sender: SmppSender, *several: OutgoingMessage) -> list[SendResult]:
    """All results that came before it ended."""
    results: list[SendResult] = []
    try:
        for result in sender.send(ListBatch(several)):
            results.append(result)
    except (AccountError, ConnectionFailed):
        pass
    return results


def to(plan: Plan, number: int = 1) -> OutgoingMessage:
    """A message to a number that asks for this."""
    return a_message(number, address=number_for(plan))


def reports(sender: SmppSender, count: int) -> list[DeliveryReport]:
    """So many reports, each kept."""
    found: list[DeliveryReport] = []

    def enough() -> bool:
        found.extend(sender.reports())
        return len(found) >= count

    wait_until(enough)
    return found


def sent(message: OutgoingMessage, provider_id: str | None) -> SentMessage:
    """The message as it is asked about."""
    return SentMessage(
        attempt_id=message.attempt_id,
        attempt_key=message.attempt_key,
        provider_id=provider_id,
        address=message.address,
        opened_at=datetime.now(UTC),
    )


# Answers


def test_a_window_is_full_and_never_more(sender_for: Senders, start_centre: Centres) -> None:
    centre = start_centre(latency=0.05, window=4)
    sender = sender_for(centre.url, "window=4")
    results = collect(sender, *messages(20))
    assert [type(each) for each in results] == [Accepted] * 20
    assert centre.counters.throttled == 0
    sender = sender_for(centre.url, "window=8&throttle=0.1")
    collect(sender, *messages(8))
    assert centre.counters.throttled > 0, "the window is used"


@pytest.mark.parametrize(
    ("status", "code"),
    [(0x0B, "0x0000000B"), (0x14, "0x00000014"), (0x411, "0x00000411"), (0xFF, "0x000000FF")],
)
def test_a_refusal_is_the_centres_status(
    sender_for: Senders, start_centre: Centres, status: int, code: str
) -> None:
    sender = sender_for(start_centre().url)
    odd = to(Plan(status=status))
    refused, accepted = collect(sender, odd, a_message(2))
    assert isinstance(refused, Refused) and isinstance(accepted, Accepted)
    assert (refused.answer.system, refused.answer.code) == ("smpp", code)
    assert (refused.retryable, refused.retry_after) == (None, None)


def test_too_fast_is_waited_for_and_sent_once(
    sender_for: Senders, start_centre: Centres, tmp_path: Path
) -> None:
    sender = sender_for(start_centre(throttle_times=1).url)
    begun = time.monotonic()
    results = collect(sender, to(Plan(way=Way.THROTTLED)), a_message(2))
    assert [type(each) for each in results] == [Accepted, Accepted]
    assert time.monotonic() - begun >= 1.0
    assert len(read_ledger(tmp_path / "ledger")) == 2


def test_too_fast_for_too_long_is_given_back(sender_for: Senders, start_centre: Centres) -> None:
    sender = sender_for(start_centre(throttle_times=99).url, "throttle=0.5")
    (result,) = collect(sender, to(Plan(way=Way.THROTTLED)))
    assert isinstance(result, Refused)
    assert (result.answer.code, result.retryable) == ("0x00000058", True)
    assert result.retry_after is not None and result.retry_after >= 1.0


def test_an_answer_without_an_id_is_an_acceptance(
    sender_for: Senders, start_centre: Centres
) -> None:
    (result,) = collect(sender_for(start_centre().url), to(Plan(way=Way.NO_ID)))
    assert isinstance(result, Accepted)
    assert result.provider_id is None


@pytest.mark.parametrize("way", [Way.RUBBISH, Way.NOISE, Way.CUT_AFTER, Way.LOST_ANSWER])
def test_no_good_answer_leaves_it_uncertain_until_its_receipt(
    sender_for: Senders, start_centre: Centres, tmp_path: Path, way: Way
) -> None:
    sender = sender_for(start_centre(receipt_after=0.3).url, "timeout=0.5")
    odd, other = to(Plan(way=way)), a_message(2)
    first, second = collect(sender, other), collect(sender, odd)
    assert isinstance(first[0], Accepted)
    assert isinstance(second[0], Uncertain)
    assert second[0].provider_id is not None and second[0].provider_id.startswith("ref-")
    third = collect(sender, a_message(3)) or collect(sender, a_message(3))
    assert isinstance(third[0], Accepted), "it goes on"
    found = {each.attempt_key: each for each in reports(sender, 3)}
    assert found[odd.attempt_key].status is ReportStatus.DELIVERED
    assert [each.destination for each in read_ledger(tmp_path / "ledger")].count(
        odd.address.removeprefix("+")
    ) == 1


def test_one_silence_among_answers_costs_one_message(
    sender_for: Senders, start_centre: Centres
) -> None:
    centre = start_centre()
    sender = sender_for(centre.url, "timeout=0.6&rate=40")
    several = [a_message(number) for number in range(1, 50)]
    several[3] = to(Plan(way=Way.SILENT), 4)
    results = collect(sender, *several)
    doubted = [each for each in results if not isinstance(each, Accepted)]
    assert [each.attempt_id for each in doubted] == [4]
    assert isinstance(doubted[0], Uncertain)
    assert centre.counters.binds == 1, "the link stays"


def test_an_answer_after_all_is_reported(sender_for: Senders, start_centre: Centres) -> None:
    sender = sender_for(start_centre(slow_seconds=1.0).url, "timeout=0.4&rate=20&receipts=off")
    slow = to(Plan(way=Way.SLOW))
    results = collect(sender, slow, *[a_message(number) for number in range(2, 30)])
    assert [each.attempt_id for each in results if isinstance(each, Uncertain)] == [1]
    (report,) = reports(sender, 1)
    assert (report.status, report.attempt_key) == (ReportStatus.ACCEPTED, slow.attempt_key)
    assert report.provider_id


def test_what_cannot_be_written_is_refused_and_the_rest_goes(
    sender_for: Senders, start_centre: Centres
) -> None:
    sender = sender_for(start_centre().url)
    odd = a_message(1, address="+" + "9" * 30)
    results = {each.attempt_id: each for each in collect(sender, odd, a_message(2))}
    assert isinstance(results[1], Refused) and results[1].answer.code == "harmful"
    assert isinstance(results[2], Accepted)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_a_centre_says_every_message_has_one_true_result(
    sender_for: Senders, seed: int
) -> None:
    dice = random.Random(seed)
    taken = []

    def babble(peer: Peer) -> None:
        peer.let_in()
        for _ in range(dice.randrange(1, 6)):
            pdu = peer.hear_among_others(wire.SUBMIT_SM)
            taken.append(pdu)
            body, sequence = dice.randbytes(dice.randrange(0, 40)), pdu.sequence
            command = dice.choice([wire.SUBMIT_SM, wire.DELIVER_SM, wire.ENQUIRE_LINK, 0, 0x102])
            status = dice.choice([0, 0, 0x58, 0x14, dice.getrandbits(32)])
            peer.say(command | dice.choice([0, wire.RESPONSE]), sequence, body, status=status)
        peer.say_bytes(dice.randbytes(dice.randrange(0, 60)))

    with ScriptedCentre(babble) as centre:
        sender = sender_for(centre.url, "timeout=0.3&throttle=0.1&window=3")
        results = collect(sender, *messages(8))
        list(sender.reports())
        sender.close()
    assert len({each.attempt_id for each in results}) == len(results)
    assert len(taken) >= sum(isinstance(each, Accepted | Refused) for each in results)


# The link


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (0x0D, AccountError),
        (0x0E, AccountError),
        (0x0F, AccountError),
        (0x05, ConnectionFailed),
        (0x08, ConnectionFailed),
        (0x499, ConnectionFailed),
    ],
)
def test_a_refused_bind_stops_the_account_only_where_a_person_is_needed(
    status: int, kind: type[Exception]
) -> None:
    def refuse(peer: Peer) -> None:
        peer.answer(peer.hear(wire.BIND_TRANSCEIVER), status=status)
        peer.wait_for_the_end()

    with ScriptedCentre(refuse) as centre:
        channel, account = channel_for(centre.url)
        with pytest.raises(kind) as caught:
            channel.connect(account)
        assert f"0x{status:08X}" in str(caught.value)
        assert "canary" not in str(caught.value)


def test_a_wrong_password_is_found_before_a_text_is_taken(
    sender_for: Senders, start_centre: Centres
) -> None:
    centre = start_centre()
    centre.switch(Mode.WRONG_PASSWORD)
    sender, batch = sender_for(centre.url), ListBatch(messages(5))
    with pytest.raises(AccountError):
        list(sender.send(batch))
    assert batch.taken == []


def test_nobody_listens(sender_for: Senders) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        list(sender_for("smpp://a:b@127.0.0.1:1").send(ListBatch(messages(1))))
    assert caught.value.answer.code == "connect_failed"


def test_ten_outstanding_when_the_link_is_lost_are_settled_by_their_receipts(
    sender_for: Senders, start_centre: Centres, tmp_path: Path
) -> None:
    centre = start_centre(latency=30.0, receipt_after=0.3)
    sender, results = sender_for(centre.url, "window=10"), []
    several = messages(40)

    def work() -> None:
        results.extend(collect(sender, *several))

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: centre.counters.taken == 10)
    centre.cut_links()
    thread.join(20)
    doubted = [each for each in results if isinstance(each, Uncertain)]
    assert len(doubted) == len(results) == 10, "no more than the window, and the others untaken"
    asked = [sent(several[each.attempt_id - 1], each.provider_id) for each in doubted]
    # Another process asks later: it knows nothing but what was kept.
    later = sender_for(centre.url)
    found: dict[str | None, ReportStatus] = {}
    for _ in range(20):
        found.update({each.attempt_key: each.status for each in later.check(asked)})
        if len(found) == 10:
            break
    assert set(found.values()) == {ReportStatus.DELIVERED}
    assert {each.attempt_key for each in asked} == set(found)
    assert len(read_ledger(tmp_path / "ledger")) == 10


def test_bytes_that_did_not_leave_were_not_sent(sender_for: Senders) -> None:
    enough = threading.Event()

    def read_nothing(peer: Peer) -> None:
        peer.let_in()
        enough.wait(20)

    whole_sms = Content(text="Bis Montag! " * 2_500)
    with ScriptedCentre(read_nothing, buffer=4_096) as centre:
        sender = sender_for(centre.url, "window=1000&long=payload&timeout=20")
        batch = ListBatch([a_message(each, content=whole_sms) for each in range(1, 1_000)])
        results: list[SendResult] = []

        def work() -> None:
            with contextlib.suppress(ConnectionFailed):
                for each in sender.send(batch):
                    results.append(each)

        thread = threading.Thread(target=work)
        thread.start()
        wait_until(lambda: stands_still(batch))
        enough.set()
        thread.join(20)
    assert len(results) == len(batch.taken) < 999, "no more is taken than the network takes"
    kinds = {each.attempt_id: type(each) for each in results}
    assert kinds[1] is Uncertain and kinds[len(results)] is NotSent


def stands_still(batch: ListBatch) -> bool:
    """Whether messages were taken, and no more are."""
    before = len(batch.taken)
    time.sleep(0.2)
    return 0 < before == len(batch.taken)


def test_a_dead_link_is_found_before_anything_is_entrusted_to_it(sender_for: Senders) -> None:
    def fall_silent(peer: Peer) -> None:
        peer.let_in()
        peer.take()
        peer.hear(wire.ENQUIRE_LINK)
        peer.wait_for_the_end()

    def go_on(peer: Peer) -> None:
        peer.let_in()
        peer.take(b"2")
        peer.wait_for_the_end()

    with ScriptedCentre(fall_silent, go_on) as centre:
        sender = sender_for(centre.url, "enquire=0.2&timeout=1")
        assert isinstance(collect(sender, a_message(1))[0], Accepted)
        time.sleep(0.3)
        (result,) = collect(sender, a_message(2))
        assert isinstance(result, Accepted) and result.provider_id == "2"
        sender.close()


def test_an_open_batch_keeps_the_link_alive_both_ways(sender_for: Senders) -> None:
    heard = threading.Event()

    def ask(peer: Peer) -> None:
        peer.let_in()
        peer.take()
        peer.say(wire.ENQUIRE_LINK, 77)
        assert peer.hear(wire.ENQUIRE_LINK | wire.RESPONSE).sequence == 77
        peer.answer(peer.hear(wire.ENQUIRE_LINK))
        heard.set()
        peer.wait_for_the_end()

    with ScriptedCentre(ask) as centre:
        sender = sender_for(centre.url, "enquire=0.3")
        batch = ListBatch(messages(1), closed=False)

        def close() -> None:
            heard.wait(15)
            batch.close()

        threading.Thread(target=close, daemon=True).start()
        assert [type(each) for each in sender.send(batch)] == [Accepted]
        assert heard.is_set()
        sender.close()


def test_a_goodbye_of_the_centre_is_answered_and_a_new_link_opened(sender_for: Senders) -> None:
    left = threading.Event()

    def leave(peer: Peer) -> None:
        peer.let_in()
        peer.take()
        peer.say(wire.UNBIND, 5)
        assert peer.hear(wire.UNBIND | wire.RESPONSE).sequence == 5
        left.set()

    def go_on(peer: Peer) -> None:
        peer.let_in()
        peer.take(b"2")
        peer.wait_for_the_end()

    with ScriptedCentre(leave, go_on) as centre:
        sender = sender_for(centre.url)
        assert isinstance(collect(sender, a_message(1))[0], Accepted)
        wait_until(lambda: not list(sender.reports()) and left.is_set())
        assert isinstance(collect(sender, a_message(2))[0], Accepted)
        sender.close()


def test_what_was_taken_before_a_goodbye_is_still_answered(sender_for: Senders) -> None:
    def leave(peer: Peer) -> None:
        peer.let_in()
        pdu = peer.hear(wire.SUBMIT_SM)
        peer.say(wire.UNBIND, 5)
        peer.hear(wire.UNBIND | wire.RESPONSE)
        peer.answer(pdu, b"1\0")

    with ScriptedCentre(leave) as centre:
        assert isinstance(collect(sender_for(centre.url), a_message(1))[0], Accepted)


def test_the_end_is_said(sender_for: Senders) -> None:
    said = threading.Event()

    def listen(peer: Peer) -> None:
        peer.let_in()
        peer.answer(peer.hear(wire.UNBIND))
        said.set()

    with ScriptedCentre(listen) as centre:
        channel, account = channel_for(centre.url)
        channel.connect(account)
        assert said.wait(10)


def test_tls_and_a_certificate_that_is_not_the_right_one(
    sender_for: Senders, start_centre: Centres, certificate: Path
) -> None:
    url = start_centre(tls=server_context(certificate)).url
    sender = sender_for(url, f"tls=on&ca_file={certificate}")
    assert isinstance(collect(sender, a_message())[0], Accepted)
    assert [each.status for each in reports(sender, 1)] == [ReportStatus.DELIVERED]
    with pytest.raises(AccountError) as caught:
        list(sender_for(url, "tls=on").send(ListBatch(messages(1))))
    assert caught.value.answer.code == "tls_failed"


# Receipts


@pytest.mark.parametrize(
    "way",
    [
        Way.TWICE,
        Way.DISORDERED,
        Way.EARLY,
        Way.HEX_ID,
        Way.ODD_WORDS,
        Way.TLV_ONLY,
        Way.WORDS_ONLY,
        Way.NO_ID,
    ],
)
def test_a_receipt_finds_its_attempt_however_it_comes(
    sender_for: Senders, start_centre: Centres, way: Way
) -> None:
    sender = sender_for(start_centre(receipt_after=0.1).url)
    message = to(Plan(way=way))
    (result,) = collect(sender, message)
    assert isinstance(result, Accepted)
    count = 2 if way in (Way.TWICE, Way.DISORDERED) else 1
    for report in reports(sender, count):
        assert report.status is ReportStatus.DELIVERED
        assert report.attempt_key == message.attempt_key


def test_a_failure_is_explained(sender_for: Senders, start_centre: Centres) -> None:
    sender = sender_for(start_centre().url, "errors=common")
    collect(sender, to(plan_of("receipt UNDELIV 034")))
    (report,) = reports(sender, 1)
    assert report.status is ReportStatus.FAILED
    assert report.answer is not None
    assert (report.answer.system, report.answer.code) == ("smpp_err", "034")


def test_a_receipt_nobody_kept_is_brought_again(sender_for: Senders, start_centre: Centres) -> None:
    centre = start_centre()
    first = sender_for(centre.url)
    assert isinstance(first, HearsReports)
    message = a_message()
    collect(first, message)
    wait_until(lambda: centre.counters.receipts == 1)
    stream = first.reports()
    assert next(stream).attempt_key == message.attempt_key
    stream.close()  # it was not stored
    assert centre.counters.receipts_kept == 0
    first.close()
    second = sender_for(centre.url)
    found = list(second.check([sent(message, "1000000001")]))
    assert [each.status for each in found] == [ReportStatus.DELIVERED]
    wait_until(lambda: centre.counters.receipts_kept == 1)


def test_receipts_that_come_while_asking_about_others_are_kept_for_later(
    sender_for: Senders, start_centre: Centres
) -> None:
    sender = sender_for(start_centre().url)
    first, second = messages(2)
    collect(sender, first, second)
    list(sender.check([sent(second, "1000000002")]))
    assert {each.attempt_key for each in reports(sender, 1)} == {first.attempt_key}


def test_the_centre_is_asked_about_what_has_no_receipt(
    sender_for: Senders, start_centre: Centres
) -> None:
    centre = start_centre()
    sender = sender_for(centre.url)
    several = [to(Plan(way=Way.NO_RECEIPT)), *messages(3)[1:]]
    ids = [each.provider_id for each in collect(sender, *several) if isinstance(each, Accepted)]
    asked = [sent(message, each) for message, each in zip(several, ids, strict=True)]
    unknown = replace(asked[0], attempt_id=9, attempt_key="nobody", provider_id="4711")
    found = list(sender_for(centre.url).check([*asked, unknown]))
    assert {each.attempt_key for each in found} == {each.attempt_key for each in asked}
    assert {each.status for each in found} == {ReportStatus.DELIVERED}


def test_a_centre_that_knows_no_questions_is_not_asked_twice(sender_for: Senders) -> None:
    asked = []

    def refuse(peer: Peer) -> None:
        peer.let_in()
        while True:
            pdu = peer.hear(wire.QUERY_SM)
            asked.append(pdu)
            peer.say(wire.GENERIC_NACK, pdu.sequence, status=0x03)

    def script(peer: Peer) -> None:
        try:
            refuse(peer)
        except AssertionError:
            peer.wait_for_the_end()

    with ScriptedCentre(script) as centre:
        sender = sender_for(centre.url, "window=2")
        assert list(sender.check([sent(each, f"{each.attempt_id}") for each in messages(30)])) == []
        sender.close()
    assert len(asked) <= 4
