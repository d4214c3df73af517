"""Sound as telephones carry it: 8,000 samples a second, each in one octet (ITU-T G.711)."""

from __future__ import annotations

import io
import itertools
import sys
import wave
from array import array
from enum import StrEnum
from functools import cache

#: Samples a second.
RATE = 8000
#: Samples, and octets, of the 20 ms that travel in one packet.
FRAME = 160
FRAME_SECONDS = FRAME / RATE
_LONGEST_SECONDS = 300.0


class Law(StrEnum):
    """How a sample becomes an octet: in Europe, and in America and Japan."""

    A = "PCMA"
    MU = "PCMU"


class UnplayableError(ValueError):
    """This sound cannot be played; the words say why."""


def read_wav(data: bytes) -> array[int]:
    """The samples of a WAV file, whatever its rate, as one voice of 16 bits.

    :raises UnplayableError: it is no WAV file with plain samples, or far too long.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            # What speaks into a pipe cannot know the length when it writes the header.
            raw = file.readframes(min(file.getnframes(), int(rate * _LONGEST_SECONDS)))
    except (wave.Error, EOFError) as error:
        raise UnplayableError(f"it is no WAV file with plain samples ({error})") from None
    if width != 2 or channels not in (1, 2) or not 8000 <= rate <= 48000:
        raise UnplayableError("give a WAV file of 16 bits and 8,000 to 48,000 samples a second")
    samples = array("h", raw[: len(raw) // (2 * channels) * 2 * channels])
    if sys.byteorder == "big":
        samples.byteswap()
    if channels == 2:
        samples = array("h", map(_middle, samples[::2], samples[1::2]))
    return samples if rate == RATE else _at_our_rate(samples, rate)


def encode(samples: array[int], law: Law) -> bytes:
    """The octets of these samples."""
    return bytes(map(_octets(law).__getitem__, array("H", samples.tobytes())))


def loudness(octets: bytes, law: Law) -> float:
    """How loud a frame is, from 0 to about 32,000."""
    return sum(map(_strengths(law).__getitem__, octets)) / len(octets) if octets else 0.0


def silence(seconds: float, law: Law) -> bytes:
    """Nothing to be heard for so long."""
    return encode(array("h", [0]), law) * round(seconds * RATE)


def frames(octets: bytes, law: Law) -> list[bytes]:
    """One packet's worth each, the last one filled up."""
    rest = -len(octets) % FRAME
    whole = octets + silence(rest / RATE, law)
    return [whole[at : at + FRAME] for at in range(0, len(whole), FRAME)]


def _middle(left: int, right: int) -> int:
    return (left + right) // 2


def _at_our_rate(samples: array[int], rate: int) -> array[int]:
    """Each new sample is the mean of the old ones it stands for, which also takes off what is too high."""
    sums = list(itertools.accumulate(samples, initial=0))
    count = len(samples) * RATE // rate
    edges = [at * rate // RATE for at in range(count + 1)]
    return array("h", [(sums[b] - sums[a]) // (b - a) for a, b in itertools.pairwise(edges)])


@cache
def _octets(law: Law) -> bytes:
    """The octet of each sample, by the sample as an unsigned number."""
    octet = _a_octet if law is Law.A else _mu_octet
    return bytes(octet(each if each < 0x8000 else each - 0x10000) for each in range(0x10000))


@cache
def _strengths(law: Law) -> tuple[int, ...]:
    return tuple(map(_a_strength if law is Law.A else _mu_strength, range(256)))


def _a_octet(sample: int) -> int:
    sample >>= 3
    mask = 0xD5 if sample >= 0 else 0x55
    strength = sample if sample >= 0 else -sample - 1
    segment = max(strength.bit_length() - 5, 0)
    step = (strength >> max(segment, 1)) & 0xF
    return (segment << 4 | step) ^ mask


def _mu_octet(sample: int) -> int:
    sample >>= 2
    mask = 0xFF if sample >= 0 else 0x7F
    strength = min(abs(sample), 8158) + 33
    segment = max(strength.bit_length() - 6, 0)
    return (segment << 4 | (strength >> (segment + 1)) & 0xF) ^ mask


def _a_strength(octet: int) -> int:
    octet ^= 0x55
    step, segment = (octet & 0xF) << 4, (octet & 0x70) >> 4
    return step + 8 if segment == 0 else (step + 0x108) << (segment - 1)


def _mu_strength(octet: int) -> int:
    octet = ~octet & 0xFF
    return ((((octet & 0xF) << 3) + 0x84) << ((octet & 0x70) >> 4)) - 0x84
