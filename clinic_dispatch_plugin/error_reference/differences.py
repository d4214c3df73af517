"""What differs between two texts, word by word: pure, for pages that show it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

#: A word with what follows it, blanks, or a single sign: put together they are the text again.
_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of words."""

    #: ``same``, ``gone`` or ``new``.
    kind: str
    text: str


def by_words(before: str, now: str) -> list[Piece]:
    """The text as it was and as it is, in one: what stayed, what is gone, what is new."""
    old, new = _TOKEN.findall(before), _TOKEN.findall(now)
    pieces: list[Piece] = []
    for kind, i, j, k, m in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if kind == "equal":
            _add(pieces, "same", "".join(old[i:j]))
        else:
            _add(pieces, "gone", "".join(old[i:j]))
            _add(pieces, "new", "".join(new[k:m]))
    return _without_islands(pieces)


def _add(pieces: list[Piece], kind: str, text: str) -> None:
    if text:
        pieces.append(Piece(kind, text))


def _without_islands(pieces: list[Piece]) -> list[Piece]:
    """Blanks and signs alone between two changes belong to them: a run of changes is read as one."""
    done: list[Piece] = []
    gone, new = "", ""
    for place, piece in enumerate(pieces):
        between = 0 < place < len(pieces) - 1 and piece.kind == "same"
        if piece.kind == "gone":
            gone += piece.text
        elif piece.kind == "new":
            new += piece.text
        elif between and (gone or new) and not re.search(r"\w", piece.text):
            gone, new = gone + piece.text, new + piece.text
        else:
            _close(done, gone, new)
            gone, new = "", ""
            done.append(piece)
    _close(done, gone, new)
    return done


def _close(done: list[Piece], gone: str, new: str) -> None:
    _add(done, "gone", gone)
    _add(done, "new", new)
