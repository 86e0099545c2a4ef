"""Human labels that are missing on part of the rows: left out, counted, and said; never a number."""

import json
from pathlib import Path

import pytest

from selfreward.commands.preflight import preflight
from selfreward.errors import DataError
from selfreward.recipe.read import load_recipe
from selfreward.tasks.anchors_file import read_anchors, unlabelled

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"


def written(path, labels):
    rows = [
        {"prompt": f"sort c b a {'d' * (k + 1)}", "answer": "a b c", "label": label} for k, label in enumerate(labels)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_rows_that_nobody_labelled_are_left_out_and_counted(tmp_path: Path):
    half = written(tmp_path / "half.jsonl", [5, None, 0, None, 2.5, None])
    assert [row.label for row in read_anchors(half)] == [5.0, 0.0, 2.5]
    assert unlabelled(half) == (3, 6)
    whole = written(tmp_path / "whole.jsonl", [5, 0])
    assert unlabelled(whole) == (0, 2)
    with pytest.raises(DataError, match="no row with a label"):
        read_anchors(written(tmp_path / "none.jsonl", [None, None]))


def test_a_run_says_so_before_it_starts(tmp_path: Path):
    said = []
    half = written(tmp_path / "half.jsonl", [5, None, 0, None])
    preflight(load_recipe(SMOKE, [f"measure.anchors={half}"]), said.append)
    assert any("2 of 4 rows have no label and are left out" in line for line in said)
    said.clear()
    preflight(load_recipe(SMOKE, [f"measure.anchors={written(tmp_path / 'w.jsonl', [5, 0])}"]), said.append)
    assert not any("no label" in line for line in said)
