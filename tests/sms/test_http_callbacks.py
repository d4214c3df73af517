"""Reports that Twilio, Infobip and Vonage call back with: genuine ones, forged ones, and nonsense."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator
from vonage_http_client.auth import Auth

from clinic_dispatch_plugin.api import (
    Accepted,
    Account,
    CallbackRefused,
    DeliveryReport,
    OutgoingMessage,
    ReportStatus,
)
from clinic_dispatch_plugin.simulators.gateways.kinds import KINDS
from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewaySettings
from clinic_dispatch_plugin.testing import ListBatch, make_message
from clinic_dispatch_plugin.testing.judgement import explained
from clinic_dispatch_sms import clinic_dispatch_reference_packs
from clinic_dispatch_sms.channel import SmsChannel
from clinic_dispatch_sms.settings import URL, load_accounts
from clinic_dispatch_sms.twilio.reports import signature as twilio_signature
from clinic_dispatch_sms.vonage.signing import signature as vonage_signature
from tests.contract.simulated import account_at
from tests.simulators.listener import Heard, Listener

PUBLIC = "https://klinik.example/dispatch/callbacks/sms/main"
SIGNING = "canary-signing"
GATEWAYS = ("twilio", "infobip", "vonage", "vonage signed", "vonage hmac")


def account_of(scheme: str, **options: str) -> Account:
    fields = {"sender": "Klinik", "callback_url": PUBLIC, **options}
    url = f"{scheme}://ACclinic:secret@/?{urlencode(fields)}"
    (account,) = load_accounts({URL: url})
    return account


def parse(account: Account, headers: Mapping[str, str], body: bytes) -> list[DeliveryReport]:
    return list(SmsChannel([account]).parse_callback(account, headers, body))


def parse_call(account: Account, call: Heard) -> list[DeliveryReport]:
    return parse(account, {**call.headers, ":path": call.path}, call.body)


@contextmanager
def reporting(which: str, listener: Listener) -> Iterator[tuple[HttpSimulator[Any], Account]]:
    """A simulator whose reports go to the listener, and the account there."""
    name, _, how = which.partition(" ")
    method = {"signed": "md5hash", "hmac": "sha256"}.get(how, "")
    simulated = GatewaySettings(
        user="ACclinic",
        password="secret",
        signature_secret=SIGNING if how else "",
        signature_method="md5" if how == "signed" else method,
    )
    options = {"signature_secret": SIGNING, "signature_method": method} if how else {}
    with HttpSimulator(KINDS[name], simulated) as simulator:
        url = f"{listener.url}/dispatch/callbacks/sms/main"
        yield (
            simulator,
            account_at(
                simulator, name, "ACclinic:secret", sender="Klinik", callback_url=url, **options
            ),
        )


@pytest.fixture(scope="module", params=GATEWAYS)
def told(request: pytest.FixtureRequest) -> Iterator[tuple[Account, Any]]:
    """An account, and a way to send a message and hear its reports."""
    with Listener() as listener, reporting(request.param, listener) as (simulator, account):
        channel = SmsChannel([account])

        def send(number: str, words: str, calls: int) -> tuple[OutgoingMessage, list[Heard]]:
            simulator.settings.plans.will(number, words)
            message = make_message(number)
            before = len(listener.calls)
            with channel.open(account) as sender:
                list(sender.send(ListBatch([message])))
            return message, listener.wait(before + calls)[before:]

        yield account, send


def failure_of(account: Account) -> str:
    name = account.label.split()[0]
    return {"twilio": "30003", "infobip": "27", "vonage": "1"}[name]


def calls_of(account: Account) -> int:
    """How many reports a message has."""
    return 1 if account.label.startswith("infobip") else 2


# -- genuine ones ------------------------------------------------------------------------------------


def test_a_report_names_the_attempt_and_its_end(told: tuple[Account, Any]) -> None:
    account, send = told
    message, calls = send("+4915112345001", "", calls_of(account))
    (report,) = parse_call(account, calls[-1])
    assert (report.status, report.attempt_key) == (ReportStatus.DELIVERED, message.attempt_key)
    assert report.provider_id


def test_a_failure_is_explained(told: tuple[Account, Any]) -> None:
    account, send = told
    _, calls = send("+4915112345002", f"fail:{failure_of(account)}", calls_of(account))
    (report,) = parse_call(account, calls[-1])
    assert report.status is ReportStatus.FAILED
    assert report.answer is not None
    assert report.answer.code == failure_of(account)
    assert explained(report.answer, clinic_dispatch_reference_packs()).described


def test_order_and_repetition_change_nothing_of_what_a_report_says(
    told: tuple[Account, Any],
) -> None:
    account, send = told
    ends = []
    for number, words in (("3", ""), ("4", "reports:twice"), ("5", "reports:reversed")):
        count = {"": calls_of(account), "reports:twice": 4, "reports:reversed": 2}[words]
        message, calls = send(f"+491511234500{number}", words, count)
        reports = [report for call in calls for report in parse_call(account, call)]
        assert {report.attempt_key for report in reports} == {message.attempt_key}
        ends.append(max(reports, key=lambda each: list(ReportStatus).index(each.status)).status)
    assert ends == [ReportStatus.DELIVERED] * 3


def test_a_report_may_come_before_the_answer(told: tuple[Account, Any]) -> None:
    account, send = told
    message, calls = send("+4915112345006", "reports:early", calls_of(account))
    assert parse_call(account, calls[-1])[0].attempt_key == message.attempt_key


def test_a_request_that_we_sign_is_let_in() -> None:
    options = {"signature_secret": SIGNING, "sender": "Klinik", "sign": "on"}
    for theirs, ours in (("md5", "md5hash"), ("sha256", "sha256")):
        simulated = GatewaySettings(
            user="key", password="unused", signature_secret=SIGNING, signature_method=theirs
        )
        with HttpSimulator(KINDS["vonage"], simulated) as simulator:
            account = account_at(simulator, "vonage", "key:other", signature_method=ours, **options)
            batch = ListBatch([make_message("+4915112345008", text="Äpfel & Birnen = Obst")])
            with SmsChannel([account]).open(account) as sender:
                assert [type(result) for result in sender.send(batch)] == [Accepted]


# -- forged ones -------------------------------------------------------------------------------------


def test_a_changed_report_is_refused(told: tuple[Account, Any]) -> None:
    account, send = told
    _, calls = send("+4915112345007", "", calls_of(account))
    call = calls[-1]
    genuine = {**call.headers, ":path": call.path}
    assert parse(account, genuine, call.body)
    if "secret=" not in call.path:  # it is signed
        assert_refused(account, genuine, call.body.replace(b"delivered", b"undelivered"))
        without = {name: value for name, value in genuine.items() if "Signature" not in name}
        fields = [(name, value) for name, value in parse_qsl(call.body.decode()) if name != "sig"]
        assert_refused(account, without, urlencode(fields).encode())
    else:
        assert_refused(account, {**genuine, ":path": call.path[:-1]}, call.body)
        assert_refused(account, {**genuine, ":path": urlsplit(call.path).path}, call.body)
    other = load_accounts({URL: _url_of(account).replace("secret@", "other@")})[0]
    if "signature_secret" not in _url_of(account):
        assert_refused(other, genuine, call.body)


def _url_of(account: Account) -> str:
    """An account like this one, as configured anew."""
    of_gateway = account.settings.of_gateway
    fields = {"sender": "Klinik", "callback_url": of_gateway.callback_url}
    if getattr(of_gateway, "signature_secret", ""):
        fields["signature_secret"] = SIGNING
    return f"{account.label.split()[0]}://ACclinic:secret@/?{urlencode(fields)}"


def assert_refused(
    account: Account, headers: Mapping[str, str], body: bytes, *, status: int = 403
) -> None:
    with pytest.raises(CallbackRefused) as caught:
        parse(account, headers, body)
    assert caught.value.status == status


def test_an_old_receipt_is_refused() -> None:
    account = account_of("vonage", signature_secret=SIGNING)
    fields = {"messageId": "A1", "status": "delivered", "err-code": "0", "api-key": "ACclinic"}
    for age, good in ((0, True), (3600, False), (-3600, False)):
        fields["timestamp"] = str(int(time.time()) - age)
        fields["sig"] = vonage_signature(fields, SIGNING, "md5hash")
        if good:
            assert parse(account, {}, urlencode(fields).encode())
        else:
            assert_refused(account, {}, urlencode(fields).encode())


def test_another_accounts_report_is_refused() -> None:
    account = account_of("vonage", signature_secret=SIGNING)
    fields = {"messageId": "A1", "status": "delivered", "api-key": "stranger"}
    fields["timestamp"] = str(int(time.time()))
    fields["sig"] = vonage_signature(fields, SIGNING, "md5hash")
    assert_refused(account, {}, urlencode(fields).encode())
    account = account_of("twilio")
    fields = {"MessageSid": "SM1", "MessageStatus": "delivered", "AccountSid": "ACstranger"}
    headers = {"X-Twilio-Signature": twilio_signature(PUBLIC, fields, "secret")}
    assert_refused(account, headers, urlencode(fields).encode())


def test_without_anything_to_prove_it_by_every_call_is_refused() -> None:
    key = account_of("twilio").settings.of_gateway
    assert key.auth_token == "secret"
    (account,) = load_accounts(
        {
            URL: f"twilio://SKkey:secret@/?sender=A&account_sid=AC1&{urlencode({'callback_url': PUBLIC})}"
        }
    )
    fields = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    headers = {"X-Twilio-Signature": twilio_signature(PUBLIC, fields, "secret")}
    assert_refused(account, headers, urlencode(fields).encode())


# -- signatures --------------------------------------------------------------------------------------


def test_the_signature_is_the_one_the_providers_own_code_makes() -> None:
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+12349013030",
        "Digits": "1234",
        "From": "+12349013030",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert twilio_signature(url, fields, "12345") == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="
    assert RequestValidator("12345").compute_signature(url, fields) == (
        "0/KCTR6DLpKmkAf8muzZqo1nDgQ="
    )


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.from_regex("[a-z-]{1,8}", fullmatch=True), st.text(max_size=10)))
def test_receipts_are_signed_as_the_providers_own_code_signs(fields: dict[str, str]) -> None:
    fields = {name: value for name, value in fields.items() if name != "sig"} | {"timestamp": "1"}
    try:
        "".join(fields.values()).encode()
    except UnicodeEncodeError:
        return
    assert vonage_signature(fields, SIGNING, "sha256") == _THEIRS.sign_params(dict(fields))


_THEIRS = Auth(api_key="k", signature_secret=SIGNING, signature_method="sha256")


def test_the_called_address_counts_as_the_gateway_wrote_it() -> None:
    """A proxy in front of us may have changed scheme, host and port; path and query are what came."""
    account = account_of("twilio")
    fields = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    signed = twilio_signature(f"{PUBLIC}?attempt=abc", fields, "secret")
    headers = {"x-twilio-signature": signed, "Host": "10.0.0.7:8000"}
    path = f"{urlsplit(PUBLIC).path}?attempt=abc"
    (report,) = parse(account, {**headers, ":path": path}, urlencode(fields).encode())
    assert report.attempt_key == "abc"
    assert_refused(account, {**headers, ":path": path + "d"}, urlencode(fields).encode())


def test_infobip_may_know_the_secret_as_a_password() -> None:
    account = account_of("infobip", callback_secret="between us")
    body = json.dumps({"results": [{"messageId": "a", "status": {"groupId": 3, "id": 5}}]})
    for password, good in (("between us", True), ("wrong", False)):
        login = base64.b64encode(f"any:{password}".encode()).decode()
        headers = {"authorization": f"Basic {login}"}
        if good:
            assert len(parse(account, headers, body.encode())) == 1
        else:
            assert_refused(account, headers, body.encode())
    assert_refused(account, {"authorization": "Basic ?"}, body.encode())


# -- nonsense ----------------------------------------------------------------------------------------


def proved(account: Account) -> dict[str, str]:
    """Headers that know the secret."""
    secret = account.settings.of_gateway.callback_secret
    return {":path": f"/dispatch/callbacks/sms/main?secret={secret}"}


def test_a_seen_message_has_arrived() -> None:
    account = account_of("infobip")
    row = {"messageId": "a", "seenAt": "2024-02-03T10:00:00.000+0100", "to": "49151"}
    (report,) = parse(account, proved(account), json.dumps({"results": [row]}).encode())
    assert (report.status, report.details["state"]) == (ReportStatus.DELIVERED, "read")


def test_handed_to_the_operator_is_not_delivered() -> None:
    account = account_of("infobip")
    rows = [
        {"messageId": "a", "status": {"groupId": 3, "id": 2, "name": "DELIVERED_TO_OPERATOR"}},
        {"messageId": "b", "status": {"groupId": 1, "id": 26}},
        {"messageId": "c", "status": {"groupId": 4, "id": 15}, "error": {"id": 0}},
        {"messageId": "d", "status": {"groupId": 77, "id": 770}},
    ]
    reports = parse(account, proved(account), json.dumps({"results": rows}).encode())
    assert [(each.attempt_key, str(each.status)) for each in reports] == [
        ("a", "under_way"),
        ("b", "accepted"),
        ("c", "failed"),
    ]
    assert reports[2].answer is not None
    assert (reports[2].answer.system, reports[2].answer.code) == ("infobip_status", "15")


def test_receipts_come_as_json_and_behind_the_address_too() -> None:
    account = account_of("vonage")
    fields = {"messageId": "A1", "status": "expired", "err-code": "3", "client-ref": "key"}
    kind = {"Content-Type": "application/json"}
    for headers, body in (
        (kind, json.dumps(fields).encode()),
        ({}, urlencode(fields).encode()),
    ):
        (report,) = parse(account, {**proved(account), **headers}, body)
        assert (report.attempt_key, report.answer and report.answer.code) == ("key", "3")


def test_what_is_too_long_is_not_read() -> None:
    for scheme in ("infobip", "vonage"):
        account = account_of(scheme)
        assert_refused(account, proved(account), b"x" * 300_000, status=413)
    assert_refused(account_of("twilio"), {}, b"x" * 300_000, status=413)
    rows = [{"messageId": str(number)} for number in range(1001)]
    account = account_of("infobip")
    assert_refused(account, proved(account), json.dumps({"results": rows}).encode(), status=413)
    many = "&".join(f"f{number}=1" for number in range(500)).encode()
    assert_refused(account_of("vonage"), proved(account_of("vonage")), many, status=413)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["messageId", "status", "groupId", "id", "error", "price", "doneAt"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.binary(max_size=60), _VALUES, st.lists(_VALUES, max_size=3)))
def test_no_body_makes_it_stumble(content: Any) -> None:
    bodies = [content] if isinstance(content, bytes) else []
    if not bodies:
        bodies = [json.dumps(content).encode(), json.dumps({"results": content}).encode()]
    for body in [*bodies, b"[" * 50_000]:
        for scheme, kind in (
            ("infobip", "application/json"),
            ("vonage", "application/json"),
            ("vonage", ""),
        ):
            account = _ACCOUNTS[scheme]
            with contextlib.suppress(CallbackRefused):
                parse(account, {**proved(account), "Content-Type": kind}, body)


_ACCOUNTS = {scheme: account_of(scheme) for scheme in ("infobip", "vonage")}
