"""Receipts as centres write them, and which attempt each speaks of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic_dispatch_plugin.api import ReportStatus
from clinic_dispatch_sms.smpp.known import Known, Sent, doubt_id, reference_of, report_of, spellings
from clinic_dispatch_sms.smpp.pdu import Tlv
from clinic_dispatch_sms.smpp.receipts import Incoming, Receipt, answer_of, understood

STANDARD = (
    "id:0123456789 sub:001 dlvrd:000 submit date:2611281200 done date:2611281205"
    " stat:UNDELIV err:034 text:Frau Berger, Ihr Te"
)


def receipt(text: str, tlvs: Mapping[Any, bytes] | None = None, esm_class: int = 4) -> Receipt:
    found = understood(text, tlvs or {}, esm_class=esm_class, address="491512000001")
    assert isinstance(found, Receipt)
    return found


@pytest.mark.parametrize(
    ("text", "identity", "state", "error"),
    [
        (STANDARD, "0123456789", "UNDELIV", "034"),
        ("id:a1-b2 stat:DELIVRD err:000", "a1-b2", "DELIVRD", "000"),
        ("ID:17 Stat:Delivered Err:0 Text:x", "17", "DELIVRD", "0"),
        ("stat=EXPIRED, id=17, err=2E", "17", "EXPIRED", "2E"),
        ("id: 17 submit date: 261128120000 status: REJECTED error: 12", "17", "REJECTD", "12"),
        ("id:17 stat:ACCEPTED", "17", "ACCEPTD", ""),
        ("id:17 stat:FAILED", "17", "UNDELIV", ""),
        ("id:17 stat:whatever", "17", "UNKNOWN", ""),
        ("id:17 text:stat:DELIVRD err:007", "17", "UNKNOWN", ""),
        ("", "", "UNKNOWN", ""),
    ],
)
def test_words_are_read_by_key(text: str, identity: str, state: str, error: str) -> None:
    found = receipt(text)
    assert (found.message_id, found.state, found.error) == (identity, state, error)


def test_optional_parameters_go_before_the_words() -> None:
    tlvs = {
        Tlv.RECEIPTED_MESSAGE_ID: b"77\0",
        Tlv.MESSAGE_STATE: b"\x02",
        Tlv.NETWORK_ERROR_CODE: b"\x03\x00\x22",
        Tlv.USER_MESSAGE_REFERENCE: b"\x12\x34",
    }
    found = receipt(STANDARD, tlvs)
    assert (found.message_id, found.state) == ("77", "DELIVRD")
    assert (found.network_error, found.reference) == ((3, 34), 0x1234)


def test_state_nought_is_a_state_and_a_wrong_length_is_none() -> None:
    assert receipt("id:1", {Tlv.MESSAGE_STATE: b"\x00"}).state == "SCHEDULED"
    assert receipt("id:1 stat:DELIVRD", {Tlv.MESSAGE_STATE: b"\x05\x05"}).state == "DELIVRD"


def test_the_beginning_of_the_message_is_not_kept() -> None:
    found = receipt(STANDARD)
    answer = answer_of(found, errors="own")
    assert answer is not None
    assert "Berger" not in answer.text + repr(found)
    assert "stat:UNDELIV err:034" in answer.text


@pytest.mark.parametrize(
    ("errors", "system", "code"),
    [
        ("own", "smpp_delivery", "UNDELIV"),
        ("common", "smpp_err", "034"),
        ("map", "smpp_err", "map:34"),
    ],
)
def test_the_providers_code_is_believed_only_where_its_list_is_known(
    errors: str, system: str, code: str
) -> None:
    answer = answer_of(receipt(STANDARD), errors=errors)
    assert answer is not None
    assert (answer.system, answer.code) == (system, code)


def test_an_open_state_is_explained_by_its_name_alone() -> None:
    answer = answer_of(receipt("id:1 stat:UNKNOWN err:034"), errors="common")
    assert answer is not None
    assert (answer.system, answer.code) == ("smpp_delivery", "UNKNOWN")
    assert receipt("id:1 stat:UNKNOWN").status is ReportStatus.UNDER_WAY


def test_a_receipt_without_its_mark_is_one_and_an_answer_of_a_patient_is_none() -> None:
    assert receipt(STANDARD, esm_class=0).state == "UNDELIV"
    for text in ("STOP", "id: 17 please", "stat:DELIVRD?"):
        assert isinstance(understood(text, {}, esm_class=0, address="49151"), Incoming)


@given(st.text(max_size=300), st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=20)))
def test_any_words_are_understood(text: str, tlvs: dict[int, bytes]) -> None:
    found = receipt(text, tlvs)
    assert len(found.message_id) <= 65
    report_of(found, None, errors="common")


# Which attempt


@pytest.mark.parametrize(
    ("answered", "reported"),
    [
        ("17", "17"),
        ("0017", "17"),
        ("3B9ACA0D", "00001000000013"),
        ("3b9aca0d", "3B9ACA0D"),
        ("1000000013", "3B9ACA0D"),
        ("7f3c-ab", "7F3C-AB"),
    ],
)
def test_an_id_is_known_in_its_other_spellings(answered: str, reported: str) -> None:
    assert spellings(answered) & spellings(reported)
    known = Known([Sent("key", "+491512000001", ids=(answered,))])
    assert known.find(receipt(f"id:{reported} stat:DELIVRD")) is not None


def test_two_that_could_be_meant_are_nobody() -> None:
    known = Known(
        [Sent("a", "+491512000001", ids=("0a",)), Sent("b", "+491512000001", ids=("10",))]
    )
    assert known.find(receipt("id:010 stat:DELIVRD")) is None
    exact = known.find(receipt("id:10 stat:DELIVRD"))
    assert exact is not None and exact.attempt_key == "b"


def test_another_number_is_not_meant_by_a_likeness() -> None:
    known = Known([Sent("a", "+491512999999", ids=("0017",))])
    assert known.find(receipt("id:17 stat:DELIVRD")) is None


def test_our_reference_finds_what_has_no_id_and_nothing_else() -> None:
    lost = Sent("lost", "+491512000001")
    sent = Sent("sent", "+491512000001", ids=("5",))
    known = Known([lost, sent])

    def by(key: str) -> Sent | None:
        tlvs = {Tlv.USER_MESSAGE_REFERENCE: reference_of(key).to_bytes(2, "big")}
        return known.find(receipt("id:99 stat:DELIVRD", tlvs))

    assert by("lost") is lost
    assert by("sent") is None


def test_our_key_in_the_providers_parameter_finds_it() -> None:
    known = Known([Sent("attempt7", "+49", ids=())], key_tlv=0x1400)
    found = known.find(receipt("id:99 stat:DELIVRD", {0x1400: b"attempt7\0"}))
    assert found is not None and found.attempt_key == "attempt7"


def test_a_receipt_of_nobody_names_all_ids_it_may_be_known_by() -> None:
    tlvs = {Tlv.USER_MESSAGE_REFERENCE: b"\x00\x07"}
    report = report_of(receipt("id:3B9ACA0D stat:DELIVRD", tlvs), None, errors="own")
    assert (report.provider_id, report.attempt_key) == ("3B9ACA0D", None)
    also = report.details["also"].split()
    assert {"1000000013", doubt_id("+491512000001", 7)} <= set(also)
    assert "491512000001" not in str(report)


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        (["DELIVRD"], ReportStatus.UNDER_WAY),
        (["DELIVRD", "DELIVRD"], ReportStatus.DELIVERED),
        (["DELIVRD", "EXPIRED"], ReportStatus.FAILED),
        (["ENROUTE", "DELIVRD"], ReportStatus.UNDER_WAY),
    ],
)
def test_a_long_text_has_arrived_when_every_part_has(
    states: list[str], whole: ReportStatus
) -> None:
    sent = Sent("key", "+491512000001", ids=("1", "2"), parts=2)
    for number, state in enumerate(states, 1):
        report = report_of(receipt(f"id:{number} stat:{state}"), sent, errors="own")
    assert report.status is whole
    assert report.provider_id == "1..2"


def test_a_passing_state_after_the_final_one_and_a_repeat_change_nothing() -> None:
    sent = Sent("key", "+491512000001", ids=("1",))
    for state in ("DELIVRD", "ENROUTE", "DELIVRD"):
        report = report_of(receipt(f"id:1 stat:{state}"), sent, errors="own")
        assert report.status is ReportStatus.DELIVERED


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clinic_dispatch_sms.smpp.known.MOST", 3)
    known = Known(Sent(f"k{number}", "+49", ids=(str(number),)) for number in range(10))
    assert known.find(receipt("id:1 stat:DELIVRD")) is None
    assert known.find(receipt("id:9 stat:DELIVRD")) is not None
