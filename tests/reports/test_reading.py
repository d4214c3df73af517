"""Every shape of a mail that comes back gives its recipients, their codes and words, and the message it is about."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clinic_dispatch_email
from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference.rules import KnownEntry, Reference, flat
from clinic_dispatch_plugin.reports import rules
from clinic_dispatch_plugin.reports.files import mails_in
from clinic_dispatch_plugin.reports.reading import read_mail
from clinic_dispatch_plugin.reports.rules import MOST_BYTES, MOST_RECIPIENTS, ReadMail
from tests.reports.making import ATTEMPT, MESSAGE, WHOM, Shape, head, standard
from tests.reports.shapes_standard import OTHERS, STANDARD
from tests.reports.shapes_words import WORDS

SHAPES = [*STANDARD, *OTHERS, *WORDS]


@pytest.fixture(scope="module")
def reference() -> Reference:
    entries: list[KnownEntry] = []
    for pack in clinic_dispatch_email.clinic_dispatch_reference_packs():
        for position, entry in enumerate(pack.entries):
            entries.append(
                KnownEntry(
                    id=len(entries) + 1,
                    origin="shipped",
                    system=pack.system,
                    code=entry.code,
                    pattern=entry.pattern,
                    unless=entry.unless,
                    position=position,
                    content=flat(entry),
                )
            )
    return Reference(entries)


def keys(read: ReadMail) -> set[str]:
    clues = read.clues
    return {*clues.envelope_ids, *clues.sender_keys, *clues.message_keys, *clues.others}


def test_there_are_many_shapes_each_with_a_name_of_its_own() -> None:
    assert len({shape.name for shape in SHAPES}) == len(SHAPES) >= 50


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_shape_is_read(shape: Shape, reference: Reference) -> None:
    read = read_mail(shape.raw)
    assert read.kind == shape.kind
    found = [(each.address, each.action.value, each.code) for each in read.recipients]
    assert found == list(shape.recipients), read
    if shape.category:
        said = read.recipients[0]
        asked = Answer(system="smtp", code=said.code, text=said.answer)
        entry = reference.explain(asked).entry
        assert (entry.category if entry else "") == shape.category, said.answer
    if shape.answer:
        assert shape.answer in read.recipients[0].answer
    assert bool(keys(read) & {ATTEMPT, MESSAGE}) == shape.tied


@pytest.mark.parametrize("ending", [b"\r\n", b"\r"], ids=["CRLF", "CR"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_line_ends_do_not_matter(shape: Shape, ending: bytes) -> None:
    other = shape.raw.replace(b"\n", ending)
    assert read_mail(other) == read_mail(shape.raw)
    assert rules.digest_of(other) == rules.digest_of(shape.raw)


def test_the_answer_of_a_server_begins_at_its_code() -> None:
    read = read_mail(standard("smtp; host mx[192.0.2.1] said: 550 5.1.1 gone", status="5.0.0"))
    assert read.recipients[0].answer == "550 5.1.1 gone"


def test_the_digest_knows_a_mail_out_of_an_mbox() -> None:
    raw = STANDARD[0].raw
    assert rules.digest_of(b"From MAILER-DAEMON Tue Nov 24 07:00:05 2026\n" + raw + b"\n\n") == (
        rules.digest_of(raw)
    )
    assert rules.digest_of(raw) != rules.digest_of(STANDARD[1].raw)


def test_a_mail_is_kept_as_it_came() -> None:
    raw = bytes(range(1, 256)) * 10
    assert rules.as_bytes(rules.as_text(raw)) == raw
    assert "\0" not in rules.as_text(b"a\0b")


def hostile() -> dict[str, bytes]:
    deep = "".join(
        f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(3_000)
    )
    many = "\n".join(
        f"Final-Recipient: rfc822; p{n}@example.org\nAction: failed\nStatus: 5.1.1\n"
        for n in range(5_000)
    )
    report = 'multipart/report; report-type=delivery-status; boundary="=_report"'
    return {
        "parts in parts": deep.encode(),
        "mails in mails": b"Content-Type: message/rfc822\n\n" * 8_000,
        "ten thousand parts": head("x", kind='multipart/mixed; boundary="b"').encode()
        + b"--b\nContent-Type: text/plain\n\nx\n" * 10_000,
        "five thousand recipients": (
            head("Undelivered Mail", kind=report)
            + f"--=_report\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n"
            f"{many}\n--=_report--\n"
        ).encode(),
        "one endless line": b"Subject: failure notice\nFrom: MAILER-DAEMON@x.example\n\n"
        + b"a@" * 120_000,
        "brackets": b"Subject: failure notice\nFrom: MAILER-DAEMON@x.example\n\n" + b"<" * 250_000,
        "tags": b"Content-Type: text/html\nSubject: failure notice\n\n" + b"<style" * 40_000,
        "codes": b"Subject: failure notice\nFrom: MAILER-DAEMON@x.example\n\n" + b"550 " * 60_000,
        "dots": b"Subject: failure notice\nFrom: MAILER-DAEMON@x.example\n\n" + b"5.1." * 60_000,
        "addresses": b"Subject: failure notice\nFrom: MAILER-DAEMON@x.example\n\n"
        + b"".join(b"p%d@example.org\n" % n for n in range(20_000)),
        "a header without end": b"Subject: " + b"=?utf-8?q?x" * 20_000,
        "empty lines": b"From: MAILER-DAEMON@x.example\nSubject: failure notice\n"
        + b"\n" * 250_000,
        "blanks": b"From: MAILER-DAEMON@x.example\nSubject: failure notice\n\n" + b" \t" * 125_000,
        "a slow charset": b"Content-Type: text/plain; charset=punycode\n\n" + b"a" * 250_000,
        "far too large": STANDARD[0].raw + b"x" * (4 * MOST_BYTES),
    }


@pytest.mark.parametrize("name", hostile())
def test_hostile_mails_are_read_soon(name: str) -> None:
    raw = hostile()[name]
    begun = time.monotonic()
    read = read_mail(raw)
    assert len(read.recipients) <= MOST_RECIPIENTS
    assert time.monotonic() - begun < 5


_PIECES = st.sampled_from(
    [
        *(line + b"\n" for shape in SHAPES for line in shape.raw.split(b"\n")),
        b"\n",
        b"--=_report\n",
        b"\0",
        b"\xff\xfe",
        b"=?utf-8?b?////?=",
    ]
)


@settings(max_examples=300, deadline=2_000)
@given(st.one_of(st.binary(max_size=2_000), st.lists(_PIECES, max_size=60).map(b"".join)))
def test_whatever_comes_something_is_read_and_can_be_stored(raw: bytes) -> None:
    read = read_mail(raw)
    for each in read.recipients:
        assert len(each.address) <= 320
        assert len(each.answer) <= rules.LONGEST_ANSWER
        (each.address + each.code + each.answer + read.subject).encode()
        assert "\0" not in each.address + each.answer + read.subject


@settings(max_examples=150, deadline=2_000)
@given(st.sampled_from(SHAPES), st.data())
def test_a_mail_cut_or_changed_anywhere_is_read(shape: Shape, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(shape.raw)))
    other = data.draw(st.binary(max_size=20))
    read_mail(shape.raw[:place])
    read_mail(shape.raw[:place] + other + shape.raw[place:])


def test_mails_come_from_files_folders_mboxes_and_maildirs(tmp_path: Path) -> None:
    first, second = STANDARD[0].raw, WORDS[0].raw
    single = tmp_path / "one.eml"
    single.write_bytes(first)
    mbox = tmp_path / "all.mbox"
    line = b"From MAILER-DAEMON Tue Nov 24 07:00:05 2026\n"
    mbox.write_bytes(line + first + b"\n" + line + second)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.eml").write_bytes(first)
    (folder / "notes.txt").write_bytes(b"no mail")
    maildir = tmp_path / "maildir"
    for name in ("new", "cur", "tmp"):
        (maildir / name).mkdir(parents=True)
    (maildir / "new" / "1.host").write_bytes(first)
    (maildir / "cur" / "2.host:2,S").write_bytes(second)
    assert [found.raw for found in mails_in(single)] == [first]
    assert [found.name for found in mails_in(mbox)] == [f"{mbox}#1", f"{mbox}#2"]
    assert [read_mail(found.raw).recipients[0].address for found in mails_in(mbox)] == [WHOM, WHOM]
    assert [Path(found.name).name for found in mails_in(folder)] == ["a.eml"]
    assert [found.raw for found in mails_in(maildir)] == [second, first]
    with pytest.raises(OSError):
        list(mails_in(tmp_path / "missing"))
