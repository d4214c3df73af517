"""The exchange with SIPp as its caller, and our calls with SIPp as the exchange: both sides against strangers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from clinic_dispatch_plugin.api import (
    Accepted,
    ConnectionFailed,
    HearsReports,
    Refused,
    Sender,
    SendResult,
)
from clinic_dispatch_plugin.simulators.sip import (
    ExchangeSettings,
    Plan,
    SipSimulator,
    Way,
    number_for,
)
from clinic_dispatch_plugin.testing import ListBatch, make_message
from clinic_dispatch_voice.channel import VoiceChannel
from clinic_dispatch_voice.settings import URL, load_accounts
from tests.servers import sipp
from tests.servers.found import Found, require
from tests.voice.exchange import SENDER, recording

PASSWORD = "se-cret"

_INVITE = """<send retrans="500"><![CDATA[
INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:+493012345678@[local_ip]:[local_port]>;tag=[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: {number} INVITE
Contact: <sip:clinic@[local_ip]:[local_port]>
Max-Forwards: 70{more}
Content-Type: application/sdp
Content-Length: [len]

v=0
o=user1 5 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [media_port] RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
]]></send>"""
_IN_CALL = """<send {attributes}><![CDATA[
{method} sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch{branch}]
From: <sip:+493012345678@[local_ip]:[local_port]>;tag=[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: {number} {method}
Max-Forwards: 70
Content-Length: 0

]]></send>"""
_LOGIN = f"\n[authentication username=clinic password={PASSWORD}]"


def _scenario(*steps: str) -> str:
    body = "\n".join(steps)
    return f'<?xml version="1.0" encoding="UTF-8"?><scenario name="call">{body}</scenario>'


def _in_call(method: str, number: int, *, branch: str = "", attributes: str = "") -> str:
    return _IN_CALL.format(method=method, number=number, branch=branch, attributes=attributes)


_SIGNED_ON = (
    _INVITE.format(number=1, more=""),
    '<recv response="407" auth="true"></recv>',
    _in_call("ACK", 1, branch="-1"),
    _INVITE.format(number=2, more=_LOGIN),
    '<recv response="100" optional="true"></recv>',
)


@pytest.fixture(scope="module")
def program() -> Found:
    return require(sipp.find())


@pytest.fixture(scope="module")
def exchange() -> Iterator[SipSimulator]:
    settings = ExchangeSettings(user="clinic", password=PASSWORD, algorithms=("MD5",))
    with SipSimulator(settings) as simulator:
        yield simulator


def test_a_stranger_signs_on_is_answered_and_hangs_up(
    program: Found, exchange: SipSimulator, tmp_path: Path
) -> None:
    script = _scenario(
        *_SIGNED_ON,
        '<recv response="180"></recv>',
        '<recv response="200"></recv>',
        _in_call("ACK", 2),
        '<pause milliseconds="100"/>',
        _in_call("BYE", 3, attributes='retrans="500"'),
        '<recv response="200"></recv>',
    )
    problem = sipp.call(
        program, script, tmp_path, port=exchange.port, number="+491510", password=PASSWORD
    )
    assert problem == ""
    call = exchange.calls[-1]
    assert (call.number, call.answered, call.ended_by) == ("+491510", True, "caller")


@pytest.mark.parametrize("status", [404, 486, 603])
def test_a_stranger_is_refused_as_the_number_asks(
    program: Found, exchange: SipSimulator, tmp_path: Path, status: int
) -> None:
    script = _scenario(
        *_SIGNED_ON, f'<recv response="{status}"></recv>', _in_call("ACK", 2, branch="-1")
    )
    number = number_for(Plan(status=status))
    problem = sipp.call(
        program, script, tmp_path, port=exchange.port, number=number, password=PASSWORD
    )
    assert problem == ""


def test_a_stranger_hears_that_somebody_hung_up(
    program: Found, exchange: SipSimulator, tmp_path: Path
) -> None:
    script = _scenario(
        *_SIGNED_ON,
        '<recv response="180"></recv>',
        '<recv response="200"></recv>',
        _in_call("ACK", 2),
        '<recv request="BYE"></recv>',
        "<send><![CDATA[\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]"
        "\n[last_CSeq:]\nContent-Length: 0\n\n]]></send>",
    )
    number = number_for(Plan(way=Way.HANGS_UP))
    problem = sipp.call(
        program, script, tmp_path, port=exchange.port, number=number, password=PASSWORD
    )
    assert problem == ""
    assert exchange.calls[-1].ended_by == "called"


# -- our calls, with a stranger as the exchange ------------------------------------------------------

_REPLY = """<send {attributes}><![CDATA[
SIP/2.0 {status} {words}
[last_Via:]
[last_From:]
[last_To:];tag=[call_number]
[last_Call-ID:]
[last_CSeq:]{more}
Contact: <sip:exchange@[local_ip]:[local_port]>
{body}
]]></send>"""
_SDP = """Content-Type: application/sdp
Content-Length: [len]

v=0
o=user1 5 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [media_port] RTP/AVP 8
a=rtpmap:8 PCMA/8000
"""


def _reply(
    status: int,
    words: str,
    *,
    more: str = "",
    body: str = "Content-Length: 0\n",
    attributes: str = "",
) -> str:
    return _REPLY.format(status=status, words=words, more=more, body=body, attributes=attributes)


_CHALLENGED = (
    '<recv request="INVITE"></recv>',
    _reply(
        401,
        "Unauthorized",
        more='\nWWW-Authenticate: Digest realm="sipp", nonce="4711", algorithm=MD5, qop="auth"',
    ),
    '<recv request="ACK"></recv>',
    '<recv request="INVITE" auth="true"><action>'
    f'<verifyauth assign_to="good" username="clinic" password="{PASSWORD}"/></action></recv>',
    '<nop test="good" next="in"></nop>',
    _reply(403, "Forbidden"),
    '<label id="in"/>',
)


def _sender_at(port: int, folder: Path) -> VoiceChannel:
    sound = quote(str(recording(folder, 0.3)), safe="")
    options = f"recording={sound}&keys=off&timeout=5&folder={quote(str(folder), safe='')}"
    url = f"sip://clinic:{PASSWORD}@127.0.0.1:{port}/?sender={SENDER}&{options}"
    return VoiceChannel(load_accounts({URL: url}))


def test_a_stranger_takes_our_call_to_its_end(program: Found, tmp_path: Path) -> None:
    script = _scenario(
        *_CHALLENGED,
        _reply(180, "Ringing"),
        _reply(200, "OK", body=_SDP, attributes='retrans="500"'),
        '<recv request="ACK"></recv>',
        '<recv request="BYE"></recv>',
        _reply(200, "OK"),
    )
    with sipp.exchange(program, script, tmp_path, calls=1) as port:
        channel = _sender_at(port, tmp_path)
        with channel.open(channel.accounts()[0]) as sender:
            (result,) = _once_it_listens(sender)
            assert isinstance(sender, HearsReports)
            (report,) = sender.reports()
    assert isinstance(result, Accepted)
    assert report.details["heard"] == "whole"


def test_a_stranger_refuses_our_call_with_the_network_s_reason(
    program: Found, tmp_path: Path
) -> None:
    script = _scenario(
        *_CHALLENGED,
        _reply(480, "Temporarily Unavailable", more="\nReason: Q.850;cause=20"),
        '<recv request="ACK"></recv>',
    )
    with sipp.exchange(program, script, tmp_path, calls=1) as port:
        channel = _sender_at(port, tmp_path)
        with channel.open(channel.accounts()[0]) as sender:
            (result,) = _once_it_listens(sender)
    assert isinstance(result, Refused)
    assert (result.answer.system, result.answer.code) == ("q850", "20")


def _once_it_listens(sender: Sender) -> list[SendResult]:
    """Send one message; until the exchange listens there is nobody, which is said at once."""
    until = time.monotonic() + 10
    message = make_message("+4915123456789")
    while True:
        try:
            return list(sender.send(ListBatch([message])))
        except ConnectionFailed:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
