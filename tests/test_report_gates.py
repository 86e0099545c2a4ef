"""The gates' verdicts in the report: the evidence held against each rule, what it did, and what was promised."""

import dataclasses
import html
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from run_factory import Story, recipe_of, write_run

from selfreward.commands.export import resolve_round
from selfreward.measuring.gates import judge_round, rejected_rounds
from selfreward.measuring.selection import best_round
from selfreward.recipe import GateRule, GatesRecipe, HeldOutRecipe, to_yaml
from selfreward.records import Judgment
from selfreward.report.gate_verdicts import gate_report
from selfreward.report.html import write_report
from selfreward.report.lineage import lineage_table
from selfreward.report.reading import Reading
from selfreward.report.terminal import print_report
from selfreward.report.verdict import judge_run
from selfreward.store.given import given
from selfreward.store.results import Store
from selfreward.store.view import RunView

# The judge becomes generous in round 2, so it believes in it most; the rule on its mean score says no.
PLEASER = Story((0.3, 0.55, 0.5), (0, 0, 1.5))
FIRES = GateRule("judge_mean", above=3.7, action="rollback")
SILENT = GateRule("unreadable_rate", above=0.3, action="stop")
DOUBTFUL = GateRule("score_entropy", below=9.0, proof="health", action="warn")
UNKNOWN = GateRule("no_such_metric", above=1.0, action="stop")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    return write_run(Store(tmp_path_factory.mktemp("results"), share=False), "pleaser", PLEASER)


def with_rules(plain: RunView, *rules: GateRule, **more: Any) -> Reading:
    """The same run under these rules, which are no part of a run's identity."""
    recipe = plain.recipe()
    asked = dataclasses.replace(recipe.measure, held_out=HeldOutRecipe(model="sandbox:seed-1"))
    recipe = dataclasses.replace(recipe, measure=asked, gates=GatesRecipe(rules=list(rules), **more))
    (plain.path / "recipe.yaml").write_text(to_yaml(recipe))
    return Reading(plain)


def printed(view: RunView) -> str:
    stream = io.StringIO()
    print_report([view], Console(file=stream, width=200))
    return " ".join(stream.getvalue().split())


def test_every_verdict_stands_in_the_table_with_its_evidence(plain: RunView) -> None:
    reading = with_rules(plain, FIRES, SILENT, DOUBTFUL)
    report = gate_report(reading)
    expected = [v for n in (1, 2) for v in judge_round(reading.recipe.gates, 2, reading.measurements, n)]
    assert list(report.verdicts) == expected and len(expected) == 6
    assert report.decisions == {1: "go on", 2: "rollback"}
    rows = [dict(zip(report.table.header, row, strict=True)) for row in report.table.rows]
    fired = next(row for row in rows if row["round"] == "2" and "mean score" in row["gate"])
    found = next(v for v in expected if v.round == 2 and v.rule == FIRES)
    assert fired["gate"] == "judge's mean score, gate pool: above 3.7" and fired["threshold"] == "3.700"
    assert (fired["value"], fired["bound"]) == (f"{found.value:.3f}", f"{found.bound:.3f}")
    assert found.bound < found.value and fired["n"] == str(found.n) == "20"
    assert (fired["action"], fired["verdict"], fired["error level"]) == ("rollback", "fired", "0.013")
    doubt = next(row for row in rows if "score entropy" in row["gate"])
    assert doubt["gate"].endswith("not shown to be above 9") and doubt["error level"] == "95 % bound"
    assert [row["verdict"] for row in rows if row["action"] == "stop"] == ["silent"] * 4


def test_the_planned_error_level_is_stated(plain: RunView) -> None:
    said = gate_report(with_rules(plain, FIRES, SILENT, DOUBTFUL)).error_level
    assert "at most 5.0%" in said and "2 planned rounds × 2 rules: 0.013 each" in said and "proof of health (1)" in said
    said = gate_report(with_rules(plain, FIRES, error=0.1, planned_rounds=5)).error_level
    assert "at most 10.0%" in said and "5 planned rounds × 1 rules: 0.02 each" in said
    assert gate_report(with_rules(plain)).error_level.startswith("No rules.")


def test_the_judge_that_selects_is_the_one_the_report_goes_by(plain: RunView) -> None:
    """No held-out judge was asked, so under it no round has a resolved gain; the own judge prefers round 2."""
    for by, best, said in (
        ("judge", 2, "by the judge's mean score"),
        ("held_out", 0, "No rise of the held-out judge's"),
    ):
        reading = with_rules(plain, select_by=by)
        became = [row[-1] for row in lineage_table(reading, gate_report(reading)).rows]
        assert became.index("selected as best") == best
        assert said in " ".join(judge_run(reading).details)


def test_a_round_that_was_rolled_back_is_seen_in_the_lineage_and_is_not_the_best(plain: RunView) -> None:
    free = with_rules(plain)
    assert best_round(free.measurements) == 2 == resolve_round(plain, "best")
    gated = with_rules(plain, FIRES)
    rejected = rejected_rounds(gated.recipe.gates, 2, gated.measurements)
    assert rejected == {2} and best_round(gated.measurements, rejected) == 1 == resolve_round(plain, "best")
    became = [row[-1] for row in lineage_table(gated, gate_report(gated)).rows]
    assert became == ["", "selected as best", "rolled back by the gates"]
    details = " ".join(judge_run(gated).details)
    assert "The gates rolled back round 2: judge's mean score, gate pool: above 3.7 (value" in details
    assert "Round 1 is selected as best" in details
    # Its parent is told by its round.
    assert [row[2].split(" (")[0] for row in lineage_table(gated, gate_report(gated)).rows][1:] == [
        "round 0",
        "round 1",
    ]


def test_html_markdown_json_and_terminal_tell_the_same(plain: RunView, tmp_path: Path) -> None:
    reading = with_rules(plain, FIRES, SILENT)
    sentence, level = gate_report(reading).sentences[0], gate_report(reading).error_level
    page, as_json, as_markdown, _ = write_report([plain], tmp_path / "report.html")
    for text in (html.unescape(page.read_text()), as_markdown.read_text(), printed(plain)):
        assert sentence in text and level in text and "rolled back by the gates" in text
    gates = json.loads(as_json.read_text())["runs"][0]["gates"]
    assert [(v["round"], v["rule"]["metric"], v["fired"]) for v in gates["verdicts"]] == [
        (1, "judge_mean", False),
        (1, "unreadable_rate", False),
        (2, "judge_mean", True),
        (2, "unreadable_rate", False),
    ]
    assert {"value", "bound", "limit", "level", "n"} <= gates["verdicts"][0].keys()


def test_a_rule_that_cannot_be_judged_does_not_keep_the_report_from_being_written(
    plain: RunView, tmp_path: Path
) -> None:
    with_rules(plain, UNKNOWN)
    page = write_report([plain], tmp_path / "report.html")[0]
    assert "gate on no_such_metric" in page.read_text()
    assert "selected as best" in printed(plain)


def test_the_round_that_the_floor_of_readable_verdicts_stopped_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path, share=False)
    write_run(store, "lost", PLEASER)
    with store.open_run("lost", recipe_of(PLEASER), environment={"device": "none"}) as run:
        some = run.read(2, "judgments", Judgment)
        lost = [
            dataclasses.replace(
                row, score=None if number % 4 else row.score or 0.0, unreadable="x" if number % 4 else None
            )
            for number, row in enumerate(some)
        ]
        run.complete(given(3, "judgments", Judgment, lost, {}))
    report = gate_report(Reading(store.existing("lost")))
    last = dict(zip(report.table.header, report.table.rows[-1], strict=True))
    assert (last["round"], last["value"], last["threshold"], last["verdict"]) == ("3", "0.250", "0.5", "fired")
    assert [row[-1] for row in report.table.rows[:-1]] == ["silent", "silent"]
