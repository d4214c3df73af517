"""Builds both distributions, installs each, and runs the demo from it; in CI the wheel with all it requires."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import pytest

from clinic_dispatch_plugin import __version__
from tests.cli.programs import Shell, counts_of
from tests.servers.found import WANT_EVERYTHING

ROOT = Path(__file__).parents[2]
#: Folders with code, and the name under which each is installed.
PACKAGES = {
    "clinic_dispatch_plugin": "clinic_dispatch_plugin",
    "plugins": "",
    "migrations": "clinic_dispatch_plugin/migrations",
}
NEVER = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*_cache")


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The copy of the sources, and what was made of it."""

    source: Path
    wheel: Path
    sdist: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Give both distributions, the wheel made from the source distribution, so that this one is whole, too."""
    place = tmp_path_factory.mktemp("build")
    source, dist = place / "source", place / "dist"
    source.mkdir()
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=NEVER)
    for name in ("setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, source)
    ended = Shell(place).run(*build)
    assert ended.status == 0, ended.out + ended.err
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    return Built(source=source, wheel=wheel, sdist=sdist)


def _installed_names(source: Path) -> set[str]:
    """Every file of ours by the name it must have once it is installed."""
    return {
        str(PurePosixPath(target) / file.relative_to(source / folder).as_posix())
        for folder, target in PACKAGES.items()
        for file in (source / folder).rglob("*")
        if file.is_file() and ".egg-info" not in str(file)
    }


def test_the_wheel_holds_every_file_and_no_stranger_s(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = _installed_names(built.source)
    assert held == wanted
    for needed in (
        "clinic_dispatch_plugin/py.typed",
        "clinic_dispatch_plugin/queue/watchdog.py",
        "clinic_dispatch_plugin/templates/clinic_dispatch/layout.html",
        "clinic_dispatch_plugin/demo/templates/demo/base.html",
        "clinic_dispatch_plugin/translations/de/web.po",
        "clinic_dispatch_plugin/error_reference/packs/dispatch.toml",
        "clinic_dispatch_plugin/migrations/env.py",
        "clinic_dispatch_plugin/migrations/versions/0001_the_first_tables.py",
        "clinic_dispatch_email/packs/smtp_patterns.toml",
        "clinic_dispatch_plugin/channels/causes/phone.toml",
        "clinic_dispatch_voice/packs/q850.toml",
        "clinic_dispatch_plugin/kit/templates/package/channel.py.tmpl",
    ):
        assert needed in held
    assert any(name.startswith("clinic_dispatch_plugin/static/") for name in held)


def test_nothing_of_ours_takes_a_common_name(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert tops == {
        "clinic_dispatch_plugin",
        "clinic_dispatch_email",
        "clinic_dispatch_sms",
        "clinic_dispatch_viber",
        "clinic_dispatch_voice",
        f"clinic_dispatch_plugin-{__version__}.dist-info",
    }


def test_the_source_distribution_holds_every_file(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    sources = {
        file.relative_to(built.source).as_posix()
        for file in built.source.rglob("*")
        if file.is_file() and ".egg-info" not in str(file) and "build" not in file.parts
    }
    assert sources <= held


def test_the_metadata_says_what_it_is(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        info = f"clinic_dispatch_plugin-{__version__}.dist-info"
        metadata = archive.read(f"{info}/METADATA").decode()
        points = archive.read(f"{info}/entry_points.txt").decode()
    for line in (f"Version: {__version__}", "Requires-Python: >=3.11", "License"):
        assert line in metadata
    for extra in ("demo", "postgresql", "mariadb", "test"):
        assert f"Provides-Extra: {extra}\n" in metadata
    assert "# clinic_dispatch_plugin\n" in metadata, "the README"
    for name in ("email", "sms", "viber", "voice"):
        assert f"{name} = clinic_dispatch_{name}" in points
    assert "clinic-dispatch = clinic_dispatch_plugin.demo.cli:main" in points


@pytest.mark.slow
def test_a_new_channel_is_written_installed_tested_and_sends(built: Built, tmp_path: Path) -> None:
    python = _installed_alone(built.wheel, tmp_path / "environment")
    ours = python.parent / "clinic-dispatch"
    shell = Shell(tmp_path, {"CLINIC_DISPATCH_DATA_DIR": str(tmp_path / "state")})
    made = shell.run(ours, "new-channel", "telepigeon")
    assert made.status == 0, made.err
    place = tmp_path / "clinic-dispatch-telepigeon"
    install = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--quiet")
    installed = shell.run(*install, "install", *offline, place)
    assert installed.status == 0, installed.err
    tested = Shell(place).run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert tested.status == 0, tested.out
    again = shell.run(ours, "new-channel", "telepigeon")
    assert again.status == 1 and "brings a channel 'telepigeon' already" in again.err

    (tmp_path / "list.csv").write_text(
        "telepigeon;name\n+49 171 3920010;Anna\n1003;Ben\n1004;Cem\n"
    )
    (tmp_path / "text.txt").write_text("Guten Tag {{ name }}")
    simulator = (python, place / "tests" / "simulator.py", "0")
    with shell.running(*simulator, name="simulator") as program:
        program.wait_for_output("listening on ")
        root = program.out.read_text().partition("listening on ")[2].partition(",")[0]
        url = f"telepigeon://TOKEN@localhost/?base_url={quote(root, safe='')}"
        shell.variables["CLINIC_DISPATCH_TELEPIGEON_URL"] = url
        words = ("--channel", "telepigeon", "--to", "list.csv", "--text", "text.txt", "--json")
        sent = shell.run(ours, "send", *words)
        assert sent.status == 0, sent.err
        assert shell.run(ours, "worker", "--burst").status == 0
    lines = shell.run(ours, "messages", "--json", "--lang", "de").lines
    found = {line["recipient"]: (line["status"], line["note"], line["address"]) for line in lines}
    assert found == {
        "Anna": ("sent", "", "491713920010"),
        "Ben": ("undelivered", "Patient hat unseren Bot blockiert", "1003"),
        "Cem": ("undelivered", "Patient hat den Chat nicht begonnen", "1004"),
    }
    doctor = shell.run(ours, "check").out
    assert "plugin telepigeon: clinic-dispatch-telepigeon 0.1" in doctor
    assert "TOKEN" not in doctor


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_the_demo_runs_from_what_was_installed(built: Built, tmp_path: Path, kind: str) -> None:
    if kind == "wheel" and os.environ.get(WANT_EVERYTHING) == "1":
        python = _installed_with_what_it_requires(built.wheel, tmp_path / "environment")
    else:
        python = _installed_alone(
            built.wheel if kind == "wheel" else built.sdist, tmp_path / "environment"
        )

    empty = tmp_path / "empty"
    empty.mkdir()
    beside = Shell(empty)
    where = "import clinic_dispatch_plugin as a, clinic_dispatch_email as b; print(a.__file__, b.__file__)"
    found = beside.run(python, "-c", where).out.split()
    assert all(path.startswith(str(tmp_path / "environment")) for path in found), found

    program = python.parent / "clinic-dispatch"
    demo = beside.run(program, "demo", "--exit-when-done", "--port", "0", "--json")
    assert demo.status == 0, demo.err
    assert counts_of(demo.last)["sent"] > 100
    assert [file.name for file in empty.iterdir()] == [".demo"]
    flask = (
        python,
        "-m",
        "flask",
        "--app",
        "clinic_dispatch_plugin.demo",
        "dispatch",
        "db",
        "check",
    )
    checked = beside.run(*flask)
    assert checked.status == 0, checked.err


def _installed_with_what_it_requires(distribution: Path, folder: Path) -> Path:
    """Install into an environment that holds nothing else: what ``REQUIRES`` forgets is not there."""
    python = folder / "bin" / "python"
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), *pip, str(distribution)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stderr
    return python


def _installed_alone(distribution: Path, folder: Path) -> Path:
    """Install beside the libraries that are here already; needs no network."""
    python = _environment(folder)
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--quiet")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    ended = Shell(folder.parent).run(*pip, "install", *offline, distribution)
    assert ended.status == 0, ended.err
    return python


def _environment(folder: Path) -> Path:
    """A new environment with this one's libraries on its path, and without our code, which is only linked here."""
    made = Shell(folder.parent).run(sys.executable, "-m", "venv", "--without-pip", folder)
    assert made.status == 0, made.err
    python = folder / "bin" / "python"
    asked = Shell(folder).run(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"
    )
    # A plain line adds the folder itself; the links inside it, by which our sources come in, stay unread.
    (Path(asked.out.strip()) / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python
