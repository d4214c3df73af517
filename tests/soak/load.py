"""What the clinic sends meanwhile: mailings one after the other, single messages, and a reader of pages."""

from __future__ import annotations

import http.client
import itertools
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from clinic_dispatch_plugin.mailings.content import MailingContent
from clinic_dispatch_plugin.mailings.sending import send, send_now
from clinic_dispatch_plugin.mailings.sources import AudienceSource
from clinic_dispatch_plugin.messages.tables import Message
from clinic_dispatch_plugin.registry import Dispatch
from tests.soak.clinic import RECEPTION
from tests.soak.people import person

#: Messages that wait at least, so that nobody is ever idle.
BACKLOG = 1_500
#: Channel orders of mailings, by weight.
ORDERS = [
    (("email",), 60),
    (("sms",), 12),
    (("viber",), 12),
    (("email", "sms"), 10),
    (("viber", "sms"), 6),
]
#: Seconds between two tries of what the database did not take.
_AGAIN = 0.5


@dataclass(slots=True)
class Accepted:
    """What the clinic's software was told is on its way: nobody may lose it."""

    #: Mailing to the numbers of its people.
    mailings: dict[int, range] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, mailing_id: int, numbers: range) -> None:
        """The call has come back."""
        with self._lock:
            self.mailings[mailing_id] = numbers

    @property
    def messages(self) -> int:
        """How many there are."""
        with self._lock:
            return sum(len(numbers) for numbers in self.mailings.values())

    def some(self, dice: random.Random, latest: int = 6) -> int | None:
        """One of the latest mailings to several people."""
        with self._lock:
            several = [m for m, numbers in self.mailings.items() if len(numbers) > 1][-latest:]
        return dice.choice(several) if several else None


class Load:
    """Threads that send until told to stop."""

    def __init__(
        self, app: Flask, dispatch: Dispatch, *, seed: int, singles: float, most: int, web_port: int
    ) -> None:
        self._app = app
        self._dispatch = dispatch
        self._dice = random.Random(f"load {seed}")
        self._numbers = itertools.count(1)
        self._next = 0
        self._taking = threading.Lock()
        self._over = threading.Event()
        self._singles = singles
        self._most = most
        self._web_port = web_port
        self.accepted = Accepted()
        #: Kinds of errors the clinic's software met, and how often.
        self.met: Counter[str] = Counter()
        #: Seconds each page took, and what was answered.
        self.pages: list[tuple[float, int]] = []
        self._threads = [
            threading.Thread(target=self._safely, args=(work,), daemon=True)
            for work in (self._send_mailings, self._send_singles, self._read_pages)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send nothing more; what was begun is sent to its end."""
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _safely(self, work: Callable[[], None]) -> None:
        with self._app.app_context():
            work()

    def _take(self, size: int) -> range:
        with self._taking:
            start = self._next
            self._next += size
        return range(start, start + size)

    @property
    def exhausted(self) -> bool:
        """Whether as many were sent as were wanted."""
        return bool(self._most) and self._next >= self._most

    def _send_mailings(self) -> None:
        while not self._over.is_set() and not self.exhausted:
            try:
                waiting = self._waiting()
            except DBAPIError as error:
                self.met[f"look: {type(error).__name__}"] += 1
                waiting = BACKLOG
            if waiting >= BACKLOG:
                self._over.wait(0.5)
                continue
            orders, weights = zip(*ORDERS, strict=True)
            [order] = self._dice.choices(orders, weights)
            self._mailing(order, self._take(self._dice.randint(200, 1_200)))

    def _mailing(self, order: tuple[str, ...], numbers: range) -> None:
        words = MailingContent(subject="Hallo {{ name }}", text="Guten Tag {{ name }}, bis bald.")
        further = {key: MailingContent(text="Guten Tag {{ name }}.") for key in order[1:]}
        filters = {"start": str(numbers.start), "end": str(numbers.stop)}
        key = uuid.uuid4().hex

        def work() -> int:
            started = send_now(
                self._dispatch,
                name=f"people {numbers.start}",
                purpose="service",
                channel=order[0],
                content=words,
                source=AudienceSource(key="people", filters=filters),
                actor=RECEPTION,
                idempotency_key=key,
                further=further,
            )
            return started.mailing_id

        self._insist(work, numbers)

    def _send_singles(self) -> None:
        while not self._over.wait(1 / self._singles) and not self.exhausted:
            numbers = self._take(1)
            orders, weights = zip(*ORDERS, strict=True)
            [order] = self._dice.choices(orders, weights)
            key = uuid.uuid4().hex

            def work(
                numbers: range = numbers, order: tuple[str, ...] = order, key: str = key
            ) -> int:
                return send(
                    self._dispatch,
                    to=person(numbers.start),
                    purpose="reminder",
                    channels=order,
                    subject="Ihr Termin",
                    text="Guten Tag {{ name }}, morgen um neun.",
                    idempotency_key=key,
                )

            self._insist(work, numbers)

    def _insist(self, work: Callable[[], int], numbers: range) -> None:
        """The same call with the same key until it comes back."""
        while True:
            try:
                self.accepted.add(work(), numbers)
                return
            except DBAPIError as error:
                self.met[f"send: {type(error).__name__}"] += 1
                time.sleep(_AGAIN)

    def _waiting(self) -> int:
        query = (
            select(func.count())
            .select_from(Message)
            .where(Message.state.in_(["queued", "leased", "sending"]))
        )
        with self._dispatch.database.begin() as connection:
            return int(connection.execute(query).scalar_one())

    def _read_pages(self) -> None:
        dice = random.Random("pages")
        while not self._over.wait(0.5):
            mailing = self.accepted.some(dice)
            paths = ["/dispatch/"]
            if mailing is not None:
                paths += [f"/dispatch/mailings/{mailing}", f"/dispatch/mailings/{mailing}/progress"]
            path = dice.choice(paths)
            began = time.monotonic()
            status = self._get(path)
            self.pages.append((time.monotonic() - began, status))

    def pages_answer(self) -> bool:
        """Whether the pages are there."""
        return self._get("/dispatch/") == 200

    def _get(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._web_port, timeout=30)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            return response.status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()
