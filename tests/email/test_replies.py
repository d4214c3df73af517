"""What servers say: pieces to replies, replies to answers and queue ids."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic_dispatch_email.capabilities import read_offers
from clinic_dispatch_email.replies import NotSmtpError, Reply, ReplyReader
from clinic_dispatch_plugin.api import Answer


def replies(data: bytes) -> list[Reply]:
    return list(ReplyReader().feed(data))


def only(data: bytes) -> Reply:
    (reply,) = replies(data)
    return reply


@given(st.sets(st.integers(min_value=1, max_value=90)))
def test_replies_are_the_same_however_the_bytes_are_cut(cuts: set[int]) -> None:
    data = b"250-relay\r\n250-SIZE 9\r\n250 DSN\r\n550 5.1.1 No such user\r\n354 Go on\n250\r\n"
    reader = ReplyReader()
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    found = [reply for start, end in pairwise(edges) for reply in reader.feed(data[start:end])]
    assert [reply.code for reply in found] == [250, 550, 354, 250]
    assert found[0].lines == (b"relay", b"SIZE 9", b"DSN")


@pytest.mark.parametrize(
    ("data", "code", "text"),
    [
        (
            b"550 5.1.1 <a@b.de>: User unknown\r\n",
            "5.1.1",
            "550 5.1.1 <a@b.de>: User unknown",
        ),
        (
            b"550-5.7.26 This mail is unauthenticated\r\n550-5.7.26 and was refused.\r\n550 5.7.26 x - gsmtp\r\n",
            "5.7.26",
            "550 5.7.26 This mail is unauthenticated and was refused. x - gsmtp",
        ),
        (b"450 Try later\r\n", "450", "450 Try later"),
        (b"550 #5.1.0 Address rejected\r\n", "5.1.0", "550 #5.1.0 Address rejected"),
        (b"550 4.4.7 Message expired\r\n", "4.4.7", "550 4.4.7 Message expired"),
        (b"550 5.1.1234 odd\r\n", "550", "550 5.1.1234 odd"),
        (b"421\r\n", "421", "421"),
        (b"554 Stra\xdfe\r\n", "554", "554 Stra\ufffde"),
    ],
)
def test_an_answer_has_the_enhanced_code_or_the_number_and_all_words_on_one_line(
    data: bytes, code: str, text: str
) -> None:
    assert only(data).answer() == Answer(system="smtp", code=code, text=text)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\r\n",
        b"25\r\n",
        b"199 odd\r\n",
        b"600 odd\r\n",
        b"2500 odd\r\n",
        b"250-a\r\n251 b\r\n",
        b"\xff\xfe\x00\r\n",
        b"x" * 9_000,
        b"250 " + b"x" * 9_000 + b"\r\n",
        b"250-x\r\n" * 1_000,
    ],
)
def test_rubbish_is_called_rubbish(data: bytes) -> None:
    with pytest.raises(NotSmtpError):
        replies(data)


def test_what_was_whole_before_the_rubbish_counts() -> None:
    found = ReplyReader().feed(b"250 Ok\r\nrubbish\r\n")
    assert next(found).code == 250
    with pytest.raises(NotSmtpError):
        next(found)


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_fail_otherwise(data: bytes) -> None:
    try:
        for reply in ReplyReader().feed(data):
            assert reply.answer().text.startswith(str(reply.code))
            reply.queue_id()
            read_offers(reply)
    except NotSmtpError:
        pass


@pytest.mark.parametrize(
    ("words", "queue_id"),
    [
        ("2.0.0 Ok: queued as 4F1B2C3D", "4F1B2C3D"),
        ("Ok: queued as ABC.", "ABC"),
        ("OK id=1rXyZ2-0004kL-9A", "1rXyZ2-0004kL-9A"),
        ("Ok: 0100018c2f", "0100018c2f"),
        ("Ok 0100018c-2f-000000", "0100018c-2f-000000"),
        ("2.6.0 <x@y> [InternalId=1234567, Hostname=a] Queued mail for delivery", "1234567"),
        ("2.0.0 Ok", None),
        ("2.0.0 Ok delivered", None),
        ("", None),
    ],
)
def test_the_queue_id_is_found_in_the_words(words: str, queue_id: str | None) -> None:
    assert only(f"250 {words}\r\n".encode()).queue_id() == queue_id


def test_offers_are_read_whatever_their_case_and_order() -> None:
    offers = read_offers(
        only(
            b"250-relay\r\n250-pipelining\r\n250-Size 1000\r\n250-8bitmime\r\n250-SMTPUTF8\r\n"
            b"250-DSN\r\n250-STARTTLS\r\n250-AUTH LOGIN\r\n250-AUTH=PLAIN\r\n250 \r\n"
        )
    )
    assert offers.pipelining and offers.eight_bit and offers.smtputf8 and offers.dsn
    assert offers.starttls and offers.size and offers.size_limit == 1_000
    assert offers.mechanisms == {"LOGIN", "PLAIN"}


def test_half_an_offer_of_smtputf8_is_none() -> None:
    assert not read_offers(only(b"250-relay\r\n250 SMTPUTF8\r\n")).smtputf8


@pytest.mark.parametrize(
    "size", [b"SIZE", b"SIZE 0", b"SIZE many", b"SIZE -5", b"SIZE " + b"9" * 50]
)
def test_an_unknown_size_is_no_limit(size: bytes) -> None:
    offers = read_offers(only(b"250-relay\r\n250 " + size + b"\r\n"))
    assert (offers.size, offers.size_limit) == (True, 0)
