"""Text to speech on this machine, by the program ``espeak-ng``."""

from __future__ import annotations

import shutil
import subprocess
from array import array
from functools import lru_cache

from clinic_dispatch_plugin.api import Answer
from clinic_dispatch_voice.exchange.audio import UnplayableError, read_wav
from clinic_dispatch_voice.words import language_of

PROGRAM = "espeak-ng"
#: What the error reference knows our own findings about calls by.
CALL = "call"
#: Nothing here can speak, and no recording is configured.
NO_SPEECH = Answer(
    system=CALL, code="no_speech", text=f"{PROGRAM} is not installed, and no recording is named"
)
#: Seconds for one text.
_PATIENCE = 30.0
_VOICES = {"en": "en-gb"}


class SpeechFailedError(Exception):
    """A text cannot be spoken.

    :param answer: why, for the error reference.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.answer = Answer(system=CALL, code="not_spoken", text=text)


def can_speak() -> bool:
    """Whether the program is installed."""
    return shutil.which(PROGRAM) is not None


@lru_cache(maxsize=64)
def prompt(text: str, locale: str) -> array[int]:
    """What every call says, spoken once.

    :raises SpeechFailedError: it cannot be spoken.
    """
    return speak(text, locale)


def speak(text: str, locale: str) -> array[int]:
    """The samples of a text; waits for the program.

    :raises SpeechFailedError: it cannot be spoken.
    """
    language = language_of(locale)
    voice = _VOICES.get(language, language)
    try:
        # By its input, and not as an argument: those everybody on the machine can read.
        done = subprocess.run(
            [PROGRAM, "-v", voice, "-s", "150", "--stdin", "--stdout"],
            input=text.encode(),
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SpeechFailedError(f"{PROGRAM}: {type(error).__name__}") from None
    if done.returncode != 0:
        raise SpeechFailedError(f"{PROGRAM} has no voice for {voice!r}, or could not use it")
    try:
        return read_wav(done.stdout)
    except UnplayableError as error:
        raise SpeechFailedError(f"{PROGRAM}: {error}") from None
