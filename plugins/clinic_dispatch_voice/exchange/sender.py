"""Lets several calls go on at once, and hears what became of each; their sound has a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import Protocol

from clinic_dispatch_plugin.api import (
    Accepted,
    AccountError,
    Answer,
    Batch,
    ConnectionFailed,
    DeliveryReport,
    Money,
    OutgoingMessage,
    Refused,
    ReportStatus,
    SendResult,
    SentMessage,
    Uncertain,
    UncertainError,
    fail_point,
)
from clinic_dispatch_voice.details import confirmed
from clinic_dispatch_voice.exchange.conversation import Script, Talk
from clinic_dispatch_voice.exchange.lines import NumberBusyError, hold
from clinic_dispatch_voice.exchange.outcome import NotTakenError
from clinic_dispatch_voice.exchange.settings import CallSettings
from clinic_dispatch_voice.exchange.speech import (
    CALL,
    NO_SPEECH,
    SpeechFailedError,
    can_speak,
    prompt,
    speak,
)
from clinic_dispatch_voice.words import CONFIRM, spoken, words_in

log = logging.getLogger(__name__)

#: Seconds between looks at a batch that may get more while calls go on.
_LOOK = 0.05
#: Seconds in which calls that are broken off may say goodbye.
_GOODBYE = 5.0
_Over = AccountError | ConnectionFailed


class Caller(Protocol):
    """Makes one call; lives on the sender's own thread."""

    async def call(self, message: OutgoingMessage, script: Script) -> Talk:
        """Ring, speak, hang up.

        :raises NotTakenError: nobody was told anything.
        :raises UncertainError: it may have rung.
        :raises AccountError: the account is at fault.
        :raises ConnectionFailed: the exchange cannot be reached.
        """

    async def sign_in(self) -> None:
        """Ask whether the exchange is there and knows us, without calling anybody."""

    async def close(self) -> None:
        """Let go of what is kept between calls."""


class CallingSender:
    """An open account at an exchange."""

    def __init__(self, settings: CallSettings, caller: Caller) -> None:
        self._settings = settings
        self._caller = caller
        self._done: queue.SimpleQueue[SendResult | _Over] = queue.SimpleQueue()
        self._reports: deque[DeliveryReport] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._next_at = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="dispatch-calls", daemon=True
        )
        self._thread.start()

    # What the core asks

    def send(self, batch: Batch) -> Iterator[SendResult]:
        """Call as many at once as the account may; one result per message, at the end of its call.

        :raises AccountError: the exchange refuses the account, or nothing here can speak.
        :raises ConnectionFailed: it cannot be reached.
        """
        over: _Over | None = None
        under_way = 0
        try:
            while True:
                while over is None and under_way < self._settings.connections:
                    message = self._take(batch)
                    if message is None:
                        break
                    self._begin(message)
                    under_way += 1
                if not under_way:
                    if over is not None:
                        raise over
                    if batch.ended:
                        return
                    batch.wait(min(1.0, max(_LOOK, self._next_at - time.monotonic())))
                    continue
                found = self._finished(_LOOK if over is None and not batch.ended else 1.0)
                if found is None:
                    continue
                under_way -= 1
                if isinstance(found, AccountError | ConnectionFailed):
                    over = over if isinstance(over, AccountError) else found
                else:
                    yield found
        finally:
            if under_way:
                self._on_loop(self._break_off())

    def reports(self) -> Generator[DeliveryReport, None, None]:
        """What became of answered calls; asking for the next one says that this one is kept."""
        while self._reports:
            yield self._reports[0]
            self._reports.popleft()

    def check(self, sent: Sequence[SentMessage]) -> Iterator[DeliveryReport]:
        """Nothing: a call is over when its result is known, and no exchange remembers it for us."""
        return iter(())

    def balance(self) -> Money | None:
        """None: the exchange has none."""
        return None

    def price(self, batch: Sequence[OutgoingMessage]) -> Money | None:
        """None: what a call costs is between the exchange and its provider."""
        return None

    def sign_in(self) -> None:
        """Look whether calls could be made.

        :raises AccountError: the account is refused, or nothing here can speak.
        :raises ConnectionFailed: the exchange cannot be reached.
        """
        self._prove_speech()
        asyncio.run_coroutine_threadsafe(self._caller.sign_in(), self._loop).result()

    def close(self) -> None:
        """Break off every call, and end the thread."""
        self._on_loop(self._break_off())
        self._on_loop(self._caller.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_GOODBYE)
        if not self._thread.is_alive():
            self._loop.close()

    # One call

    def _take(self, batch: Batch) -> OutgoingMessage | None:
        if not len(batch) or time.monotonic() < self._next_at:
            return None
        self._prove_speech()
        message = batch.poll()
        if message is not None and self._settings.rate:
            self._next_at = time.monotonic() + 1 / self._settings.rate
        return message

    def _prove_speech(self) -> None:
        if self._settings.recording is None and not can_speak():
            raise AccountError(NO_SPEECH)

    def _begin(self, message: OutgoingMessage) -> None:
        def begin() -> None:
            task = self._loop.create_task(self._one(message))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

        self._loop.call_soon_threadsafe(begin)

    async def _one(self, message: OutgoingMessage) -> None:
        try:
            self._done.put(await self._called(message))
        except (AccountError, ConnectionFailed) as error:
            self._done.put(error)

    async def _called(self, message: OutgoingMessage) -> SendResult:
        attempt_id = message.attempt_id
        try:
            script = await asyncio.to_thread(self._script, message)
            done = await self._alone(message, script)
        except (NotTakenError, SpeechFailedError) as error:
            wait = error.retry_after if isinstance(error, NotTakenError) else None
            return Refused(attempt_id=attempt_id, answer=error.answer, retry_after=wait)
        except NumberBusyError as busy:
            return Refused(
                attempt_id=attempt_id,
                answer=_busy(busy),
                retryable=True,
                retry_after=busy.seconds,
            )
        except OSError as error:
            text = f"numbers that are called cannot be written down: {error.strerror or error}"
            raise ConnectionFailed(
                Answer(system="dispatch", code="connect_failed", text=text)
            ) from None
        except UncertainError as error:
            return Uncertain(
                attempt_id=attempt_id, answer=error.answer, provider_id=message.attempt_key
            )
        refused = done.refusal(self._settings.machine)
        if refused is not None:
            return Refused(attempt_id=attempt_id, answer=refused)
        self._reports.append(_report(message, done))
        return Accepted(attempt_id=attempt_id, provider_id=message.attempt_key)

    async def _alone(self, message: OutgoingMessage, script: Script) -> Talk:
        """Call, with nobody else of ours calling the number."""
        with hold(message.address, self._settings.folder) as number:
            try:
                done = await self._caller.call(message, script)
            except (NotTakenError, AccountError, ConnectionFailed):
                raise
            except BaseException as error:
                number.doubt()
                if isinstance(error, UncertainError | asyncio.CancelledError):
                    raise
                log.error("a call failed: %s", type(error).__name__)
                answer = Answer(
                    system="dispatch", code="connection_lost", text=type(error).__name__
                )
                raise UncertainError(answer) from error
            fail_point("send.after_bytes")
            return done

    def _script(self, message: OutgoingMessage) -> Script:
        """Everything that may be said, spoken before anybody's phone rings.

        :raises SpeechFailedError: it cannot be spoken.
        """
        settings, words = self._settings, words_in(message.locale)
        text = spoken(message.content.text)
        said = settings.recording
        if said is None:
            if not text:
                raise SpeechFailedError("the text is empty")
            said = speak(text, message.locale)
        if not can_speak() or (settings.recording is not None and not settings.keys):
            return Script(message=said)  # a recording says all there is to say
        both, confirm = (words.both, words.confirm) if settings.keys else ("", "")
        several = {"both": both, "confirm": confirm, "thanks": words.thanks, "bye": words.bye}
        spoken_words = {name: prompt(each, words.tag) for name, each in several.items() if each}
        return Script(message=said, **spoken_words)

    # The thread

    def _finished(self, patience: float) -> SendResult | _Over | None:
        try:
            return self._done.get(timeout=patience)
        except queue.Empty:
            return None

    def _on_loop(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_GOODBYE)

    async def _break_off(self) -> None:
        calls = list(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        while self._finished(0.0) is not None:
            pass


def _busy(busy: NumberBusyError) -> Answer:
    if busy.in_doubt:
        return Answer(system=CALL, code="may_have_rung", text="its last call may have rung")
    return Answer(system=CALL, code="being_called", text="another call of ours goes there now")


def _report(message: OutgoingMessage, done: Talk) -> DeliveryReport:
    return DeliveryReport(
        status=ReportStatus.DELIVERED,
        attempt_key=message.attempt_key,
        provider_id=message.attempt_key,
        details={**done.details(), **(confirmed(CONFIRM) if done.confirmed else {})},
    )
