"""A complete run of minimal size: it has every figure, and a note on each part that cannot be measured."""

import json
import os
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from bench import main, run, serving, speed
from bench.datasets import BEAM_VARIABLE, LOCOMO_VARIABLE, MEMDAILY_VARIABLE
from bench.figures import silent
from bench.processes import WorkerFailed, run_python, run_task

TINY = speed.Plan(
    (600,), (600, 5), warm=2, timed=8, opens=1, singles=10, singles_warm=5, imports=1, reference_seconds=2
)

TINY_SERVING = serving.Plan(
    engrams=600,
    pairs=3,
    pair_tokens=3,
    warm=1,
    streams=3,
    rounds=1,
    replies=2,
    tokens=5,
    per_second=100,
    delay=0.01,
    kills=1,
    kill_seconds=(0.3, 0.3),
    requests=20,
    requests_warm=4,
    clients=2,
    turns=3,
    settle=0.1,
)


@pytest.mark.slow
def test_a_whole_run_measures_every_figure(tmp_path, monkeypatch):
    monkeypatch.delenv(LOCOMO_VARIABLE, raising=False)
    for variable in (BEAM_VARIABLE, MEMDAILY_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(run, "chats_path", lambda: None)
    monkeypatch.setattr(run, "data_folder", lambda: tmp_path / "no data")
    *parts, serving_part = run.measure(TINY, TINY_SERVING, tmp_path, silent)
    keys = [figure.key for part in parts for figure in part.figures]
    assert keys == [
        "import",
        "remember-ratio",
        "recall-p95-600",
        "many-per-second",
        "meant-per-second",
        "bytes-per-engram",
        "peak-600",
        "open-and-first-600",
        "recall-p95-600-spread",
    ]
    assert all(figure.value > 0 for part in parts for figure in part.figures)
    assert [note for part in parts for note in part.notes] == [
        run.LOCOMO_MISSING,
        run.CHATS_MISSING,
        run.OWN_MISSING,
        run.BEAM_MISSING,
        run.MEMDAILY_MISSING,
        run.LOCOMO_MISSING,
    ]
    assert [figure.key for figure in serving_part.figures] == [
        "serve-first-token-alone",
        "serve-first-token-together",
        "serve-tokens",
        "serve-growth",
        "serve-lost",
        "serve-prefix",
        "serve-prefix-sticky",
    ]
    # Losses and early divergences must be zero on any machine, however slow.
    assert [figure.value for figure in serving_part.figures[-3:]] == [0, 0, 0]
    for part in [*parts, serving_part]:
        for table in part.tables:
            assert all(len(row) == len(table.columns) for row in table.rows)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["singles"]


def test_every_system_finds_the_target_of_questions(tmp_path):
    folder = tmp_path / "build"
    run_task("build", silent, "", folder=folder, count=400, namespaces=4, seed=1)
    for system in speed.SYSTEMS:
        result = run_task(
            "recall", silent, "", folder=folder, system=system, spread=True, warm=1, count=40, max_seconds=60
        )
        assert result["found_share"] > 0.7
        assert len(result["milliseconds"]) == 40
        assert result["peak_bytes"] > 10e6


def test_command_prints_figures_and_writes_report_and_json(tmp_path, monkeypatch, locomo_json):
    monkeypatch.setitem(main.PLANS, "small", TINY)
    (tmp_path / "locomo.json").write_text(json.dumps(locomo_json))
    app = Typer()
    app.command()(main.bench)
    selection = ["--only", "import", "--only", "locomo", "--locomo", str(tmp_path / "locomo.json")]
    selection += ["--no-references"]
    outputs = ["--report", str(tmp_path / "r.md"), "--json", str(tmp_path / "r.json"), "--folder", str(tmp_path / "f")]
    result = CliRunner().invoke(app, [*selection, *outputs])
    assert result.exit_code == 0, result.output
    assert "LoCoMo, turn-level R@10" in result.output
    report = (tmp_path / "r.md").read_text()
    assert (
        "python -m bench --scale small --only import --only locomo --locomo locomo.json --no-references --report r.md"
        in report
    )
    assert str(tmp_path) not in report
    assert len(json.loads((tmp_path / "r.json").read_text())["figures"]) == 5
    assert os.listdir(tmp_path / "f") == []


def test_a_group_measures_its_parts_and_notes_what_is_missing(tmp_path, monkeypatch):
    for variable in (LOCOMO_VARIABLE, BEAM_VARIABLE, MEMDAILY_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(run, "chats_path", lambda: None)
    monkeypatch.setattr(run, "data_folder", lambda: tmp_path / "no data")
    parts = run.measure(TINY, TINY_SERVING, tmp_path, silent, only=["quality"])
    assert [part.name for part in parts] == list(run.GROUPS["quality"])
    assert not any(part.figures for part in parts)


def test_the_command_accepts_the_names_of_all_parts():
    assert [name.value for name in main.PartName] == [*run.PARTS, *run.GROUPS]
    assert all(part in run.PARTS for parts in run.GROUPS.values() for part in parts)


def test_a_failed_process_raises_with_its_output():
    with pytest.raises(WorkerFailed, match=r"(?s)about it: .*exit code 3.*failed"):
        run_python(["-c", "import sys; sys.stderr.write('failed\\n'); sys.exit(3)"], silent, "about it")


def test_progress_is_forwarded():
    texts = []
    run_python(["-c", "import sys; sys.stderr.write('@half\\nother\\n')"], texts.append, "about")
    assert texts == ["about: half"]


def test_no_file_names_a_home_folder():
    for path in Path(run.__file__).parent.glob("*.py"):
        assert "/home/" not in path.read_text()
