"""Runs that earlier versions finished are opened again: what they found must not be lost when the code moves on."""

import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from selfreward.commands.cli import app

FORMER = Path(__file__).parent / "fixtures" / "run_of_2b57ac8.tar.xz"
"""recipes/smoke.yaml at commit 2b57ac8: rows, seals and journal, no weights."""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    with tarfile.open(FORMER) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def test_a_former_run_is_reported(results: Path) -> None:
    done = CliRunner().invoke(app, ["report", "former", "--results", str(results)])
    assert done.exit_code == 0, done.output
    assert (results / "former" / "report.html").stat().st_size > 10_000


def test_a_former_run_is_compared_with_itself(results: Path) -> None:
    done = CliRunner().invoke(app, ["compare", "former", "former", "--results", str(results)])
    assert done.exit_code == 0, done.output


def test_a_prompt_of_a_former_run_is_shown(results: Path) -> None:
    first = (results / "former" / "round-01" / "prompts.jsonl").read_text(encoding="utf-8").splitlines()[0]
    name = first.split('"id":"')[1].split('"')[0] if '"id":"' in first else first.split('"id": "')[1].split('"')[0]
    done = CliRunner().invoke(app, ["show", "former", name, "--results", str(results)])
    assert done.exit_code == 0, done.output
