"""What single answers of Twilio, Infobip and Vonage mean: no gateway and no network, the answers as they stand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_dispatch_plugin.api import (
    Accepted,
    AccountError,
    ConnectionFailed,
    HttpFailure,
    HttpProtocol,
    HttpReply,
    Money,
    OutgoingMessage,
    Refused,
    SendApart,
    SendResult,
    Uncertain,
)
from clinic_dispatch_plugin.testing import make_message
from clinic_dispatch_sms.infobip.protocol import InfobipProtocol
from clinic_dispatch_sms.settings import URL, load_accounts
from clinic_dispatch_sms.twilio.protocol import TwilioProtocol
from clinic_dispatch_sms.vonage.protocol import VonageProtocol

URLS = {
    "twilio": "twilio://AC1:token@/?sender=Klinik",
    "infobip": "infobip://key@h/?sender=Klinik",
    "vonage": "vonage://key:secret@/?sender=Klinik",
}
PROTOCOLS: dict[str, Any] = {
    "twilio": TwilioProtocol,
    "infobip": InfobipProtocol,
    "vonage": VonageProtocol,
}
MESSAGE = make_message("+4915112345678")
OTHER = make_message("+4915112345679")


def protocol(name: str) -> HttpProtocol:
    (account,) = load_accounts({URL: URLS[name]})
    made = PROTOCOLS[name](account.settings.of_gateway)
    assert isinstance(made, HttpProtocol)
    return made


ALL = {name: protocol(name) for name in URLS}


def understood(
    name: str,
    content: Any,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    group: Sequence[OutgoingMessage] = (MESSAGE,),
) -> Sequence[SendResult]:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    reply = HttpReply(status=status, headers=headers or {}, body=body)
    return ALL[name].understand(group, reply)


def twilio(**content: Any) -> SendResult:
    status = content.get("status", 201)
    (result,) = understood("twilio", content, status=status if isinstance(status, int) else 201)
    return result


def infobip_row(group: int | None, state: int, key: str = MESSAGE.attempt_key) -> dict[str, Any]:
    return {"messageId": key, "status": {"groupId": group, "id": state, "description": "Words"}}


def vonage(*codes: str, text: str = "") -> SendResult:
    parts = [
        {"status": code, "message-id": code, "message-price": "0.05", "error-text": text}
        for code in codes
    ]
    (result,) = understood("vonage", {"message-count": str(len(codes)), "messages": parts})
    return result


# -- taken -------------------------------------------------------------------------------------------


def test_what_was_taken_has_the_gateways_id_its_parts_and_its_price() -> None:
    assert twilio(
        sid="SM1", num_segments="2", price="-0.0150", price_unit="USD", status="queued"
    ) == Accepted(
        attempt_id=MESSAGE.attempt_id,
        provider_id="SM1",
        parts=2,
        price=Money(amount=Decimal("0.0150"), currency="USD"),
        text="queued",
    )
    assert vonage("0", "0") == Accepted(
        attempt_id=MESSAGE.attempt_id,
        provider_id="0",
        parts=2,
        price=Money(amount=Decimal("0.10"), currency="EUR"),
    )


@pytest.mark.parametrize(("group", "state"), [(1, 26), (3, 5), (0, 0), (5, 23)])
def test_accepted_pending_delivered_and_taken_before_are_all_taken(group: int, state: int) -> None:
    (result,) = understood("infobip", {"messages": [infobip_row(group, state)]})
    assert isinstance(result, Accepted)
    assert result.provider_id == MESSAGE.attempt_key


# -- refused -----------------------------------------------------------------------------------------


def test_an_error_without_a_code_is_known_by_its_status() -> None:
    result = twilio(message="Bad request", status=400)
    assert isinstance(result, Refused)
    assert (result.answer.code, result.answer.text) == ("400", "Bad request")


def test_one_bad_message_does_not_condemn_its_list() -> None:
    wrong = {
        "errorCode": "E400",
        "description": "Bad",
        "violations": [{"property": "to", "violation": "empty"}],
    }
    with pytest.raises(SendApart):
        understood("infobip", wrong, status=400, group=(MESSAGE, OTHER))
    (result,) = understood("infobip", wrong, status=400)
    assert isinstance(result, Refused)
    assert (result.answer.code, result.answer.text) == ("400", "Bad; to: empty")


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("twilio", {"code": 20003, "message": "Authenticate", "status": 401}, 401, "20003"),
        ("twilio", {"code": 20005, "message": "Not active"}, 403, "20005"),
        (
            "infobip",
            {
                "requestError": {
                    "serviceException": {"messageId": "UNAUTHORIZED", "text": "Invalid"}
                }
            },
            401,
            "401",
        ),
        ("infobip", {"errorCode": "E403", "description": "Forbidden"}, 403, "403"),
        ("vonage", {"messages": [{"status": "4", "error-text": "Bad Credentials"}]}, 200, "4"),
        (
            "vonage",
            {"messages": [{"status": "9", "error-text": "Partner quota exceeded"}]},
            200,
            "9",
        ),
        ("vonage", {"title": "Unauthorized"}, 401, "4"),
        ("vonage", {"title": "Low balance"}, 402, "9"),
    ],
)
def test_the_accounts_own_fault(name: str, content: Any, status: int, code: str) -> None:
    with pytest.raises(AccountError) as caught:
        understood(name, content, status=status)
    assert caught.value.answer.code == code


@pytest.mark.parametrize(
    ("name", "content", "wait"),
    [
        ("twilio", {"code": 20429, "message": "Too Many Requests"}, 7.0),
        ("infobip", {"errorCode": "E429", "description": "Too many"}, 7.0),
        ("vonage", {"title": "Throttled"}, 7.0),
    ],
)
def test_too_many_requests(name: str, content: Any, wait: float) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        understood(name, content, status=429, headers={"retry-after": "7"})
    assert caught.value.retry_after == wait


def test_vonage_says_how_long_to_wait_in_words() -> None:
    with pytest.raises(ConnectionFailed) as caught:
        vonage("1", text="Throughput Rate Exceeded - please wait [ 250 ] and retry")
    assert caught.value.retry_after == 0.25


# -- in doubt ----------------------------------------------------------------------------------------


def test_a_fault_of_the_gateway_may_have_come_after_the_taking() -> None:
    assert isinstance(twilio(code=20500, message="Internal", status=500), Uncertain)
    several = understood(
        "infobip", {"errorCode": "E500", "description": "x"}, status=500, group=(MESSAGE, OTHER)
    )
    assert [type(each) for each in several] == [Uncertain, Uncertain]


def test_a_message_of_which_only_some_parts_were_taken_is_in_doubt() -> None:
    result = vonage("0", "7", text="Number Barred")
    assert isinstance(result, Uncertain)
    assert result.answer.code == "7"


def test_a_state_of_a_group_nobody_knows_is_in_doubt() -> None:
    (result,) = understood("infobip", {"messages": [infobip_row(None, 999)]})
    assert isinstance(result, Uncertain)


def test_a_list_that_leaves_one_out_says_nothing_of_it() -> None:
    content = {"messages": [infobip_row(1, 26), infobip_row(1, 26, key="stranger")]}
    results = understood("infobip", content, group=(MESSAGE, OTHER))
    assert [each.attempt_id for each in results] == [MESSAGE.attempt_id]


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    ("status", "maybe_sent"),
    [(200, True), (201, True), (302, True), (500, True), (502, True), (404, False)],
)
def test_a_page_for_people_is_no_answer(name: str, status: int, maybe_sent: bool) -> None:
    with pytest.raises(HttpFailure) as caught:
        understood(name, b"<html>It works!</html>", status=status)
    assert caught.value.maybe_sent is maybe_sent


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "messages",
                    "status",
                    "sid",
                    "code",
                    "message",
                    "messageId",
                    "groupId",
                    "id",
                    "price",
                    "num_segments",
                    "details",
                    "violations",
                    "errorCode",
                    "requestError",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(st.sampled_from(sorted(URLS)), _VALUES, st.sampled_from([200, 201, 302, 400, 404, 429, 500]))
def test_no_answer_makes_it_stumble_or_say_too_much(name: str, content: Any, status: int) -> None:
    try:
        results = understood(name, content, status=status, group=(MESSAGE,))
    except (AccountError, ConnectionFailed, SendApart, HttpFailure):
        return
    for result in results:
        assert result.attempt_id == MESSAGE.attempt_id
        assert status < 300 or not isinstance(result, Accepted), "what is refused is not sent"
