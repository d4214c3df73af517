"""Every shape of message, read back by the standard library, whatever stands in its texts."""

from __future__ import annotations

import email
import email.policy
import re
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clinic_dispatch_email.capabilities import ServerOffers
from clinic_dispatch_email.mime import CannotSendError, Composer, Mail
from clinic_dispatch_email.settings import FROM, URL, load_settings
from clinic_dispatch_plugin.api import Attachment, Content, OutgoingMessage
from tests.email.conftest import SENDER, a_message

EVERYTHING = ServerOffers(
    pipelining=True, size=True, size_limit=10_000_000, eight_bit=True, smtputf8=True, dsn=True
)
NOTHING = ServerOffers()

#: What people and attackers write; surrogates too.
ANYTHING = st.text(st.characters(), max_size=300) | st.text("\r\n.\x00=?ÄЖ \t", max_size=60)


def composer(options: str = "", sender: str = SENDER) -> Composer:
    settings = load_settings({URL: f"smtp://localhost?{options}", FROM: sender})
    assert settings is not None
    return Composer(settings)


SHARED = composer()


def read_back(mail: Mail) -> EmailMessage:
    """What a receiver sees; checks what any server may demand of the bytes first."""
    assert mail.data.endswith(b"\r\n.\r\n")
    lines = mail.data.removesuffix(b".\r\n").split(b"\r\n")
    assert lines.pop() == b""
    assert all(len(line) <= 999 for line in lines)  # 998 and a dot of transparency
    assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)
    assert all(line.startswith(b"..") for line in lines if line.startswith(b"."))
    data = b"\r\n".join(line.removeprefix(b".") for line in lines) + b"\r\n"
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    for part in message.walk():
        assert not part.defects, part.defects
    return message


def as_received(text: str) -> str:
    """What a text becomes on its way: one kind of line end, one at its end, no lone surrogates."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if text.endswith("\n") else text + "\n"


def body_of(part: Any) -> str:
    """The text as a mail program decodes it."""
    text = part.get_payload(decode=True).decode("utf-8").replace("\r\n", "\n")
    assert part.get_content_charset() == "utf-8"
    return str(text)


FILE = Attachment(
    filename="Befund.pdf", media_type="application/pdf", data=b"%PDF\r\n.\r\n\0\xff" * 99
)
SHAPES = list(product([False, True], [(), (FILE,), (FILE, FILE)], [NOTHING, EVERYTHING]))


@pytest.mark.parametrize(("html", "files", "offers"), SHAPES)
@given(text=ANYTHING, page=ANYTHING.filter(bool), subject=ANYTHING, name=ANYTHING)
@example(text=".", page=".\r\n..", subject="Termin", name="Anna Berger")
@example(text="\n.\r\nQUIT\r\n", page="x" * 5_000, subject="a\r\nBcc: x@y.de", name='A"\\B\r\nX: y')
@example(text="ä" * 2_000, page="Ж" * 600, subject="Ж" * 200, name="Ж" * 150)
@example(text="a" * 998, page="b" * 999, subject="a" * 300, name="a b" * 60)
@example(text="--=_", page="=\n =20 \t\n", subject="=?utf-8?b?eA==?=", name="=?utf-8?q?x?=")
def test_every_shape_is_read_back_as_it_was_meant(
    html: bool,
    files: tuple[Attachment, ...],
    offers: ServerOffers,
    text: str,
    page: str,
    subject: str,
    name: str,
) -> None:
    content = Content(text=text, subject=subject, html=page if html else "", attachments=files)
    message = read_back(SHARED.compose(a_message(name=name, content=content), offers))

    expected = ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Auto-Submitted"]
    standing = [key for key in message if key not in {"Content-Type", "Content-Transfer-Encoding"}]
    assert standing == expected
    assert [each.addr_spec for each in message["To"].addresses] == ["p1@patient.example"]
    assert squeezed(message["To"].addresses[0].display_name) == squeezed(name[:200])
    assert squeezed(message["Subject"]) == squeezed(subject)

    parts = list(message.walk())
    texts = [part for part in parts if part.get_content_maintype() == "text"]
    wanted = ([] if html and not text else [("text/plain", as_received(text))]) + (
        [("text/html", as_received(page))] if html else []
    )
    assert [(part.get_content_type(), body_of(part)) for part in texts] == wanted
    assert [part.get_payload(decode=True) for part in message.iter_attachments()] == [
        each.data for each in files
    ]


def squeezed(text: str) -> str:
    """A header's text without what cleaning and folding may change: controls and the space around them."""
    text = str(text).encode("utf-8", "replace").decode("utf-8")
    return re.sub(r"[\s\x00-\x20\x7f-\x9f\u2028\u2029]+", "", text)


def test_the_ordinary_message_has_all_its_headers() -> None:
    message = read_back(SHARED.compose(a_message(), EVERYTHING))
    assert message["From"] == SENDER
    assert message["To"] == "Anna Berger <p1@patient.example>"
    assert message["Subject"] == "Ihr Termin"
    assert message["Message-ID"] == "<message0000000000000000001@klinik.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert parsedate_to_datetime(message["Date"]).tzinfo is not None
    assert message["List-Unsubscribe"] is None
    assert body_of(message) == "Bis Montag!\n"


def test_a_repeat_keeps_its_message_id_and_gets_an_envelope_id_of_its_own() -> None:
    first = SHARED.compose(a_message(), EVERYTHING)
    second = SHARED.compose(a_message(attempt_key="other" * 5), EVERYTHING)
    assert read_back(first)["Message-ID"] == read_back(second)["Message-ID"]
    assert first.mail_command != second.mail_command


@pytest.mark.parametrize(
    ("url", "fields"),
    [
        (
            "https://klinik.example/u/v1.abc",
            ["<https://klinik.example/u/v1.abc>", "List-Unsubscribe=One-Click"],
        ),
        ("http://klinik.example/u", ["<http://klinik.example/u>", None]),
        (
            "https://klinik.example/я б",
            ["<https://klinik.example/%D1%8F%20%D0%B1>", "List-Unsubscribe=One-Click"],
        ),
        (
            "https://klinik.example/a>\r\nBcc: x",
            ["<https://klinik.example/a%3E%0D%0ABcc:%20x>", "List-Unsubscribe=One-Click"],
        ),
        ("javascript:alert(1)", [None, None]),
        ("https://klinik.example/" + "a" * 1_000, [None, None]),
        ("", [None, None]),
        (None, [None, None]),
    ],
)
def test_the_way_to_unsubscribe_stands_in_the_header(
    url: str | None, fields: list[str | None]
) -> None:
    message = read_back(SHARED.compose(a_message(unsubscribe_url=url), EVERYTHING))
    assert [message["List-Unsubscribe"], message["List-Unsubscribe-Post"]] == fields


@pytest.mark.parametrize(
    "address",
    ["a@x.de\r\nRCPT TO:<b@x.de>", "a@x.de\0", "a b@x.de", "a@x.de>", "a", "", "a@x.de, b@x.de"],
)
def test_an_address_that_would_change_the_envelope_is_refused(address: str) -> None:
    assert refusal(a_message(address=address), EVERYTHING) == ("dispatch", "malformed_address")


def test_an_address_outside_ascii_asks_for_smtputf8() -> None:
    message = a_message(address="анна@xn--80a1acny.xn--p1ai", name="Анна")
    mail = SHARED.compose(message, EVERYTHING)
    assert b" SMTPUTF8" in mail.mail_command
    assert mail.rcpt_command.startswith("RCPT TO:<анна@xn--80a1acny.xn--p1ai>".encode())
    assert "анна@xn--80a1acny.xn--p1ai" in mail.data.decode()
    assert refusal(message, NOTHING) == ("smtp", "5.6.7")


def test_an_ascii_address_never_asks_for_smtputf8() -> None:
    message = a_message(name="Анна", content=Content(text="Ж", subject="Ж"))
    assert b"SMTPUTF8" not in SHARED.compose(message, EVERYTHING).mail_command


def test_a_message_over_the_offered_size_is_refused_before_it_is_sent() -> None:
    small = ServerOffers(size=True, size_limit=1_000)
    assert refusal(a_message(content=Content(text="a" * 2_000)), small) == ("smtp", "5.3.4")
    assert b"SIZE=" in SHARED.compose(a_message(), small).mail_command
    assert SHARED.compose(a_message(content=Content(text="a" * 2_000)), ServerOffers(size=True))


def test_the_announced_size_is_that_of_the_text_without_transparency() -> None:
    mail = SHARED.compose(a_message(content=Content(text=".\n.\n.")), EVERYTHING)
    assert f" SIZE={len(mail.data) - len('.CL') - 3} ".encode() in mail.mail_command


def test_the_envelope_uses_what_is_offered() -> None:
    message = a_message(content=Content(text="Grüße"))
    mail = SHARED.compose(message, EVERYTHING)
    assert mail.mail_command.startswith(b"MAIL FROM:<post@klinik.example> SIZE=")
    assert mail.mail_command.endswith(
        b" BODY=8BITMIME RET=HDRS ENVID=attempt0000000000000000001\r\n"
    )
    assert mail.rcpt_command == b"RCPT TO:<p1@patient.example> NOTIFY=FAILURE\r\n"
    plain = SHARED.compose(message, NOTHING)
    assert plain.mail_command == b"MAIL FROM:<post@klinik.example>\r\n"
    assert plain.rcpt_command == b"RCPT TO:<p1@patient.example>\r\n"


def test_without_8bitmime_nothing_has_eight_bits() -> None:
    for text in ("Grüße " * 50, "Привет " * 50, "a\x00b"):
        content = Content(text=text, html=text, subject=text)
        mail = SHARED.compose(a_message(name=text, content=content), NOTHING)
        assert mail.data.isascii()


def test_delivery_notices_can_be_switched_off() -> None:
    mail = composer("dsn=off").compose(a_message(), EVERYTHING)
    assert b"ENVID" not in mail.mail_command
    assert b"NOTIFY" not in mail.rcpt_command


def test_return_addresses_name_their_message_where_wanted_and_stay_on_a_repeat() -> None:
    verp = composer("verp=bounces.klinik.example&dsn=off")
    first = verp.compose(a_message(), EVERYTHING).mail_command
    again = verp.compose(a_message(attempt_key="other" * 5), EVERYTHING).mail_command
    sender = b"<post+message0000000000000000001@bounces.klinik.example>"
    assert first == again
    assert first.startswith(b"MAIL FROM:" + sender)


def test_a_sender_name_with_a_percent_sign_and_umlauts_stays_whole() -> None:
    mail = composer(sender='"100 % Müller, Ärzte" <a@klinik.example>').compose(a_message(), NOTHING)
    assert read_back(mail)["From"].addresses[0].display_name == "100 % Müller, Ärzte"


@pytest.mark.parametrize(
    ("media_type", "seen"),
    [
        ("image/png", "image/png"),
        ("", "application/octet-stream"),
        ("pdf", "application/octet-stream"),
        ("message/rfc822", "application/octet-stream"),
        ("multipart/mixed", "application/octet-stream"),
    ],
)
def test_files_of_odd_types_arrive_as_files(media_type: str, seen: str) -> None:
    file = Attachment(filename="../Bе\r\nfund ä.pdf", media_type=media_type, data=b"x")
    content = Content(text="t", attachments=(file,))
    part = next(
        iter(read_back(SHARED.compose(a_message(content=content), NOTHING)).iter_attachments())
    )
    assert part.get_content_type() == seen
    assert part.get_filename() == ".._Bе fund ä.pdf"


def refusal(message: OutgoingMessage, offers: ServerOffers) -> tuple[str, str]:
    with pytest.raises(CannotSendError) as caught:
        SHARED.compose(message, offers)
    return caught.value.answer.system, caught.value.answer.code
