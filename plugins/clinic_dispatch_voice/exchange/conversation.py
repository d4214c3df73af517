"""What is said in a call, and what becomes of it: the message, which key does what, thanks."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from clinic_dispatch_plugin.api import Answer
from clinic_dispatch_voice.exchange.audio import RATE, encode
from clinic_dispatch_voice.exchange.line import Line
from clinic_dispatch_voice.exchange.listening import PATIENCE, Answered
from clinic_dispatch_voice.exchange.speech import CALL
from clinic_dispatch_voice.words import AGAIN, CONFIRM

#: Seconds in which a key can be pressed after the words.
_FOR_A_KEY = 5.0
#: Seconds a message has to be heard for; of a shorter one, all of it, and of a long one, half of it.
_HEARD_AT_LEAST = 3.0
#: Times a message is said, however often somebody asks.
_MOST_TIMES = 5
#: A call's answer by a machine, and what it means: call again, leave the message there, or nobody looks.
TRY_AGAIN, LEAVE_IT, OFF = "again", "enough", "off"
#: Seconds a machine may greet before the message is left, and of quiet after its tone.
_LONGEST_GREETING, _AFTER_TONE = 30.0, 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Everything that may be said in one call, as samples."""

    message: array[int] = field(repr=False)
    #: Which keys there are, while it can be heard again and when it cannot; empty: no key is asked for.
    both: array[int] = field(default_factory=lambda: array("h"), repr=False)
    confirm: array[int] = field(default_factory=lambda: array("h"), repr=False)
    thanks: array[int] = field(default_factory=lambda: array("h"), repr=False)
    bye: array[int] = field(default_factory=lambda: array("h"), repr=False)

    @property
    def seconds(self) -> float:
        """How long the message is."""
        return len(self.message) / RATE


@dataclass(slots=True, kw_only=True)
class Talk:
    """What became of an answered call."""

    #: The longest stretch of the message that was played.
    heard: float = 0.0
    of: float = 0.0
    confirmed: bool = False
    answered_by: str = ""
    #: Why the far end hung up, where it said so.
    why: str = ""

    @property
    def is_heard(self) -> bool:
        """Whether enough was played to call it told."""
        return self.confirmed or self.heard >= min(self.of, max(_HEARD_AT_LEAST, self.of / 2))

    def refusal(self, machine: str) -> Answer | None:
        """Why the message was not told; None: it was."""
        if self.answered_by == Answered.MACHINE and machine == TRY_AGAIN:
            return Answer(system=CALL, code="machine", text="a long greeting: probably a machine")
        if not self.is_heard:
            said = f"{self.heard:.1f} of {self.of:.1f} seconds were played"
            said = f"{said}; {self.why}" if self.why else said
            return Answer(system=CALL, code="hung_up_early", text=said)
        return None

    def details(self) -> dict[str, str]:
        """What a report tells besides."""
        part = "whole" if self.heard >= self.of else "part"
        told = {"answered_by": self.answered_by, "seconds": f"{self.heard:.0f}", "heard": part}
        return {name: value for name, value in told.items() if value}


async def talk(line: Line, script: Script, *, repeat: int, machine: str = OFF) -> Talk:
    """Say it all, and answer the keys."""
    done = Talk(of=script.seconds)
    if machine != OFF:
        done.answered_by = await _who(line)
        if done.answered_by == Answered.MACHINE:
            if machine == LEAVE_IT:
                await _after_the_tone(line)
                await _tell(line, script, done)
            return done
    await _with_keys(line, script, done, repeat=repeat)
    done.why = line.why
    return done


async def _with_keys(line: Line, script: Script, done: Talk, *, repeat: int) -> None:
    key = ""
    for time in range(1, _MOST_TIMES + 1):
        await _tell(line, script, done)
        again = time < repeat
        if not line.disturbed and script.both:
            await line.say(_law(script.both if again else script.confirm, line))
            await line.be_quiet(_FOR_A_KEY)
        key = _wanted(line)
        if line.over or key == CONFIRM or not (again or key == AGAIN):
            break
    if key == CONFIRM:
        done.confirmed = True
        await line.say(_law(script.thanks, line))
    elif not line.over:
        await line.say(_law(script.bye, line))


async def _tell(line: Line, script: Script, done: Talk) -> None:
    seconds = await line.say(_law(script.message, line))
    done.heard = max(done.heard, min(seconds, done.of))


def _wanted(line: Line) -> str:
    """The first key that means something; others do not matter."""
    while key := line.take_key():
        if key in (AGAIN, CONFIRM):
            return key
    return ""


async def _who(line: Line) -> str:
    waited = 0.0
    while line.greeting.verdict is None and not line.over and waited < PATIENCE:
        await line.be_quiet(0.1)
        waited += 0.1
        if line.disturbed and not line.over:
            return Answered.PERSON  # machines press no keys
    return line.greeting.verdict or Answered.UNSURE


async def _after_the_tone(line: Line) -> None:
    waited = 0.0
    while not line.over and waited < _LONGEST_GREETING and line.greeting.quiet < _AFTER_TONE:
        await line.be_quiet(0.1)
        waited += 0.1


def _law(samples: array[int], line: Line) -> bytes:
    return encode(samples, line.law)
