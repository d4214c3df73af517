"""What holds the parts apart: who imports whom, which names are public, which door plugins come in by."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pluggy
import pytest
from flask import Flask

from clinic_dispatch_plugin import api, hookspecs
from clinic_dispatch_plugin.extension import ClinicDispatch
from clinic_dispatch_plugin.queue import names
from clinic_dispatch_plugin.registry import Dispatch
from tests.guards.test_repository import ROOT, SHIPPED_PYTHON, name

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


@pytest.fixture(scope="module")
def dispatch(tmp_path_factory: pytest.TempPathFactory) -> Dispatch:
    app = Flask("contracts")
    folder = tmp_path_factory.mktemp("contracts")
    app.config["CLINIC_DISPATCH_DATABASE_URL"] = f"sqlite:///{folder / 'x.db'}"
    app.config["CLINIC_DISPATCH_DATA_DIR"] = str(folder)
    return ClinicDispatch().init_app(app)


def lint_imports(folder: Path, config: Path) -> subprocess.CompletedProcess[str]:
    command = [str(LINT_IMPORTS), "--config", str(config), "--cache-dir", str(folder / "cache")]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_import_contracts_are_kept(tmp_path: Path) -> None:
    done = lint_imports(tmp_path, ROOT / ".importlinter")
    assert done.returncode == 0, done.stdout


def test_a_broken_import_contract_would_be_noticed(tmp_path: Path) -> None:
    config = tmp_path / "broken"
    config.write_text(
        (ROOT / ".importlinter").read_text(encoding="utf-8")
        + "\n[importlinter:contract:broken]\nname = Nobody sends\ntype = forbidden\n"
        + "source_modules =\n    clinic_dispatch_plugin.engine\n"
        + "forbidden_modules =\n    clinic_dispatch_plugin.channels\n",
        encoding="utf-8",
    )
    assert lint_imports(tmp_path, config).returncode == 1


def test_the_door_for_plugins_names_all_it_offers() -> None:
    offered = {
        found
        for found, value in vars(api).items()
        if not found.startswith("_")
        and not isinstance(value, ModuleType)
        and type(value).__name__ != "_Feature"
    }
    assert offered == set(api.__all__)
    assert list(api.__all__) == sorted(api.__all__)


def test_what_the_door_offers_says_what_it_is_for() -> None:
    silent = [
        found
        for found in api.__all__
        if found not in {"hookimpl", "SendResult"} and not inspect.getdoc(getattr(api, found))
    ]
    assert silent == []


def hooks() -> dict[str, object]:
    return {
        found: value
        for found, value in vars(hookspecs).items()
        if hasattr(value, f"{hookspecs.PROJECT}_spec")
    }


def test_every_hook_has_words_and_no_code() -> None:
    assert hooks()
    for found, hook in hooks().items():
        assert inspect.getdoc(hook), found
        tree = ast.parse(inspect.getsource(hook))  # type: ignore[arg-type]
        assert isinstance(tree.body[0], ast.FunctionDef)
        assert len(tree.body[0].body) == 1, f"{found} has code"


def test_every_hook_is_named_in_the_readme() -> None:
    words = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [found for found in hooks() if found not in words] == []


def test_every_hook_is_used_by_a_plugin_that_ships(dispatch: Dispatch) -> None:
    manager: pluggy.PluginManager = dispatch.plugins
    used = {
        caller.name
        for plugin in manager.get_plugins()
        for caller in manager.get_hookcallers(plugin) or []
    }
    assert used == set(hooks())


def test_every_folder_of_plugins_comes_in_by_its_entry_point(dispatch: Dispatch) -> None:
    folders = {
        folder.name
        for folder in (ROOT / "plugins").iterdir()
        if folder.is_dir() and (folder / "__init__.py").exists()
    }
    loaded = {
        plugin.__name__
        for plugin in dispatch.plugins.get_plugins()
        if isinstance(plugin, ModuleType)
    }
    assert folders
    assert folders <= loaded
    assert [each.problem for each in dispatch.loaded if each.problem] == []


def jobs() -> dict[str, str]:
    return {found: value for found, value in vars(names).items() if found.endswith("_JOB")}


def test_every_job_that_is_rung_for_exists() -> None:
    assert jobs()
    for job in jobs().values():
        module, _, function = job.rpartition(".")
        __import__(module)
        assert callable(getattr(sys.modules[module], function)), job


def test_every_queue_has_a_worker() -> None:
    queues = {
        value
        for found, value in vars(names).items()
        if found.isupper() and not found.endswith("_JOB")
    }
    assert {queue.removeprefix("x-") for queue in names.queue_names("x")} == queues
    assert {found.removesuffix("_JOB") for found in jobs()} == {queue.upper() for queue in queues}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            target = node.func
            yield (
                target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", ""),
                node,
            )


def retries_in(path: Path) -> list[str]:
    """Where somebody else than our policies would try again."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rq":
            found += [
                f"{name(path)}: rq.{each.name}" for each in node.names if "Retry" in each.name
            ]
    for function, call in calls(tree):
        words = {word.arg for word in call.keywords}
        if function.startswith("enqueue") and "retry" in words:
            found.append(f"{name(path)}:{call.lineno}: a job that is repeated")
        if function == "Retry" and ast.unparse(call) != "Retry(NoBackoff(), 0)":
            found.append(f"{name(path)}:{call.lineno}: {ast.unparse(call)}")
        if function in {"HTTPAdapter", "retry"} and words & {"max_retries", "tries", "stop"}:
            found.append(f"{name(path)}:{call.lineno}: {function}")
    return found


def test_nobody_but_our_own_policies_tries_again() -> None:
    assert [place for path in SHIPPED_PYTHON for place in retries_in(path)] == []


@pytest.mark.parametrize(
    "line",
    [
        "from rq import Retry",
        "queue.enqueue_call('x', retry=Retry(max=3))",
        "Redis(retry=Retry(ExponentialBackoff(), 3))",
        "HTTPAdapter(max_retries=3)",
    ],
)
def test_a_second_layer_of_retries_would_be_noticed(line: str, tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(line)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.guards.test_contracts.name", lambda path: path.name)
        assert retries_in(file)
