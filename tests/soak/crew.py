"""The clinic's own processes: workers on machines of their own, and the pages; whoever dies is started again."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.warm import Started, Warm

PAGE = os.sysconf("SC_PAGE_SIZE")
APP = "tests.soak.clinic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A process as the system shows it."""

    pid: int
    parent: int
    session: int
    state: str


@dataclass(slots=True, kw_only=True)
class Post:
    """Where one worker, or the web process, is started again and again."""

    name: str
    words: tuple[str, ...]
    environment: dict[str, str]
    folder: Path
    process: Started | None = None
    #: Monotonic time before which nobody starts it.
    not_before: float = 0.0
    starts: int = 0


@dataclass(slots=True)
class Crew:
    """All of them."""

    warm: Warm
    posts: list[Post]
    dice: random.Random
    #: Every process that ever led one of our sessions.
    leaders: set[int] = field(default_factory=set)
    #: Whether the dead are replaced.
    hiring: bool = True
    #: Bytes in memory by role and process, one sample after the other.
    memory: dict[str, dict[int, list[int]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def tend(self) -> None:
        """Start whoever is not there."""
        now = time.monotonic()
        for post in self.posts:
            if post.process is not None and post.process.poll() is not None:
                post.process = None
                post.not_before = now + self.dice.uniform(0.1, 1.0)
            if post.process is None and self.hiring and now >= post.not_before:
                log = post.folder / f"{post.name}-{post.starts}.log"
                post.starts += 1
                post.process = self.warm.start(
                    "--app", APP, *post.words, environment=post.environment, log=log
                )
                self.leaders.add(post.process.pid)

    def workers(self) -> list[Post]:
        """Those that live now."""
        return [
            post
            for post in self.posts
            if post.name != "web" and post.process is not None and post.process.poll() is None
        ]

    def family(self, post: Post) -> dict[str, list[int]]:
        """The living processes of a worker by role."""
        assert post.process is not None
        leader = post.process.pid
        members = [each for each in processes() if each.session == leader and each.state != "Z"]
        parents = {each.parent for each in members}
        found: dict[str, list[int]] = {"supervisor": [], "child": [], "horse": []}
        for each in members:
            if each.pid == leader:
                found["supervisor"].append(each.pid)
            elif each.parent == leader:
                found["child"].append(each.pid)
                if each.pid in parents:
                    found.setdefault("queue worker", []).append(each.pid)
            else:
                found["horse"].append(each.pid)
        return found

    def sample(self) -> None:
        """Look how much memory each of them has."""
        for post in self.posts:
            if post.process is None:
                continue
            if post.name == "web":
                self._weigh("web", post.process.pid)
                continue
            for role, members in self.family(post).items():
                if role != "child":
                    for pid in members:
                        self._weigh(role, pid)

    def _weigh(self, role: str, pid: int) -> None:
        with contextlib.suppress(OSError, IndexError):
            words = Path(f"/proc/{pid}/statm").read_text().split()
            self.memory[role][pid].append(int(words[1]) * PAGE)

    def end(self, *, seconds: float = 60.0) -> list[str]:
        """Ask all to end; returns the names of those that had to be killed."""
        self.hiring = False
        for post in self.posts:
            if post.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(post.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(
            post.process is not None and post.process.poll() is None for post in self.posts
        ):
            time.sleep(0.1)
        late = [p.name for p in self.posts if p.process is not None and p.process.poll() is None]
        self.kill_all()
        return late

    def kill_all(self) -> None:
        """Nobody of ours is left."""
        for each in processes():
            if each.session in self.leaders:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGKILL)


def processes() -> Iterator[Seen]:
    """Every process of this machine."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                words = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                yield Seen(
                    pid=int(entry.name),
                    parent=int(words[1]),
                    session=int(words[3]),
                    state=words[0],
                )
