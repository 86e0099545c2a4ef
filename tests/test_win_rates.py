"""Files of preferences become win rates: three forms, planted rates, sides, and errors that name row and key."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from selfreward.commands.cli import app
from selfreward.commands.win_rate.system_agreement import system_agreement
from selfreward.commands.win_rate.votes_file import read_votes
from selfreward.commands.win_rate.win_rates import notes, win_rates
from selfreward.errors import DataError
from selfreward.records import Comparison, Response, to_line


def annotations(preferences, longer=0):
    return [
        {
            "instruction": f"question {number}",
            "output_1": "x" * 50,
            "output_2": "y" * (50 + longer + number % 7),
            "generator_1": "baseline",
            "generator_2": "model",
            "preference": preference,
        }
        for number, preference in enumerate(preferences)
    ]


def written(path: Path, rows) -> Path:
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def test_annotations_of_alpaca_eval_are_read_as_they_are_published(tmp_path):
    """1 is a loss, 2 a win, between them a probability, 0 and 1.5 a tie, null nobody's."""
    path = written(tmp_path / "annotations.json", annotations([1, 2, 1.25, 0, 1.5, None, float("nan")]))
    assert [vote.win for vote in read_votes(path)] == [0, 1, 0.25, 0.5, 0.5, None, None]
    (rate,) = win_rates(read_votes(path))
    assert (rate.model, rate.against, rate.votes, rate.left_out, rate.raw.n) == ("model", "baseline", 7, 2, 5)
    assert rate.raw.value == pytest.approx((0 + 1 + 0.25 + 0.5 + 0.5) / 5)


def test_a_planted_taste_for_length_is_taken_out(tmp_path):
    rng = np.random.default_rng(0)
    gaps = rng.integers(-40, 120, 400)
    wins = rng.random(400) < 1 / (1 + np.exp(-1.5 * np.tanh(gaps / 46)))
    rows = [
        {"model_a": "long", "model_b": "short", "winner": "model_a" if win else "model_b", "prompt": str(number)}
        | {"length_a": str(200 + gap), "length_b": "200"}
        for number, (gap, win) in enumerate(zip(gaps.tolist(), wins, strict=True))
    ]
    path = tmp_path / "votes.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    long, short = win_rates(read_votes(path))
    assert long.raw.low > 0.55 and long.controlled.low < 0.5 < long.controlled.high
    assert short.controlled.value == pytest.approx(1 - long.controlled.value, abs=1e-6)
    assert short.raw.value == pytest.approx(1 - long.raw.value)
    assert any("equal length" in note for note in notes([long]))


def test_votes_as_json_lines_with_texts_and_without_lengths(tmp_path):
    path = tmp_path / "votes.jsonl"
    rows = [
        {"model_a": "a", "model_b": "b", "winner": "tie", "question_id": 7, "response_a": "long", "response_b": "s"},
        {"model_a": "b", "model_b": "c", "preference": 0.9, "question_id": 7},
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    votes = read_votes(path)
    assert [(vote.prompt, vote.win, vote.characters) for vote in votes] == [("7", 0.5, 3), ("7", 0.9, None)]
    rates = {rate.model: rate for rate in win_rates(votes)}
    assert rates["b"].against == "2 models" and rates["b"].controlled is None and rates["a"].controlled is not None
    assert rates["b"].raw.value == pytest.approx(0.7) and rates["c"].raw.value == pytest.approx(0.1)
    assert "No length control" in notes(list(rates.values()))[0]


def answer(name, policy, text):
    return Response(name, "p", 0, policy, text, "", (1,), "stop", 0, "t")


def lines(*records):
    return "".join(f"{to_line(record)}\n" for record in records)


def comparison(first, second, preference):
    unread = None if preference is not None else "no verdict"
    return Comparison(f"{first}{second}", "p", first, second, "judge", "", (1,), "stop", 0, "t", preference, unread)


@pytest.mark.parametrize(
    ("forth", "back", "win"), [(1.0, 0.0, 1.0), (1.0, 1.0, 0.5), (0.2, 0.9, 0.0), (1.0, None, None)]
)
def test_comparisons_of_a_run_count_once_for_both_orders(tmp_path, forth, back, win):
    answers = tmp_path / "responses.jsonl"
    answers.write_text(lines(answer("r1", "new", "four"), answer("r2", "old", "s")), encoding="utf-8")
    path = tmp_path / "comparisons.jsonl"
    path.write_text(lines(comparison("r1", "r2", forth), comparison("r2", "r1", back)), encoding="utf-8")
    (vote,) = read_votes(path, [answers])
    assert (vote.model, vote.against, vote.win, vote.characters) == ("new", "old", win, 3)
    with pytest.raises(DataError, match="--responses"):
        read_votes(path)
    answers.write_text(lines(answer("r1", "new", "four")), encoding="utf-8")
    with pytest.raises(DataError, match=r"row 1: second_id 'r2' is in none"):
        read_votes(path, [answers])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"preference": 3}, "row 2: preference is 3; expected 0 to 2"),
        ({"preference": 0.5}, "row 2: preference is 0.5; expected 1"),
        ({"preference": "good"}, "row 2: preference is 'good'; expected a number"),
        ({"preference": True}, "row 2: preference is True; expected a number"),
        ({"output_1": 7}, "row 2: output_1 is a number; expected text"),
    ],
)
def test_a_bad_row_is_named_with_its_key(tmp_path, change, says):
    rows = annotations([1, 2, 2])
    rows[1] |= change
    with pytest.raises(DataError, match=says):
        read_votes(written(tmp_path / "a.json", rows))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no rows"),
        ("[1]", "row 1: a number; expected an object"),
        ("{", "row 1: not JSON"),
        ('{"a": 1}', "row 1: its keys are 'a'; expected alpaca_eval"),
        ('{"model_a": "x", "model_b": "y"}', "neither 'winner' nor 'preference'"),
        ('{"model_a": "x", "model_b": "y", "winner": "x"}', "winner is 'x'; expected one of model_a"),
        ('{"model_a": "x", "winner": "tie"}', "model_b is missing; expected text"),
        ('{"model_a": "x", "model_b": "y", "winner": "tie", "length_a": -3}', "length_a is -3; expected 0"),
    ],
)
def test_what_is_no_file_of_preferences_says_what_one_is(tmp_path, text, says):
    path = tmp_path / "votes.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=says):
        read_votes(path)


def test_the_command_prints_and_writes(tmp_path):
    path = written(tmp_path / "annotations.json", annotations([1, 2] * 30))
    done = CliRunner().invoke(app, ["win-rate", str(path), "--out", str(tmp_path / "rates.json")])
    assert done.exit_code == 0, done.stdout
    assert "50 [38" in done.stdout and "model" in done.stdout
    (rate,) = json.loads((tmp_path / "rates.json").read_text(encoding="utf-8"))
    assert rate["raw"]["value"] == 0.5 and rate["controlled"]["n"] == 60


def test_people_and_judge_over_systems_by_hand_and_planted():
    names = [f"m{index}" for index in range(12)]
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.1, 0.9, 12)
    people = dict(zip(names, truth, strict=True))
    near = system_agreement({name: rate + rng.normal(0, 0.05) for name, rate in people.items()}, people)
    assert near.pearson.low > 0.6 and near.spearman.low > 0.4 and near.kendall.value < near.spearman.value
    z, half = np.arctanh(near.pearson.value), 1.96 / 3
    assert (near.pearson.low, near.pearson.high) == pytest.approx((np.tanh(z - half), np.tanh(z + half)), abs=1e-4)
    missed = sum(
        not found.pearson.low <= 0 <= found.pearson.high
        for found in (system_agreement(dict(zip(names, rng.random(12), strict=True)), people) for _ in range(100))
    )
    assert missed <= 12
    exact = system_agreement(people, people | {"other": 0.5})
    assert (exact.pearson.value, exact.spearman.value, exact.mean_difference) == (pytest.approx(1.0), 1.0, 0.0)
    with pytest.raises(DataError, match="0 systems in common of 12 and 1"):
        system_agreement(people, {"other": 0.5})
    few = system_agreement({"a": 0.1, "b": 0.2, "c": 0.4}, {"a": 0.1, "b": 0.2, "c": 0.3})
    assert few.pearson.low is None is few.spearman.low


def test_the_command_sets_people_beside_the_judge(tmp_path):
    def votes(name, rates):
        rows = [
            {"model_a": model, "model_b": "base", "winner": "model_a" if number < wins else "model_b"}
            for model, wins in rates.items()
            for number in range(10)
        ]
        return written(tmp_path / name, rows)

    judge = votes("judge.json", {"x": 2, "y": 5, "z": 9, "w": 7})
    people = votes("people.json", {"x": 1, "y": 4, "z": 8, "w": 6})
    done = CliRunner().invoke(app, ["win-rate", str(judge), "--people", str(people)])
    assert done.exit_code == 0 and "over 5 models: r 0.9" in done.stdout
