"""Rephrasings as noise: wordings that mean the same stay silent beside a second reading, others are found."""

import json
import random
from statistics import variance

import pytest
from test_judge_bench import QUIET, labelled_pairs, nowhere, scripted
from typer.testing import CliRunner

from selfreward.commands.cli import app
from selfreward.commands.judge_bench.bench import bench
from selfreward.commands.judge_bench.output import as_json, in_other_words, tables
from selfreward.commands.judge_bench.specs import read_judges
from selfreward.commands.judge_bench.wordings import in_wordings, wordings
from selfreward.errors import RecipeError
from selfreward.recipe import Recipe
from selfreward.roles.catalogue import words

ANSWERS = {f"p{prompt}/{sample}": f"p{prompt}" for prompt in range(40) for sample in range(3)}


def asked(seed, *changes, noise=1.0):
    """Two readings of each wording: true quality, what the wording changes, and noise that differs by wording."""
    rng = random.Random(seed)
    quality = {name: rng.uniform(0, 5) for name in ANSWERS}

    def reading(change, spread):
        return {name: change(name, value) + rng.gauss(0, spread) for name, value in quality.items()}

    return [
        tuple(reading(change, noise * (1 + 0.3 * number)) for _ in range(2)) for number, change in enumerate(changes)
    ]


def same(_, value):
    return value


def found(*given, **more):
    return wordings("judge", "pool", ANSWERS, asked(*given, **more)).estimates


def test_wordings_that_mean_the_same_are_silent():
    """Of scores also where one is noisier than the other: its second reading is as noisy."""
    results = [found(seed, same, same, same) for seed in range(60)]
    alarms = sum(not one["wording_excess"].low < 0 < one["wording_excess"].high for one in results)
    assert alarms <= 9, "5 % of 60, and what chance allows in 999 of 1,000 cases"
    assert all(0.5 < one["retest_sd"].value < 2 for one in results)
    flips = [one["flip_excess"] for one in results]
    assert sum(not one.low < 0 < one.high for one in flips) <= 9


def test_a_generous_wording_moves_scores_and_flips_nothing():
    results = [found(seed, same, same, lambda _, value: value + 1.5, noise=0.5) for seed in range(20)]
    assert all(one["wording_excess"].low > 0 for one in results)
    mean = sum(one["wording_excess"].value for one in results) / 20
    assert mean == pytest.approx(variance([0, 0, 1.5]), abs=0.15)
    assert sum(one["flip_excess"].low > 0 for one in results) <= 4


def test_a_wording_that_is_understood_otherwise_flips():
    backwards = found(0, same, lambda _, value: 5 - value, noise=0.1)
    assert backwards["flip_excess"].low > 0.8 and backwards["retest_flips"].high < 0.2
    assert backwards["wording_sd"].low > backwards["retest_sd"].high


def test_asked_once_the_noise_is_not_known_and_unread_answers_are_left_out():
    both = asked(0, same, same)
    once = wordings("judge", "pool", ANSWERS, [(both[0][0], None), both[1]])
    assert once.estimates["wording_sd"].value > 0 and once.estimates["wording_flips"].n == 40
    assert all(once.estimates[name].value is None for name in ("retest_sd", "wording_excess", "flip_excess"))
    short = dict(list(both[1][0].items())[5:])
    assert wordings("judge", "pool", ANSWERS, [both[0], (short, both[1][1])]).left_out == 5
    nothing = wordings("judge", "pool", ANSWERS, [both[0], ({}, {})])
    assert nothing.answers == 0 and nothing.estimates["wording_sd"].value is None


def written(tmp_path, name, first_line):
    path = tmp_path / name
    path.write_text(first_line + "\n" + words("judge", "additive"), encoding="utf-8")
    return path


def test_the_bench_asks_every_judge_in_every_wording_and_tells_words_from_luck(tmp_path):
    coin = {"replies": [f"Score: {score}" for score in range(5)]}
    strict = {"match": "Be strict", "replies": ["Score: 0", "Score: 1"]}
    files = [written(tmp_path, "kind.txt", "Be kind."), written(tmp_path, "strict.txt", "Be strict.")]
    pool = labelled_pairs(tmp_path, sources=("one",))
    model = scripted(tmp_path, strict, coin)
    results = bench([pool], ["name=j,samples=1"], model, nowhere, QUIET, wordings=files[:1])
    assert [one.judge for one in results] == ["j", "j, kind"]
    (equal,) = in_other_words(results)
    assert equal.estimates["wording_excess"].low < 0 < equal.estimates["wording_excess"].high
    assert equal.estimates["wording_sd"].low > 0.5, "the second wording does not share the luck of the first"
    results = bench([pool], ["name=j,samples=1"], model, nowhere, QUIET, wordings=files)
    (apart,) = in_other_words(results)
    assert (apart.count, apart.answers, apart.left_out) == (3, 40, 0)
    assert apart.estimates["wording_excess"].low > 0
    assert tables(results)[-1].caption.endswith("in other words")
    assert json.loads(as_json(results))["wordings"][0]["count"] == 3


def test_a_judge_that_samples_nothing_has_no_noise_but_that_of_its_words(tmp_path):
    rules = ({"match": "Be kind", "replies": ["."], "next": {"5": 0.9}}, {"replies": ["."], "next": {"4": 0.9}})
    files = [written(tmp_path, "kind.txt", "Be kind.")]
    model = scripted(tmp_path, *rules)
    pool = labelled_pairs(tmp_path, sources=("one",))
    (one,) = in_other_words(bench([pool], ["reading=probability"], model, nowhere, QUIET, wordings=files))
    assert one.estimates["retest_sd"].value == 0.0 and one.estimates["wording_excess"].value == pytest.approx(0.5)


def test_a_file_that_a_question_has_no_key_for_is_refused(tmp_path):
    rubric = tmp_path / "rubric.yaml"
    plain = read_judges(["name=plain,question=score"], Recipe())
    with pytest.raises(RecipeError, match=r"rubric.yaml: judge 'plain' asks question=score, which has no rubric"):
        in_wordings(plain, [rubric])
    listed = read_judges(["name=listed,question=rubric,rubric=helpfulness"], Recipe())
    (_, other) = in_wordings(listed, [rubric])
    assert other.recipe.judge.question.rubric == str(rubric) and other.wording_of == "listed"
    with pytest.raises(RecipeError, match="'plain, a'"):
        in_wordings(plain, [tmp_path / "a.txt", tmp_path / "b" / "a.txt"])


def test_the_command_takes_wordings_and_refuses_one_without_a_place(tmp_path):
    file = tmp_path / "again.txt"
    file.write_text("{prompt} {response}", encoding="utf-8")
    given = ["judge-bench", "sandbox", "--count", "2", "--judge", "question=comparison", "--wording", str(file)]
    done = CliRunner().invoke(app, given)
    assert done.exit_code != 0 and "{first}" in str(done.output) + str(done.exception)
