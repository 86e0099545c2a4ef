"""Win rates by people, round by round, in the report: the numbers of the sheets, beside a judge that believes more."""

import json
from pathlib import Path

import pytest
from run_factory import Story, write_run
from typer.testing import CliRunner

from selfreward.commands.anchors.by_round import people_rows
from selfreward.commands.anchors.key import KeyRow, key_path, write_key
from selfreward.commands.anchors.page.desk import Desk
from selfreward.commands.anchors.sample import Wanted, make_key
from selfreward.commands.cli import app
from selfreward.errors import DataError, RecipeError
from selfreward.records import Prompt
from selfreward.store.results import Store
from selfreward.tasks.verifiers.sandbox import SandboxVerifier

TRUTH = SandboxVerifier()


def better(row: KeyRow) -> int:
    """What an attentive person says of a pair."""
    prompt = Prompt("", row.candidate.messages, "gate", "sandbox")
    first, second = (TRUTH.check(prompt, text).quality for text in row.shown)
    return (first > second) - (first < second) + 1


def test_people_and_judge_by_round(tmp_path: Path) -> None:
    # The judge is flattered from round to round; the answers become worse after the first.
    story = Story((0.4, 0.8, 0.1), generosity=(0, 0, 4), train=8, report=12)
    view = write_run(Store(tmp_path, share=False), "told", story)
    sheets = []
    for number in (2, 1):
        key, _ = make_key(view, number, Wanted(60, against=0))
        sheets.append(tmp_path / f"round-{number}.csv")
        write_key(key_path(sheets[-1]), key)
        desk = Desk(sheets[-1], key)
        with pytest.raises(DataError, match="only its key is there"):
            people_rows(sheets, {"told"})
        desk.begin("ann")
        for row in desk.of("ann").rows:
            desk.say("ann", row.id, better(row), "")
    with pytest.raises(RecipeError, match=r"of run 'told'; expected one of other"):
        people_rows(sheets, {"other"})
    first, last = people_rows(sheets, {"told"})
    assert (first.round, last.round, first.name) == (1, 2, "win rate against round 0")
    assert first.people.low > 0.5 and last.people.high < 0.5, "planted"
    assert last.judge.value > last.people.high, "nobody corrects the judge"
    assert abs(last.both.value - last.people.value) < abs(last.judge.value - last.people.value)

    labels = [word for sheet in sheets for word in ("--labels", str(sheet))]
    done = CliRunner().invoke(app, ["report", "told", "--results", str(tmp_path), *labels])
    assert done.exit_code == 0, done.output
    assert "Labels by people, beside the judge" in done.output
    page, made = (tmp_path / "told" / f"report.{kind}" for kind in ("html", "json"))
    assert 'id="people"' in page.read_text() and "win rate against round 0: people (●)" in page.read_text()
    told = json.loads(made.read_text())["people"]
    assert [row["people"]["value"] for row in told] == [first.people.value, last.people.value]
    assert "| told | 2 | win rate against round 0 | gate |" in (tmp_path / "told" / "report.md").read_text()
    score = ["anchors", "score", str(tmp_path / "round-2-by-ann.csv"), "--key", str(key_path(sheets[0]))]
    assert f"win rate against round 0: {last.both.value:.3f}" in CliRunner().invoke(app, score).output
    CliRunner().invoke(app, ["report", "told", "--results", str(tmp_path)])
    assert 'id="people"' not in page.read_text() and "people" not in json.loads(made.read_text())
