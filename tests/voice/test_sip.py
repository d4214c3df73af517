"""Calls by SIP: who answers, who presses what, who hangs up, and what every answer of the exchange means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clinic_dispatch_plugin.api import (
    Accepted,
    AccountError,
    Answer,
    ChannelError,
    ConfigurationError,
    ConnectionFailed,
    DeliveryReport,
    HearsReports,
    OutgoingMessage,
    Refused,
    ReportStatus,
    Sender,
    SendResult,
    Uncertain,
)
from clinic_dispatch_plugin.error_reference.policy import PolicyAction, policy_of
from clinic_dispatch_plugin.simulators.sip import (
    ExchangeSettings,
    Mode,
    Plan,
    SipSimulator,
    Way,
    number_for,
)
from clinic_dispatch_plugin.testing import ListBatch, make_message
from clinic_dispatch_plugin.testing.judgement import explained
from clinic_dispatch_sms import clinic_dispatch_reference_packs as packs_of_sms
from clinic_dispatch_voice import clinic_dispatch_reference_packs
from clinic_dispatch_voice.channel import VoiceChannel
from clinic_dispatch_voice.exchange.lines import NumberBusyError, hold
from clinic_dispatch_voice.settings import URL, load_accounts
from tests.email.conftest import certificate as certificate
from tests.email.conftest import server_context
from tests.simulators.raw_client import wait_until
from tests.voice.exchange import account_at, recording

PACKS = [*clinic_dispatch_reference_packs(), *packs_of_sms()]
TRANSPORTS = ["udp", "tcp"]


@dataclass
class Place:
    """One exchange, and where recordings and notes go."""

    exchange: SipSimulator
    folder: Path
    sound: Path
    #: Options that say whose certificates count.
    trust: dict[str, str] = field(default_factory=dict)
    prefixes: Iterator[int] = field(default_factory=lambda: iter(range(100_000, 999_999)))

    def number(self, plan: Plan) -> str:
        return number_for(plan, prefix=f"+49{next(self.prefixes)}")

    @contextmanager
    def sender(self, **options: str) -> Iterator[Sender]:
        options = {"folder": str(self.folder), "keys": "off", **self.trust, **options}
        account = account_at(self.exchange, self.sound, **options)
        with VoiceChannel([account]).open(account) as sender:
            yield sender

    def call(
        self, *plans: Plan, **options: str
    ) -> tuple[list[SendResult], list[DeliveryReport], list[OutgoingMessage]]:
        """What became of one call with each plan, in their order."""
        messages = [make_message(self.number(plan)) for plan in plans]
        with self.sender(**options) as sender:
            found = {each.attempt_id: each for each in sender.send(ListBatch(messages))}
            assert isinstance(sender, HearsReports)
            reports = list(sender.reports())
        return [found[message.attempt_id] for message in messages], reports, messages


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("exchange")
    settings = ExchangeSettings(
        user="clinic", password="se/cret", ring_seconds=0.0, press_after=0.15, retry_after=7
    )
    with SipSimulator(settings) as exchange:
        yield Place(exchange, folder, recording(folder, 0.3))


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[Place]:
    """Give an exchange that is only spoken to with TLS."""
    folder = tmp_path_factory.mktemp("secure")
    settings = ExchangeSettings(
        user="clinic",
        password="se/cret",
        tls=server_context(certificate),
        ring_seconds=0.0,
        press_after=0.15,
    )
    with SipSimulator(settings) as exchange:
        trust = {"ca_file": str(certificate)}
        yield Place(exchange, folder, recording(folder, 0.3), trust)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_who_listens_to_the_end_was_told(place: Place, transport: str) -> None:
    (result,), (report,), (message,) = place.call(Plan(), transport=transport)
    assert isinstance(result, Accepted)
    assert report.status is ReportStatus.DELIVERED
    assert report.attempt_key == result.provider_id == message.attempt_key
    assert report.details == {"seconds": "0", "heard": "whole"}
    call = place.exchange.calls[-1]
    assert call.call_id == message.attempt_key
    assert call.ended_by == "caller"
    assert "+493012345678" in call.sender
    assert call.loud >= 0.2, "the recording came through as sound"


@pytest.mark.parametrize("way", [Way.KEY_2, Way.KEY_2_INFO, Way.MOVES])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_key_2_confirms_however_it_comes(place: Place, way: Way, transport: str) -> None:
    (result,), (report,), _ = place.call(Plan(way=way), transport=transport)
    assert isinstance(result, Accepted)
    assert report.details["state"] == "confirmed"
    assert report.details["key"] == "2"


def test_key_1_says_the_message_again(tmp_path: Path) -> None:
    # Long enough that a busy machine may be half a second late with the sound, or with the key.
    settings = ExchangeSettings(
        user="clinic", password="se/cret", ring_seconds=0.0, press_after=0.9
    )
    with SipSimulator(settings) as exchange:
        place = Place(exchange, tmp_path, recording(tmp_path, 1.5))
        (result,), (report,), _ = place.call(Plan(way=Way.KEY_1), repeat="1")
        assert isinstance(result, Accepted)
        assert "state" not in report.details
        assert exchange.calls[-1].loud >= 2.0, "the first time up to the key, and once more"


def test_who_presses_nothing_hears_it_as_often_as_is_set(place: Place) -> None:
    place.call(Plan(), repeat="3")
    assert place.exchange.calls[-1].heard >= 0.85


def test_who_hangs_up_at_once_was_not_told(place: Place) -> None:
    (result,), reports, _ = place.call(Plan(way=Way.HANGS_UP))
    assert isinstance(result, Refused)
    assert (result.answer.system, result.answer.code) == ("call", "hung_up_early")
    assert "cause=16" in result.answer.text
    assert not reports


def test_a_machine_is_called_again_where_that_is_wanted(place: Place) -> None:
    results, _, _ = place.call(Plan(way=Way.MACHINE), Plan(), machine="again", calls="2")
    machine, person = results
    assert isinstance(machine, Refused)
    assert (machine.answer.system, machine.answer.code) == ("call", "machine")
    assert isinstance(person, Accepted), "a short greeting is a person's"


REFUSALS = [
    (Plan(status=404), "sip", "404"),
    (Plan(status=480), "sip", "480"),
    (Plan(status=486), "sip", "486"),
    (Plan(status=503), "sip", "503"),
    (Plan(status=603), "sip", "603"),
    (Plan(status=408), "sip", "408"),
    (Plan(status=302), "sip", "302"),
    (Plan(status=499), "sip", "499"),
    (Plan(cause=17, status=503), "q850", "17"),
    (Plan(cause=1, status=503), "q850", "1"),
    (Plan(way=Way.ANNOUNCED), "sip", "404"),
    (Plan(way=Way.NO_SOUND), "sip", "488"),
]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_answer_of_the_exchange_has_its_note(place: Place, transport: str) -> None:
    plans = [plan for plan, _, _ in REFUSALS]
    results, _, _ = place.call(*plans, transport=transport, calls="12")
    for result, (_, system, code) in zip(results, REFUSALS, strict=True):
        assert isinstance(result, Refused), code
        assert (result.answer.system, result.answer.code) == (system, code)
        entry = explained(result.answer, PACKS).entry
        assert entry is not None and entry.text("short", "de"), code


@pytest.mark.parametrize(
    ("system", "code", "cause"),
    [
        ("sip", "486", "busy"),
        ("sip", "600", "busy"),
        ("sip", "487", "no_answer"),
        ("q850", "17", "busy"),
        ("q850", "19", "no_answer"),
        ("asterisk", "DIALSTATUS:BUSY", "busy"),
        ("asterisk", "DIALSTATUS:NOANSWER", "no_answer"),
        ("call", "machine", "no_answer"),
    ],
)
def test_whoever_was_busy_or_did_not_answer_is_called_again(
    system: str, code: str, cause: str
) -> None:
    entry = explained(Answer(system=system, code=code), PACKS).entry
    assert entry is not None and entry.content["category"] == cause
    policy = policy_of(entry.content)
    assert (policy.action, policy.tries) == (PolicyAction.RETRY, 3)


def test_the_exchange_says_when_to_come_again(place: Place) -> None:
    (result,), _, _ = place.call(Plan(status=503))
    assert isinstance(result, Refused)
    assert result.retry_after == 7


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_ringing_is_taken_back_when_nobody_answers(place: Place, transport: str) -> None:
    (result,), _, _ = place.call(Plan(way=Way.RINGS), ring="0.3", transport=transport)
    assert isinstance(result, Refused)
    assert (result.answer.system, result.answer.code) == ("sip", "487")
    assert "0.3 s" in result.answer.text
    assert place.exchange.calls[-1].ended_by == "caller"


@pytest.mark.parametrize("way", [Way.CUT, Way.RUBBISH])
def test_a_connection_that_ends_or_says_nothing_of_use_leaves_it_uncertain(
    place: Place, way: Way
) -> None:
    (result,), _, _ = place.call(Plan(way=way), transport="tcp", timeout="0.5")
    assert isinstance(result, Uncertain)
    assert explained(result.answer, PACKS).entry is not None


# -- with TLS ----------------------------------------------------------------------------------------


def test_with_tls_calls_go_the_same_way(secure: Place) -> None:
    plans = [
        Plan(),
        Plan(way=Way.KEY_2),
        Plan(way=Way.MOVES),
        Plan(status=486),
        Plan(way=Way.RINGS),
        Plan(way=Way.CUT),
        Plan(way=Way.RUBBISH),
    ]
    results, reports, messages = secure.call(*plans, calls="7", ring="0.6", timeout="1")
    told, confirmed, moved, busy, rang, cut, rubbish = results
    assert {type(each) for each in (told, confirmed, moved)} == {Accepted}
    confirmations = {each.attempt_key for each in reports if "state" in each.details}
    assert confirmations == {messages[1].attempt_key, messages[2].attempt_key}
    assert isinstance(busy, Refused) and busy.answer.code == "486"
    assert isinstance(rang, Refused) and rang.answer.code == "487"
    for doubtful in (cut, rubbish):
        assert isinstance(doubtful, Uncertain)
        assert explained(doubtful.answer, PACKS).entry is not None
    by_key = {each.call_id: each for each in secure.exchange.calls}
    assert by_key[messages[0].attempt_key].loud >= 0.2, "the recording came through as sound"
    assert by_key[messages[4].attempt_key].ended_by == "caller"
    assert {each.sender.partition(":")[0] for each in by_key.values()} == {"<sips"}


def test_with_tls_the_doctor_signs_in_and_a_certificate_of_nobodys_stops_the_account(
    secure: Place,
) -> None:
    account = account_at(secure.exchange, secure.sound, **secure.trust)
    VoiceChannel([account]).connect(account)
    before = list(secure.exchange.requests)
    account = account_at(secure.exchange, secure.sound, folder=str(secure.folder))
    channel = VoiceChannel([account])
    message = make_message(secure.number(Plan()))
    with channel.open(account) as sender, pytest.raises(AccountError) as caught:
        list(sender.send(ListBatch([message])))
    assert caught.value.answer.code == "tls_failed"
    assert secure.exchange.requests == before, "not a word was said to it"


def test_where_tls_is_due_plain_words_are_a_failed_connection(place: Place) -> None:
    plain = f"sips://clinic:x@127.0.0.1:{place.exchange.port}/?sender=123&timeout=0.5"
    (account,) = load_accounts({URL: f"{plain}&recording={place.sound}"})
    with pytest.raises(ConnectionFailed) as caught:
        VoiceChannel([account]).connect(account)
    assert explained(caught.value.answer, PACKS).entry is not None


# -- doubt -------------------------------------------------------------------------------------------


def test_a_call_in_doubt_is_not_made_again_for_ten_minutes(place: Place) -> None:
    messages = [make_message(place.number(Plan(way=Way.DEAF)))] * 2
    with place.sender(ring="0.2", timeout="0.3") as sender:
        (first,) = sender.send(ListBatch(messages[:1]))
        (second,) = sender.send(ListBatch(messages[1:]))
    assert isinstance(first, Uncertain)
    assert first.answer.code == "timeout"
    assert isinstance(second, Refused) and second.retryable
    assert second.answer.code == "may_have_rung"
    assert 500 < (second.retry_after or 0) <= 600


def test_never_two_calls_at_once_to_a_number(place: Place) -> None:
    number = place.number(Plan(way=Way.SLOW))
    with hold(number, str(place.folder)), place.sender() as sender:
        (result,) = sender.send(ListBatch([make_message(number)]))
    assert isinstance(result, Refused) and result.retryable
    assert result.answer.code == "being_called"
    assert _held(number, place) is None, "afterwards it may be called"
    numbers = [each for each in place.folder.iterdir() if each.suffix != ".wav"]
    assert all(each.stat().st_size for each in numbers), "only numbers in doubt stay written down"


def _held(number: str, place: Place) -> NumberBusyError | None:
    try:
        with hold(number, str(place.folder)):
            return None
    except NumberBusyError as busy:
        return busy


def test_a_password_that_is_too_old_is_given_anew(place: Place) -> None:
    (result,), _, _ = place.call(Plan(way=Way.STALE))
    assert isinstance(result, Accepted)


def test_an_exchange_that_is_not_there_took_nothing(place: Place) -> None:
    with SipSimulator() as gone:
        account = account_at(gone, place.sound, folder=str(place.folder), keys="off")
    other = account_at(gone, place.sound, folder=str(place.folder), transport="tcp")
    for each in (account, other):
        with VoiceChannel([each]).open(each) as sender, pytest.raises(ConnectionFailed):
            list(sender.send(ListBatch([make_message("+4930123")])))


def test_a_call_that_is_broken_off_does_not_ring_on(place: Place) -> None:
    message = make_message(place.number(Plan(way=Way.RINGS)))
    with place.sender() as sender:
        sending = sender.send(ListBatch([message, make_message(place.number(Plan()))]))
        next(iter(sending))
        sending.close()  # type: ignore[attr-defined]
    ringing = next(each for each in place.exchange.calls if each.call_id == message.attempt_key)
    wait_until(lambda: ringing.ended_by == "caller")


# -- the doctor and the settings ---------------------------------------------------------------------


@pytest.mark.parametrize(("algorithms", "challenge"), [(("SHA-256", "MD5"), 407), (("MD5",), 401)])
def test_the_doctor_signs_in_and_calls_nobody(
    place: Place, algorithms: tuple[str, ...], challenge: int
) -> None:
    settings = ExchangeSettings(
        user="clinic", password="right", algorithms=algorithms, challenge=challenge
    )
    with SipSimulator(settings) as exchange:
        account = account_at(exchange, place.sound)
        VoiceChannel([account]).connect(account)
        assert exchange.requests == ["OPTIONS", "OPTIONS"]
        exchange.switch(Mode.WRONG_PASSWORD)
        with pytest.raises(AccountError) as caught:
            VoiceChannel([account]).connect(account)
        assert caught.value.answer.code == str(challenge)
        exchange.switch(Mode.BROKEN)
        with pytest.raises(ConnectionFailed) as broken:
            VoiceChannel([account]).connect(account)
        assert "503" in broken.value.answer.text
        exchange.switch(Mode.MUTE)
        account = account_at(exchange, place.sound, timeout="0.2")
        with pytest.raises(ConnectionFailed):
            VoiceChannel([account]).connect(account)


def test_where_nothing_can_speak_the_doctor_says_so_and_nobody_is_called(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(place.folder))
    account = account_at(place.exchange, folder=str(place.folder))
    channel, before = VoiceChannel([account]), len(place.exchange.calls)
    with pytest.raises(ChannelError) as caught:
        channel.connect(account)
    entry = explained(caught.value.answer, PACKS).entry
    assert entry is not None and "espeak-ng" in entry.text("what_helps", "de")
    batch = ListBatch([make_message(place.number(Plan()))])
    with channel.open(account) as sender, pytest.raises(AccountError):
        list(sender.send(batch))
    assert batch.taken == []
    assert len(place.exchange.calls) == before


@pytest.mark.parametrize(
    "url",
    [
        "sip://host/",
        "sip:///?sender=123",
        "sip://host/?sender=Klinik",
        "sip://host/?sender=123&transport=carrier",
        "sip://host/?sender=123&recording=/nowhere.wav",
        "sip://host/?sender=123&rtp_ports=9000",
        "sip://host/?sender=123&rtp_host=host",
        "sip://us%20er:x@host/?sender=123",
        "sips://host/?sender=123&transport=udp",
    ],
)
def test_a_wrong_setting_is_named_before_anybody_is_called(url: str) -> None:
    with pytest.raises(ConfigurationError):
        load_accounts({URL: url})
