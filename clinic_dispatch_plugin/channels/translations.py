"""What a channel writes beside its fields, in other languages: gettext catalogues that its own package brings."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from babel.messages.pofile import read_po

_END = ".po"


def load_translations(package: str) -> Mapping[str, Mapping[str, str]]:
    """The catalogues ``translations/<language>.po`` of a package: by language (``"de"``), then by the English text.

    :param package: its import name, such as ``__name__`` in its ``__init__``.
    """
    folder = files(package) / "translations"
    found: dict[str, Mapping[str, str]] = {}
    if not folder.is_dir():
        return found
    for file in folder.iterdir():
        if file.name.endswith(_END):
            with file.open("rb") as stream:
                parsed = read_po(stream)
            found[file.name.removesuffix(_END)] = {
                str(each.id): str(each.string)
                for each in parsed
                if isinstance(each.id, str) and each.id and each.string and not each.fuzzy
            }
    return found
