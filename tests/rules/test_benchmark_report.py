"""The page of what was measured: goals, verdicts, and what is missing by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.figures import INTO, Findings
from tests.benchmarks.report import Ran, written


def test_the_page_gives_each_figure_its_verdict_and_names_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(INTO, str(tmp_path))
    with Findings("bench_speed.py", "Speed") as findings:
        findings.tell("ours / theirs", 21.5, "×", least=20)
        findings.tell("memory", 160, "MB", most=150)
        findings.tell("compiled", None, "×", least=1, note="rustc not found")
        findings.tell("messages", 5_000.4, "msg/s")
    ran = [
        Ran(name="speed", status=0, said="", seconds=1),
        Ran(name="pages", status=124, said="half of it", seconds=400),
    ]
    page = written(tmp_path, ran, before="", names=["speed", "pages"])
    assert "| ours / theirs | 21.5 × | ≥ 20 | met |" in page
    assert "| memory | 160 MB | ≤ 150 | missed |" in page
    assert "| compiled (rustc not found) | – | ≥ 1 | left out |" in page
    assert "| messages | 5,000 msg/s |  |  |" in page
    assert "half of it" in page and "took too long after 400 s" in page
    (tmp_path / "bench_speed.json").unlink()
    again = [Ran(name="pages", status=0, said="all of it", seconds=1)]
    page = written(tmp_path, again, before=page, names=["pages", "speed"])
    assert "| memory | 160 MB | ≤ 150 | missed |" in page, "what was not run again stays"
    assert "all of it" in page and "half of it" not in page
    assert page.index("all of it") < page.index("| memory |")
