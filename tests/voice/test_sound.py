"""Sound without a network: G.711, WAV files, who answered, what is said when, and a text that is spoken."""

from __future__ import annotations

import asyncio
from array import array
from pathlib import Path

import pytest

from clinic_dispatch_voice.exchange.audio import (
    Law,
    UnplayableError,
    encode,
    frames,
    loudness,
    read_wav,
)
from clinic_dispatch_voice.exchange.conversation import Script, Talk, talk
from clinic_dispatch_voice.exchange.line import Line
from clinic_dispatch_voice.exchange.listening import Answered, Greeting
from clinic_dispatch_voice.exchange.rtp import payload_of
from clinic_dispatch_voice.exchange.speech import SpeechFailedError, speak
from clinic_dispatch_voice.sip.digest import answer_to, challenge_in
from clinic_dispatch_voice.sip.message import NotSipError, StreamReader, decode
from clinic_dispatch_voice.sip.sdp import NoSoundError, agreed
from tests.servers.found import look_for, require
from tests.voice.exchange import recording


@pytest.mark.parametrize(
    ("law", "sample", "octet"),
    [
        (Law.A, 0, 0xD5),
        (Law.A, 32_767, 0xAA),
        (Law.A, -32_768, 0x2A),
        (Law.A, -1, 0x55),
        (Law.MU, 0, 0xFF),
        (Law.MU, 32_767, 0x80),
        (Law.MU, -32_768, 0x00),
    ],
)
def test_samples_become_the_octets_of_g_711(law: Law, sample: int, octet: int) -> None:
    assert encode(array("h", [sample]), law) == bytes([octet])


@pytest.mark.parametrize("law", list(Law))
def test_an_octet_is_as_loud_as_its_sample_was(law: Law) -> None:
    for sample in (-30_000, -1_000, -100, 100, 1_000, 30_000):
        heard = loudness(encode(array("h", [sample]), law), law)
        assert heard == pytest.approx(abs(sample), rel=0.07, abs=10)


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (22_050, 1), (48_000, 2)])
def test_every_usual_wav_is_played_at_our_rate(tmp_path: Path, rate: int, channels: int) -> None:
    samples = read_wav(recording(tmp_path, 0.5, rate=rate, channels=channels).read_bytes())
    assert len(samples) == 4_000
    assert 4_000 < sum(map(abs, samples)) / len(samples) < 6_000, "as loud as it was"


def test_what_is_no_wav_is_named() -> None:
    with pytest.raises(UnplayableError):
        read_wav(b"ID3 this is an MP3")


def test_the_last_frame_is_filled_up() -> None:
    assert [len(frame) for frame in frames(b"\x01" * 200, Law.A)] == [160, 160]


@pytest.mark.parametrize(
    ("speech", "quiet", "verdict"),
    [
        (0.5, 1.0, Answered.PERSON),
        (2.0, 0.0, Answered.MACHINE),
        (0.0, 3.0, Answered.UNSURE),
        (0.5, 0.2, None),
    ],
)
def test_who_answered_is_judged_by_the_greeting(
    speech: float, quiet: float, verdict: Answered | None
) -> None:
    greeting = Greeting()
    for loud, seconds in ((8_000.0, speech), (0.0, quiet)):
        for _ in range(round(seconds / 0.02)):
            greeting.hear(loud)
    assert greeting.verdict is verdict


def test_half_a_long_message_and_all_of_a_short_one_count_as_heard() -> None:
    assert Talk(of=20.0, heard=10.0).is_heard
    assert not Talk(of=20.0, heard=9.0).is_heard
    assert not Talk(of=2.0, heard=1.5).is_heard
    assert Talk(of=20.0, heard=1.0, confirmed=True).is_heard


def test_a_key_while_the_message_is_spoken_counts_at_once() -> None:
    async def call() -> Talk:
        sent: list[bytes] = []
        line = Line(sent.append, Law.A)
        asyncio.get_running_loop().call_later(0.05, line.pressed, "2")
        return await talk(line, Script(message=array("h", [0]) * 80_000), repeat=2)

    done = asyncio.run(call())
    assert done.confirmed
    assert done.heard < 5


def test_a_text_is_spoken_and_a_language_without_a_voice_is_named() -> None:
    require(look_for("espeak-ng", ["espeak-ng"]))
    samples = speak("Guten Tag", "de")
    assert 2_000 < len(samples) < 24_000
    assert max(samples) > 3_000
    with pytest.raises(SpeechFailedError):
        speak("Guten Tag", "qq")


def test_a_known_challenge_gets_the_known_answer() -> None:
    # RFC 2617 section 3.5, without qop as RFC 2069 has it.
    challenge = challenge_in(['Digest realm="r\\"x", nonce="n", opaque="o"'])
    assert challenge == {"realm": 'r"x', "nonce": "n", "opaque": "o"}
    said = answer_to(challenge, method="INVITE", uri="sip:1@h", user="u", password="p")
    assert said.startswith('Digest username="u", realm="r\\"x", nonce="n", uri="sip:1@h"')
    assert challenge_in(['Digest realm="r", nonce="n", algorithm=SHA-999', "Basic x"]) is None


@pytest.mark.parametrize(
    "data",
    [b"", b"GET / HTTP/1.1\r\n\r\n", b"SIP/2.0 200 OK\r\nno colon\r\n\r\n", b"\xff\xfe\r\n\r\n"],
)
def test_what_is_no_sip_is_told_from_sip(data: bytes) -> None:
    with pytest.raises(NotSipError):
        decode(data)


def test_words_in_another_alphabet_change_nothing_of_an_answer() -> None:
    busy = decode("SIP/2.0 486 Nicht verfügbar\r\nTo: Müller <sip:1@h>\r\n\r\n".encode("latin-1"))
    assert (busy.status, busy.get("to").endswith("<sip:1@h>")) == (486, True)
    for length in ("²", "9" * 5_000, "-1"):
        with pytest.raises(NotSipError):
            list(StreamReader().feed(f"SIP/2.0 200 OK\r\nl: {length}\r\n\r\n".encode()))


def test_messages_in_a_stream_are_cut_where_their_length_says() -> None:
    one = b"SIP/2.0 180 Ringing\r\ni: a\r\nl: 3\r\n\r\nabc"
    reader = StreamReader()
    assert list(reader.feed(one[:20])) == []
    found = list(reader.feed(one[20:] + one + one[:5]))
    assert [each.body for each in found] == [b"abc", b"abc"]
    assert found[0].get("Call-ID") == "a"


def test_an_answer_without_our_sound_is_refused() -> None:
    with pytest.raises(NoSoundError):
        agreed(b"c=IN IP4 10.0.0.1\nm=audio 9 RTP/AVP 18\n", (Law.A,))
    with pytest.raises(NoSoundError):
        agreed(b"c=IN IP4 phone.example\nm=audio 9 RTP/AVP 8\n", (Law.A,))
    chosen = agreed(
        b"c=IN IP4 10.0.0.1\nm=audio 9000 RTP/AVP 8 96\na=rtpmap:96 telephone-event/8000\n",
        (Law.MU, Law.A),
    )
    assert (chosen.host, chosen.port, chosen.law, chosen.event_type) == (
        "10.0.0.1",
        9000,
        Law.A,
        96,
    )


@pytest.mark.parametrize("data", [b"", b"\x80" * 11, b"\x90" + b"\0" * 11, b"\xa0" + b"\xff" * 12])
def test_a_packet_that_is_cut_off_is_none(data: bytes) -> None:
    assert payload_of(data) is None
