"""Writes a new channel's distribution from the templates beside this file; nothing that is there is touched."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path

from clinic_dispatch_plugin.registry import GROUP

_NAME = re.compile(r"[a-z][a-z0-9]{1,19}")
_END = ".tmpl"


class CannotWrite(Exception):
    """The distribution cannot be written; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChannel:
    """What a channel is called where."""

    #: ``"telepigeon"``: the channel's key, the URL's scheme, the entry point and the system of its codes.
    key: str

    @property
    def label(self) -> str:
        """What pages call it."""
        return self.key.capitalize()

    @property
    def package(self) -> str:
        """What Python imports."""
        return f"clinic_dispatch_{self.key}"

    @property
    def distribution(self) -> str:
        """What pip installs, and the folder."""
        return f"clinic-dispatch-{self.key}"

    @property
    def variable(self) -> str:
        """Its setting, without the end."""
        return f"CLINIC_DISPATCH_{self.key.upper()}"

    @property
    def words(self) -> Mapping[str, str]:
        """What takes the place of what in the templates."""
        return {
            "@key@": self.key,
            "@Label@": self.label,
            "@Class@": f"{self.label}Channel",
            "@KEY@": self.variable,
            "@package@": self.package,
            "@dist@": self.distribution,
        }


def new_channel(name: str) -> NewChannel:
    """The channel of this name.

    :raises CannotWrite: the name cannot be used, or is taken.
    """
    if _NAME.fullmatch(name) is None:
        raise CannotWrite(
            f"{name!r} cannot name a channel: write 2 to 20 small Latin letters and digits, "
            "a letter first, such as telepigeon."
        )
    if keyword.iskeyword(name):
        raise CannotWrite(f"{name!r} is a word of Python: choose another name.")
    if name == "plugin":
        raise CannotWrite("'plugin' is what the core itself is called: choose another name.")
    for point in entry_points(group=GROUP):
        if point.name == name:
            owner = point.dist.name if point.dist is not None else point.value
            raise CannotWrite(f"{owner} brings a channel {name!r} already: choose another name.")
    channel = NewChannel(key=name)
    if find_spec(channel.package) is not None:
        raise CannotWrite(f"A package {channel.package} is installed already: choose another name.")
    return channel


def write(channel: NewChannel, into: Path) -> list[Path]:
    """Write the distribution as a new folder in ``into``; gives the files.

    :raises CannotWrite: the folder is there already, or cannot be made.
    """
    place = into / channel.distribution
    if not into.is_dir():
        raise CannotWrite(f"There is no folder {into}: make it, or name another with --into.")
    written: list[Path] = []
    try:
        place.mkdir()
        for path, text in _files(channel):
            file = place / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x", encoding="utf-8") as open_file:
                open_file.write(text)
            written.append(file)
    except FileExistsError:
        raise CannotWrite(
            f"{place} is there already, and nothing in it is touched: "
            "move it away, or name another folder with --into."
        ) from None
    except OSError as error:
        why = (error.strerror or "it cannot be written").lower()
        raise CannotWrite(f"{place}: {why}; name a folder that you may write.") from error
    return written


def _files(channel: NewChannel) -> Iterator[tuple[Path, str]]:
    """Where each file goes in the distribution, and what is in it."""
    for source, parts in _templates(files(__package__) / "templates", ()):
        text = source.read_text(encoding="utf-8")
        for word, instead in channel.words.items():
            text = text.replace(word, instead)
        *folders, name = parts
        name = name.removesuffix(_END)
        if folders and folders[0] == "package":
            folders[0] = channel.package
        yield Path(*folders, f"{channel.key}.toml" if name == "name.toml" else name), text


def _templates(
    folder: Traversable, parts: tuple[str, ...]
) -> Iterator[tuple[Traversable, tuple[str, ...]]]:
    for each in sorted(folder.iterdir(), key=lambda found: found.name):
        here = (*parts, each.name)
        if each.is_dir():
            yield from _templates(each, here)
        elif each.name.endswith(_END):
            yield each, here
