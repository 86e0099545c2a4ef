"""The canary: its rule's error rates, planted judges with the sandbox's model, every truth, and the gate in a run."""

import json
import random
from pathlib import Path

import pytest
from judging_factory import script
from scipy.stats import binom
from test_judging_loop import SMALL, SMOKE
from typer.testing import CliRunner

from selfreward.commands.canary.command import asked_prompts, canary_command
from selfreward.commands.cli import app
from selfreward.commands.run import run
from selfreward.errors import GateError, RecipeError
from selfreward.measuring.canary.verdict import WORTH_SEEING, CanaryEvidence, Fought, decide, smallest_visible
from selfreward.measuring.judge_truth import Rated, duels, longer_wins, pairwise_accuracy, tied_prompts, within_tau
from selfreward.measuring.stats.clustered import wilson
from selfreward.progress import Progress
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.store.results import Store
from selfreward.tasks.open_source import open_source
from selfreward.tasks.sandbox.pools import judge_pool

QUIET = Progress(style="silent")
WORDS = ("train", "do not train", "cannot be known")


def evidence(right, **more):
    pairs = [Fought(f"p{number}", value) for number, value in enumerate(right)]
    given = {"truth": "truth", "prompts": len(pairs), "verdicts": 100, "readable": 100, "answers": 100, "truncated": 0}
    return CanaryEvidence(pairs=pairs, **{**given, **more})


def rates(n, p):
    """Chance of every word for n decided pairs that are right with chance p."""
    found = dict.fromkeys(WORDS, 0.0)
    for k in range(n + 1):
        found[decide(evidence([float(index < k) for index in range(n)]), 0.5).word] += binom.pmf(k, n, p)
    return found


def simulated(n, p, sets=300):
    rng = random.Random(f"{n} {p}")
    counts = dict.fromkeys(WORDS, 0)
    for _ in range(sets):
        counts[decide(evidence([float(rng.random() < p) for _ in range(n)]), 0.5).word] += 1
    return {word: count / sets for word, count in counts.items()}


@pytest.mark.parametrize(
    ("n", "alarm", "missed"),
    [(20, 0.021, (0.755, 0.383, 0.067)), (30, 0.021, (0.642, 0.197, 0.010)), (60, 0.026, (0.338, 0.015, 0.0))],
)
def test_the_error_rates_are_those_that_the_docstring_states(n, alarm, missed):
    assert rates(n, 0.5)["train"] == pytest.approx(alarm, abs=6e-4)
    for accuracy, rate in zip((0.65, 0.75, 0.85), missed, strict=True):
        assert 1 - rates(n, accuracy)["train"] == pytest.approx(rate, abs=6e-4)


@pytest.mark.parametrize(("n", "p"), [(60, 0.5), (60, 0.75), (30, 0.65), (20, 0.75)])
def test_simulated_evidence_sets_meet_the_exact_rates(n, p):
    exact, drawn = rates(n, p), simulated(n, p)
    for word in WORDS:
        low, high = wilson(drawn[word] * 300, 300, 3.5)
        assert low <= exact[word] + 1e-9 and exact[word] - 1e-9 <= high, word


@pytest.mark.parametrize("n", [*range(60), 99, 100])
def test_never_train_on_a_coin_more_often_than_promised(n):
    enough = next(
        (k for k in range(n + 1) if decide(evidence([1.0] * k + [0.0] * (n - k)), 0.5).word == "train"), n + 1
    )
    assert binom.sf(enough - 1, n, 0.5) < 0.04


def test_the_smallest_visible_accuracy_is_seen_in_four_of_five_cases():
    assert smallest_visible(0) is None and smallest_visible(9) is None
    for n in (10, 29, 60):
        assert rates(n, smallest_visible(n))["train"] == pytest.approx(0.8)
    assert smallest_visible(28) > WORTH_SEEING > smallest_visible(29)


def test_the_rules_of_the_docstring_in_their_order():
    good, coin = [1.0] * 60, [1.0, 0.0] * 30
    assert decide(evidence(good), 0.5).word == "train"
    assert decide(evidence(coin), 0.5).word == "do not train"
    assert "worse than chance" in decide(evidence([0.0] * 12), 0.5).sentence
    unread = decide(evidence(good, readable=40), 0.5)
    assert unread.word == "do not train" and "40 of 100 verdicts" in unread.sentence
    assert decide(evidence(good, verdicts=0, readable=0), 0.0).word == "do not train"
    blind = decide(evidence([], truth="", missing="nobody knows"), 0.5)
    assert blind.word == "cannot be known" and "nobody knows" in blind.sentence
    none = decide(evidence([], prompts=9, reasons=["tie 9"]), 0.5)
    assert none.word == "do not train" and "9 prompts (tie 9)" in none.sentence
    assert decide(evidence([None] * 50), 0.5).word == "cannot be known"
    few = decide(evidence(coin[:10]), 0.5)
    assert few.word == "cannot be known" and "none below 0.92" in few.sentence
    assert decide(evidence([*good, *[None] * 500]), 0.5).decided == 60


def test_pairs_of_one_prompt_are_not_so_many_witnesses():
    same = CanaryEvidence("truth", [Fought("p", 1.0)] * 60, 1, 9, 9, 9, 0)
    assert decide(same, 0.5).word == "cannot be known"
    assert decide(evidence([1.0] * 9), 0.5).word == "cannot be known"


def test_scores_against_truth_by_hand():
    rows = [Rated("p", 3.0, 5.0, 10), Rated("p", 3.0, 0.0, 20), Rated("p", 1.0, 2.0, 30), Rated("q", None, 1.0, 5)]
    found = duels(rows)
    # 5 against 0: equal scores; 5 against 2: right, the shorter wins; 2 against 0: wrong, the shorter wins.
    assert sorted(found) == [("p", 0.0, 0.0, 1.0), ("p", 0.5, 0.5, 0.0), ("p", 1.0, 0.0, 0.0)]
    assert pairwise_accuracy(found).value == 0.5
    longer = longer_wins(found)
    assert (longer.judge.value, longer.truth.value) == pytest.approx((1 / 6, 1 / 3))
    assert longer.excess.value == pytest.approx(-1 / 6)
    assert within_tau(rows).value == pytest.approx(0.0) and tied_prompts(rows).value == 0.0
    assert tied_prompts([Rated("p", 2.0, 1.0), Rated("p", 2.0, 0.0), Rated("q", 1.0, 1.0)]).value == 1.0


def smoke(*overrides):
    return load_recipe(SMOKE, [*SMALL, "prompts.per_round=60", *overrides])


@pytest.fixture(scope="module")
def skilled():
    return canary_command(smoke(), QUIET)


def test_the_sandboxs_model_may_be_trained_on(skilled):
    verdict, table = skilled
    assert verdict.word == "train" and verdict.decided >= 30 and verdict.accuracy.low > 0.7
    assert {row[0]: row[1] for row in table.rows}["truth"] == "the verifier (sandbox)"


def test_a_judge_without_information_may_not(skilled):
    verdict, _ = canary_command(smoke("judge.control=shuffled"), QUIET)
    assert verdict.word == "do not train" and verdict.accuracy.low < 0.5
    assert verdict.accuracy.high < skilled[0].accuracy.low


def test_the_report_and_selection_pools_are_never_asked():
    recipe = smoke("measure.gate=8")
    asked = asked_prompts(recipe, open_source(recipe), 60)
    assert [prompt.pool for prompt in asked] == ["gate"] * 8 + ["train"] * 52
    assert [prompt.pool for prompt in asked_prompts(recipe, open_source(recipe), 5)] == ["gate"] * 5


def test_answers_that_people_scored_are_a_truth_too(tmp_path: Path):
    rows = [
        {"prompt": task.text, "answer": reply, "label": score, "locked": number // 3 >= 50}
        for number, (task, reply, score) in enumerate(judge_pool(180, split="gate"))
    ]
    unique = {(row["prompt"], row["answer"]): row for row in rows}
    path = tmp_path / "anchors.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in unique.values()), encoding="utf-8")
    asked = ["measure.verifier=none", f"measure.anchors={path}", "prompts.per_round=4"]
    verdict, _ = canary_command(smoke(*asked), QUIET, 4)
    assert verdict.word == "train" and f"the anchors file ({path})" in verdict.sentence
    assert 29 <= verdict.accuracy.n <= 50, "the locked rows are not looked at"


def test_a_held_out_judge_is_a_truth_too_and_without_any_it_cannot_be_known():
    held_out = ["measure.verifier=none", "measure.held_out.model=sandbox:seed-1", "measure.held_out.samples=1"]
    verdict, _ = canary_command(smoke(*held_out), QUIET, 40)
    assert verdict.word == "train" and "held-out judge (sandbox:seed-1)" in verdict.sentence
    said: list[str] = []
    loud = Progress(style="silent")
    loud.say = said.append
    few = ["measure.verifier=none", "measure.gate=2", "prompts.per_round=2"]
    verdict, _ = canary_command(smoke(*few), loud, 6)
    assert verdict.word == "cannot be known"
    assert "will be 'cannot be known'" in said[0] and any(line.startswith("4 prompts and not 6:") for line in said)


def test_a_judge_that_cannot_be_read_and_the_order_of_a_pairwise_one(tmp_path: Path):
    answers = {"match": "^(?!judge)", "replies": ["one thing", "another thing", "a third thing"]}
    mute = script(tmp_path, {"match": "^judge", "replies": ["I cannot say"]}, answers)
    scripted = ["engine.kind=scripted", "train.method=none"]
    verdict, _ = canary_command(smoke(*scripted, f"engine.script={mute}"), QUIET, 10)
    assert verdict.word == "do not train" and verdict.sentence.count("0 of ") == 1
    partial = script(
        tmp_path, {"match": "Preferred: tie", "replies": ["The first. Preferred: 1", "Preferred: 1"]}, answers
    )
    asked = [*scripted, f"engine.script={partial}", "judge.question=comparison"]
    verdict, table = canary_command(smoke(*asked), QUIET, 10)
    flips = next(row for row in table.rows if row[0].startswith("verdicts that change"))
    assert verdict.word == "do not train" and flips[1].startswith("1.00 ")


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["judge.source=oracle"], "judge.source=oracle"),
        (["pairs.rule=verified"], "pairs.rule=verified"),
        (["pairs.score=implicit_reward"], "implicit_reward"),
        (["measure.verifier=none", "gates.canary=require"], "gates.canary=require"),
    ],
)
def test_what_it_has_nothing_to_say_about_is_refused(overrides, named):
    with pytest.raises(RecipeError, match=named):
        canary_command(build_recipe([], overrides), QUIET)


@pytest.mark.slow
def test_a_run_that_requires_it_stops_before_training(tmp_path: Path):
    store = Store(tmp_path)
    asked = ["gates.canary=require", "prompts.per_round=48", "judge.control=shuffled"]
    with pytest.raises(GateError, match=r"canary: do not train: of .* pairs that the verifier") as raised:
        run(smoke(*asked), store, "stopped", QUIET)
    assert raised.value.exit_code == 9
    view = store.existing("stopped")
    assert view.seal(1, "pairs") is not None and view.seal(1, "checkpoint") is None
    said = []
    loud = Progress(style="silent")
    loud.say = said.append
    run(smoke("gates.canary=warn", *asked[1:]), store, "stopped", loud)
    assert view.seal(1, "checkpoint") is not None and any("canary: do not train" in line for line in said)
    run(smoke("gates.canary=require", "prompts.per_round=48"), store, "good", QUIET)
    noted = [event for event in store.existing("good").events() if event["event"] == "canary"]
    assert [event["word"] for event in noted] == ["train"] and noted[0]["decided"] >= 29


def test_the_command_says_its_sentence_first():
    done = CliRunner().invoke(app, ["canary", str(SMOKE), "measure.gate=4", "--prompts", "4"])
    assert done.exit_code == 0 and "cannot be known: of" in done.output and "answers cut off" in done.output
