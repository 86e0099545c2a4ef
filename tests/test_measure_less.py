"""Measuring costs less: what is read once, what is not asked, and which change the default pools can still see."""

import random
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest

from selfreward.commands.ablate import load_grid
from selfreward.commands.plan.workload import recipe_lengths
from selfreward.commands.plan.workload_measuring import measuring
from selfreward.commands.run import run
from selfreward.commands.unknown import unknown
from selfreward.engines.hugging_face.engine import HuggingFaceEngine
from selfreward.errors import RecipeError
from selfreward.measuring.stats.clustered import t_quantile
from selfreward.measuring.stats.smallest import smallest_change
from selfreward.progress import Progress
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Likelihood, Measurement, Pair, Response
from selfreward.report.reading import Reading
from selfreward.report.verdict import judge_run
from selfreward.store.results import Store
from selfreward.store.view import RunView

RECIPES = Path(__file__).parent.parent / "recipes"
SMALL = ("rounds=1", "prompts.per_round=12", "prompts.writer.share=0", "meta.enabled=false")
VERIFIED = (
    *(*SMALL, "judge.source=none", "pairs.rule=verified"),
    *("measure.report=6", "measure.gate=2", "measure.selection=2"),
)


def go(root: Path, name: str, *overrides: str) -> RunView:
    recipe = load_recipe(RECIPES / "smoke.yaml", overrides)
    return RunView(run(recipe, Store(root, share=False), name, Progress(style="silent")))


def test_equal_answers_are_read_once_and_have_a_row_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = HuggingFaceEngine.logprobs

    def distinct_only(self: HuggingFaceEngine, texts: Sequence[Any]) -> Any:
        assert len({(one.prompt_token_ids, one.completion_token_ids) for one in texts}) == len(texts)
        return real(self, texts)

    monkeypatch.setattr(HuggingFaceEngine, "logprobs", distinct_only)
    view = go(tmp_path, "twins", *SMALL, "measure.report=4", "measure.samples=12")
    rows = {row.response_id: row.logprobs for row in view.read(1, "likelihoods_policy", Likelihood)}
    answers: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for one in view.read(1, "eval_responses", Response):
        if one.id in rows:
            answers.setdefault((one.prompt_id, one.token_ids), []).append(one.id)
    assert len(rows) == 48 and len(answers) < 48, "twelve answers of so small a model repeat themselves"
    for (_, tokens), names in answers.items():
        assert len({rows[name] for name in names}) == 1
        assert len(rows[names[0]]) == len(tokens)


def test_a_judge_that_makes_no_pairs_can_be_left_out(tmp_path: Path) -> None:
    asked, left = go(tmp_path, "asked", *VERIFIED), go(tmp_path, "left", *VERIFIED, "measure.judge=false")
    assert asked.read(1, "pairs", Pair) == left.read(1, "pairs", Pair)
    assert asked.seal(1, "checkpoint").facts["digest"] == left.seal(1, "checkpoint").facts["digest"]
    told = {m.metric: m for m in asked.read(1, "measurements", Measurement) if m.pool == "report" and m.cohort == "all"}
    kept = {m.metric: m for m in left.read(1, "measurements", Measurement) if m.pool == "report" and m.cohort == "all"}
    assert "judge_mean" in told and "judge_mean" not in kept
    assert kept["true_accuracy"] == told["true_accuracy"], "what no judge is asked for stays as it is"
    for artifact in ("eval_judgments", "frozen_judgments", "probe_judgments", "initial_judgments"):
        assert left.seal(1, artifact) is None
    assert any("measure.judge=false" in line for line in judge_run(Reading(left)).details)
    recipe = left.recipe()
    assert any("measure.judge=false" in line for line in unknown(recipe))
    stages = {one.stage for one in measuring(recipe, recipe_lengths(recipe))}
    assert stages == {"measure: answer"}


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ((), "its scores make the pairs"),
        (("judge.source=none", "pairs.rule=verified", "measure.anchors=x.jsonl"), "measure.anchors"),
        (("judge.source=none", "pairs.rule=verified", "measure.judge_probes.padded=5"), "measure.judge is false"),
        (
            ("judge.source=none", "pairs.rule=verified", "gates.rules=[{metric: judge_mean, below: 1}]"),
            r"gates.rules\[0\]",
        ),
        (
            (
                *("judge.source=none", "pairs.rule=verified"),
                "gates.rules=[{metric: length_tokens, above: 9, action: rollback}]",
            ),
            "a rollback chooses",
        ),
    ],
)
def test_a_judge_by_whom_something_is_decided_cannot(keys: tuple[str, ...], found: str) -> None:
    with pytest.raises(RecipeError, match=found):
        build_recipe([], [*keys, "measure.judge=false"])


def test_the_smallest_change_is_found_in_80_of_100_cases() -> None:
    prompts, answers, draw = 100, 4, random.Random(0)
    change = smallest_change(prompts, answers)
    found = 0
    for _ in range(400):
        differences = []
        for _ in range(prompts):
            # The shares of Beta(1.29, 1.29) have the within-prompt variance that is assumed.
            before = draw.betavariate(1.29, 1.29)
            after = min(1.0, max(0.0, before + change * 1.06 + draw.gauss(0, 0.02**0.5)))
            shares = [fmean(draw.random() < share for _ in range(answers)) for share in (before, after)]
            differences.append(shares[1] - shares[0])
        error = stdev(differences) / np.sqrt(prompts)
        found += fmean(differences) > t_quantile(0.975, prompts - 1) * error
    assert 0.7 < found / 400 < 0.95
    assert smallest_change(4 * prompts, answers) == pytest.approx(change / 2, rel=0.02), (
        "four times as many: half of it"
    )
    assert smallest_change(prompts, 8) < change < smallest_change(prompts, 1)


@pytest.mark.parametrize("name", ["controls", "gentle_to_hot", "headline", "methods"])
def test_grids_whose_tables_are_published_keep_their_pools(name: str) -> None:
    grid = load_grid(RECIPES / "grids" / f"{name}.yaml")
    measure = load_recipe(grid.base, grid.cells()[0].overrides).measure
    assert (measure.gate, measure.selection, measure.report, measure.frozen) == (100, 100, 300, 300)
    assert (measure.samples, measure.judge_samples) == (6, 3)
