"""The HTTP kit for gateways: what is surely not sent, what is in doubt, and how messages become requests."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import pytest

from clinic_dispatch_plugin.api import (
    Accepted,
    Answer,
    CannotSendError,
    ConnectionFailed,
    HttpClient,
    HttpFailure,
    HttpLimits,
    HttpProtocol,
    HttpReply,
    HttpRequest,
    HttpSender,
    OutgoingMessage,
    Refused,
    SendApart,
    SendResult,
    Uncertain,
    unusable,
)
from clinic_dispatch_plugin.channels.http import MOST_BYTES
from clinic_dispatch_plugin.testing.batches import ListBatch
from clinic_dispatch_plugin.testing.messages import make_message

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Serve = Callable[[socket.socket], None]


@contextlib.contextmanager
def server(serve: Serve) -> Iterator[str]:
    """A server whose every connection is served so."""
    listening = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=one, args=(connection,), daemon=True).start()

    def one(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            serve(connection)

    threading.Thread(target=run, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.close()


def saying(*answers: bytes) -> Serve:
    """Each answer to one request of the connection, then the end."""

    def serve(connection: socket.socket) -> None:
        for answer in answers:
            read_request(connection)
            connection.sendall(answer)

    return serve


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += received(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        ),
        0,
    )
    while len(body) < length:
        body += received(connection)
    return body


def received(connection: socket.socket) -> bytes:
    """What came; a thread that waited for more from somebody who has left would never end."""
    data = connection.recv(65536)
    if not data:
        raise ConnectionResetError
    return data


@pytest.fixture
def client() -> Iterator[HttpClient[str]]:
    found: HttpClient[str] = HttpClient(HttpLimits(connect_timeout=2, timeout=0.5, connections=8))
    yield found
    found.close()


def failure(client: HttpClient[str], url: str) -> HttpFailure:
    with pytest.raises(HttpFailure) as caught:
        client.ask(HttpRequest.form(f"{url}/send?key=canary", {"text": "canary"}))
    assert "canary" not in caught.value.answer.text
    return caught.value


# -- the client -----------------------------------------------------------------------------------


def test_nobody_listens(client: HttpClient[str], free_port: int) -> None:
    found = failure(client, f"http://127.0.0.1:{free_port}")
    assert (found.maybe_sent, found.answer.code) == (False, "connect_failed")
    assert f"127.0.0.1:{free_port}" in found.answer.text


def test_a_host_nobody_knows(client: HttpClient[str]) -> None:
    found = failure(client, "http://gateway.invalid")
    assert (found.maybe_sent, found.answer.code) == (False, "connect_failed")


def test_plain_words_where_tls_is_expected(client: HttpClient[str]) -> None:
    with server(saying(GOOD)) as url:
        found = failure(client, url.replace("http:", "https:"))
    assert not found.maybe_sent


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "connection_lost"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "connection_lost"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{", "connection_lost"),
        (b"220 mail.example ESMTP\r\n", "unknown_answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n", "unknown_answer"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 20_000 + b"\r\n\r\n", "unknown_answer"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * (MOST_BYTES + 1), "unknown_answer"),
    ],
    ids=["end", "half head", "half body", "smtp", "negative", "long head", "huge"],
)
def test_after_the_request_everything_unusable_is_doubt(
    client: HttpClient[str], answer: bytes, code: str
) -> None:
    with server(saying(answer)) as url:
        found = failure(client, url)
    assert (found.maybe_sent, found.answer.code) == (True, code)


def test_silence_is_doubt(client: HttpClient[str]) -> None:
    with server(lambda connection: time.sleep(5)) as url:
        found = failure(client, url)
    assert (found.maybe_sent, found.answer.code) == (True, "timeout")


def test_an_answer_drop_by_drop_ends_too(client: HttpClient[str]) -> None:
    def drip(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b" ")
            time.sleep(0.1)

    with server(drip) as url:
        begun = time.monotonic()
        assert failure(client, url).maybe_sent
        assert time.monotonic() - begun < 8


@pytest.mark.parametrize("way", ["ask", "start"])
def test_a_connection_that_ended_while_idle_is_not_used_again(
    client: HttpClient[str], way: str
) -> None:
    answered, ended = threading.Semaphore(0), threading.Semaphore(0)

    def serve(connection: socket.socket) -> None:  # seems to keep the connection, and ends it
        saying(GOOD)(connection)
        answered.acquire(timeout=10)
        connection.close()
        ended.release()

    def ask(request: HttpRequest) -> HttpReply | HttpFailure:
        if way == "ask":
            return client.ask(request)
        client.start(request, "token")
        return client.finished(10)[0][1]

    with server(serve) as url:
        for _ in range(3):
            reply = ask(HttpRequest.form(url, {}))
            assert isinstance(reply, HttpReply)
            answered.release()
            assert ended.acquire(timeout=10)


def test_connections_are_kept(client: HttpClient[str]) -> None:
    connections: list[int] = []

    def serve(connection: socket.socket) -> None:
        connections.append(1)
        saying(*[GOOD] * 10)(connection)

    with server(serve) as url:
        for _ in range(5):
            client.ask(HttpRequest.form(url, {}))
    assert len(connections) == 1


def test_several_requests_at_once(client: HttpClient[str]) -> None:
    together = threading.Barrier(8, timeout=10)

    def serve(connection: socket.socket) -> None:
        read_request(connection)
        together.wait()  # nobody is answered before all have asked
        connection.sendall(GOOD)

    patient: HttpClient[str] = HttpClient(HttpLimits(timeout=20, connections=8))
    with server(serve) as url:
        for number in range(8):
            patient.start(HttpRequest.form(url, {}), str(number))
        assert (patient.under_way, patient.free) == (8, 0)
        done: list[str] = []
        while len(done) < 8:
            done += [token for token, reply in patient.finished(10) if isinstance(reply, HttpReply)]
        patient.close()
    assert sorted(done) == [str(number) for number in range(8)]


def test_redirects_are_answers_and_not_followed(client: HttpClient[str]) -> None:
    moved = b"HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with server(saying(moved)) as url:
        reply = client.ask(HttpRequest.form(url, {}))
    assert reply.status == 307
    assert not unusable(reply).maybe_sent


@pytest.mark.parametrize(
    ("status", "maybe"),
    [
        (200, True),
        (302, True),
        (500, True),
        (503, True),
        (408, True),
        (307, False),
        (404, False),
        (429, False),
    ],
)
def test_what_a_status_alone_says(status: int, maybe: bool) -> None:
    assert unusable(HttpReply(status=status)).maybe_sent is maybe


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7.0),
        ("Mon, 15 Jan 2024 12:00:30 GMT", 30.0),
        ("Mon, 15 Jan 2024 11:00:00 GMT", 0.0),
        ("99999999999", 86_400.0),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
)
def test_how_long_to_wait(said: str, seconds: float | None) -> None:
    reply = HttpReply(status=429, headers={"retry-after": said})
    assert reply.retry_after(now=datetime(2024, 1, 15, 12, tzinfo=UTC)) == seconds


# -- the sender -----------------------------------------------------------------------------------


class Postcards(HttpProtocol):
    """A gateway that says nothing of itself: each test says what its answers mean."""

    most = 4

    def __init__(
        self, url: str, meaning: Callable[[Sequence[OutgoingMessage]], Sequence[SendResult]]
    ) -> None:
        self._url = url
        self._meaning = meaning
        self.groups: list[int] = []

    def admit(self, message: OutgoingMessage) -> None:
        if message.content.text == "too long":
            raise CannotSendError(Answer(system="dispatch", code="text_too_long"))

    def together(self, group: Sequence[OutgoingMessage], message: OutgoingMessage) -> bool:
        return message.content.text != "alone"

    def compose(self, group: Sequence[OutgoingMessage]) -> HttpRequest:
        if any(each.content.text == "harmful" for each in group):
            raise KeyError("something of the patient's")
        self.groups.append(len(group))
        return HttpRequest.json(self._url, [each.address for each in group])

    def understand(
        self, group: Sequence[OutgoingMessage], reply: HttpReply
    ) -> Sequence[SendResult]:
        return self._meaning(group)


def all_taken(group: Sequence[OutgoingMessage]) -> Sequence[SendResult]:
    return [Accepted(attempt_id=each.attempt_id) for each in group]


def sent(
    messages: Sequence[OutgoingMessage],
    meaning: Callable[[Sequence[OutgoingMessage]], Sequence[SendResult]] = all_taken,
    *,
    connections: int = 1,
) -> tuple[dict[int, SendResult], list[int]]:
    with server(saying(*[GOOD] * 99)) as url:
        protocol = Postcards(url, meaning)
        sender = HttpSender(protocol, HttpLimits(connections=connections))
        try:
            results = {each.attempt_id: each for each in sender.send(ListBatch(messages))}
        finally:
            sender.close()
    return results, protocol.groups


def several(*texts: str) -> list[OutgoingMessage]:
    return [make_message(f"p{number}", text=text) for number, text in enumerate(texts)]


def test_messages_go_in_lists() -> None:
    results, groups = sent(several(*"abcdefghij"))
    assert (len(results), groups) == (10, [4, 4, 2])


def test_one_that_goes_alone_keeps_its_place() -> None:
    results, groups = sent(several("a", "b", "alone", "c"))
    assert (len(results), groups) == (4, [2, 2])


def test_one_that_cannot_go_does_not_hold_up_the_others() -> None:
    messages = several("a", "too long", "b")
    results, _ = sent(messages)
    assert [type(results[each.attempt_id]) for each in messages] == [Accepted, Refused, Accepted]


def test_a_request_that_cannot_be_built_sends_nobody() -> None:
    messages = several("a", "harmful")
    results, groups = sent(messages)
    assert groups == []
    for each in results.values():
        assert isinstance(each, Refused)
        assert (each.answer.code, each.answer.text) == ("harmful", "KeyError")


def test_whoever_the_answer_leaves_out_is_in_doubt() -> None:
    messages = several("a", "b", "c")
    results, _ = sent(messages, lambda group: all_taken(group[:2]))
    assert isinstance(results[messages[2].attempt_id], Uncertain)


def test_an_answer_that_breaks_the_reading_is_doubt() -> None:
    def breaks(group: Sequence[OutgoingMessage]) -> Sequence[SendResult]:
        raise AttributeError("'list' has no attribute 'get'")

    messages = several("a", "b")
    results, _ = sent(messages, breaks)
    assert [type(each) for each in results.values()] == [Uncertain] * 2


def test_halves_find_who_is_at_fault() -> None:
    def one_is_bad(group: Sequence[OutgoingMessage]) -> Sequence[SendResult]:
        if any(each.content.text == "bad" for each in group):
            if len(group) > 1:
                raise SendApart
            answer = Answer(system="dispatch", code="harmful")
            return [Refused(attempt_id=group[0].attempt_id, answer=answer)]
        return all_taken(group)

    messages = several("a", "b", "bad", "c")
    results, groups = sent(messages, one_is_bad)
    kinds = [type(results[each.attempt_id]) for each in messages]
    assert kinds == [Accepted, Accepted, Refused, Accepted]
    assert groups == [4, 2, 2, 1, 1]


def test_a_gateway_that_never_finds_the_fault_leaves_doubt() -> None:
    def never(group: Sequence[OutgoingMessage]) -> Sequence[SendResult]:
        raise SendApart

    results, _ = sent(several("a", "b"), never)
    assert [type(each) for each in results.values()] == [Uncertain] * 2


def test_a_throttle_ends_the_batch_and_says_how_long() -> None:
    def busy(group: Sequence[OutgoingMessage]) -> Sequence[SendResult]:
        raise ConnectionFailed(Answer(system="x", code="429"), retry_after=7)

    batch = ListBatch(several(*"abcdefghij"))
    with server(saying(*[GOOD] * 9)) as url:
        sender = HttpSender(Postcards(url, busy), HttpLimits(connections=1))
        with pytest.raises(ConnectionFailed) as caught:
            list(sender.send(batch))
        sender.close()
    assert caught.value.retry_after == 7
    assert len(batch.taken) == 4


def test_a_second_list_waits_a_little_to_become_full() -> None:
    """Messages that trickle in while a request is under way do not become a request each."""
    gate = threading.Event()

    def serve(connection: socket.socket) -> None:
        while True:
            read_request(connection)
            gate.wait(10)
            connection.sendall(GOOD)

    batch = ListBatch(several("a"), closed=False)
    with server(serve) as url:
        protocol = Postcards(url, all_taken)
        sender = HttpSender(protocol, HttpLimits(connections=2))
        results: list[SendResult] = []
        thread = threading.Thread(target=lambda: results.extend(sender.send(batch)))
        thread.start()
        while not batch.taken:
            time.sleep(0.005)
        batch.add(*several("b", "c", "d", "e"))
        batch.close()
        gate.set()
        thread.join(20)
        sender.close()
    assert (len(results), protocol.groups) == (5, [1, 4])
