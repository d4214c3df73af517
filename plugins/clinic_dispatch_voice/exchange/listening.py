"""Was it a person who answered? Judged by how long the greeting is: a guess, and no more than that."""

from __future__ import annotations

from enum import StrEnum

from clinic_dispatch_voice.exchange.audio import FRAME_SECONDS

#: A frame as loud as this is speech.
LOUD = 300.0
#: Seconds of speech that no person says before they wait for an answer.
_LONG_GREETING = 1.8
#: Seconds of quiet after a short greeting: somebody waits for us.
_WAITING = 0.8
#: Seconds of speech that are a word, and no crackle.
_A_WORD = 0.15
#: Seconds after which nobody waits any longer.
PATIENCE = 5.0
_QUIET_AT_FIRST = 2.5


class Answered(StrEnum):
    """Who seems to have answered."""

    PERSON = "person"
    MACHINE = "machine"
    UNSURE = "unsure"


class Greeting:
    """Listens to the first seconds; None until there is a verdict."""

    def __init__(self) -> None:
        self.verdict: Answered | None = None
        self._speech = 0.0
        self._quiet = 0.0

    def hear(self, loudness: float) -> None:
        """Take the next 20 ms."""
        if loudness >= LOUD:
            self._speech += FRAME_SECONDS
            self._quiet = 0.0
        else:
            self._quiet += FRAME_SECONDS
        if self.verdict is None:
            self.verdict = self._judged()

    def _judged(self) -> Answered | None:
        if self._speech >= _LONG_GREETING:
            return Answered.MACHINE
        if self._speech >= _A_WORD:
            return Answered.PERSON if self._quiet >= _WAITING else None
        return Answered.UNSURE if self._quiet >= _QUIET_AT_FIRST else None

    @property
    def quiet(self) -> float:
        """Seconds since anything was said."""
        return self._quiet
