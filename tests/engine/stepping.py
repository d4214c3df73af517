"""A worker whose every step is made by hand, and a gateway that remembers what it really took."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from clinic_dispatch_plugin.api import Accepted, Answer, NotSent, Refused, SendResult, Uncertain
from clinic_dispatch_plugin.channels.types import OutgoingMessage
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.engine import store
from clinic_dispatch_plugin.engine.aftermath import settle
from clinic_dispatch_plugin.engine.claims import Claims
from clinic_dispatch_plugin.engine.feed import Feed
from clinic_dispatch_plugin.engine.journal import Journal
from clinic_dispatch_plugin.engine.lease import Lease
from clinic_dispatch_plugin.engine.prepare import load_text
from clinic_dispatch_plugin.engine.run import RunState
from clinic_dispatch_plugin.engine.tables import Run
from clinic_dispatch_plugin.engine.windows import Windows
from clinic_dispatch_plugin.messages import store as messages
from tests.engine.dispatching import Desk

#: Messages one worker leases at once: few, so that several share a small mailing.
AT_ONCE = 3


@dataclass
class Gateway:
    """What it does with a message is decided by whoever tests; what it took, it took."""

    #: How often it took a message, by the message's key.
    took: Counter[str] = field(default_factory=Counter)
    #: Attempts it took: those it may report about.
    known: dict[int, str] = field(default_factory=dict)

    def handle(self, message: OutgoingMessage, does: str) -> SendResult:
        """``takes``, ``takes silently``, ``loses``, ``refuses`` or ``delays``."""
        if does in ("takes", "takes silently"):
            self.took[message.message_key] += 1
            self.known[message.attempt_id] = message.message_key
        if does == "takes":
            return Accepted(attempt_id=message.attempt_id, provider_id=f"g{message.attempt_id}")
        if does in ("takes silently", "loses"):
            lost = Answer(system="dispatch", code="connection_lost", text="no answer")
            return Uncertain(attempt_id=message.attempt_id, answer=lost)
        code = "unknown" if does == "refuses" else "greylisted"
        answer = Answer(system="fake", code=code, text=f"{code} it is")
        return Refused(attempt_id=message.attempt_id, answer=answer)


class Stepper:
    """One run of one mailing: the engine's own parts, moved by hand."""

    def __init__(self, desk: Desk, mailing_id: int) -> None:
        dispatch = desk.dispatch
        self.desk = desk
        self.mailing_id = mailing_id
        run_id = dispatch.database.run(
            lambda c: store.start_run(c, worker="w", host="h", boot_id="b", lease=120.0)
        )
        self.run = RunState(
            dispatch=dispatch,
            run_id=run_id,
            journal=Journal(dispatch.settings.spool_dir, run_id),
            lease=Lease(dispatch, run_id),
            deadline=float("inf"),
            unsubscribe_url=lambda row, text: None,
        )
        account = desk.channel.accounts()[0]
        account_id = desk.account()["id"]
        with dispatch.database.begin() as connection:
            text = load_text(connection, mailing_id, desk.channel.key)
        self.feed = Feed(self.run.journal, lambda: self.run.may_send)
        claims = Claims(
            self.run, account, mailing_id=mailing_id, account_id=account_id, most=AT_ONCE
        )
        self.windows = Windows(
            self.run, self.feed, claims, text, account=account, account_id=account_id
        )
        self.taken: list[OutgoingMessage] = []
        #: The gateway said so, and it is in the journal.
        self.answered: list[SendResult] = []
        self.said: list[SendResult] = []

    def open(self) -> None:
        """Record what came, and open the next window."""
        prepared = self.windows.prepare_next(meanwhile=lambda: None)
        if prepared is not None or self.answered:
            answered, self.answered = self.answered, []
            self.windows.commit(answered, prepared)

    def take(self) -> OutgoingMessage | None:
        """Take the next message."""
        message = self.feed.poll()
        if message is not None:
            self.taken.append(message)
        return message

    def hand_over(self, gateway: Gateway, does: str) -> None:
        """The bytes of the oldest message taken leave."""
        if self.taken:
            self.said.append(gateway.handle(self.taken.pop(0), does))

    def answer(self) -> None:
        """The oldest answer is read and written into the journal."""
        if self.said:
            self.run.journal.answered(self.said[0])
            self.answered.append(self.said.pop(0))

    def record(self) -> None:
        """Commit what was answered."""
        answered, self.answered = self.answered, []
        self.windows.commit(answered, None)

    def expire(self) -> None:
        """Its lease runs out while it stands still: its own clock and the database's both say so."""
        self.run.lease.lost()
        run_id = self.run.run_id
        self.desk.change(Run, Run.id == run_id, Run.state == "live", live_until=db_now(-1.0))

    def end(self, gateway: Gateway) -> None:
        """It ends in good order: what was taken is handed over, what was not is proved unsent."""
        while self.taken:
            self.hand_over(gateway, "takes")
        while self.said:
            self.answer()
        untaken = [NotSent(attempt_id=each.attempt_id) for each in self.feed.untaken()]
        self.windows.finish([*self.answered, *untaken])
        run, database = self.run, self.desk.dispatch.database

        def work(connection: object) -> None:
            store.end_run(connection, run.run_id)  # type: ignore[arg-type]
            messages.give_back(connection, run_id=run.run_id)  # type: ignore[arg-type]
            settle(run.dispatch, connection, run.run_id, run.journal.content())  # type: ignore[arg-type]

        database.run(work)
        run.journal.close()

    def die(self, *, journal_lost: bool) -> None:
        """The process is gone; its journal stays, or lay on a disk that is gone too."""
        self.run.journal.close(keep=True)
        if journal_lost:
            self.run.journal.path.unlink(missing_ok=True)
