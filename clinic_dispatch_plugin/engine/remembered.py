"""What this machine's spool remembers of its runs: a database that knows less comes from a backup."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

NAME = "newest-run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The newest run of this machine."""

    run_id: int
    worker: str
    boot_id: str


def remember(folder: Path, run: Remembered) -> None:
    """Keep it as the newest; of two that begin at once either may be kept.

    :raises OSError: the folder cannot be written; nothing may be handed over then.
    """
    fresh = folder / f"{NAME}.{os.getpid()}"
    fresh.write_text(f"{run.run_id}\n{run.boot_id}\n{run.worker}\n")
    fresh.replace(folder / NAME)


def recall(folder: Path) -> Remembered | None:
    """The newest run this machine knows of; None: of none, or the file cannot be read."""
    try:
        number, boot_id, worker = (folder / NAME).read_text().splitlines()
        return Remembered(run_id=int(number), worker=worker, boot_id=boot_id)
    except (OSError, ValueError):
        return None
