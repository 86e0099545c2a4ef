"""Every judging protocol inside the whole loop: real store, and the sandbox's model or a script."""

from collections import Counter
from pathlib import Path

import pytest
from judging_factory import script
from small_keys import HARDLY_MEASURED

from selfreward.commands.run import run
from selfreward.errors import EngineError, GateError, RecipeError
from selfreward.judging.scoring.adaptive import estimate
from selfreward.progress import Progress
from selfreward.recipe.read import load_recipe
from selfreward.records import Comparison, Drop, Judgment, Pair
from selfreward.store.results import Store
from selfreward.store.run import RunView

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
SMALL = (
    "rounds=1",
    "meta.enabled=false",
    "prompts.per_round=16",
    "prompts.writer.share=0",
    *HARDLY_MEASURED,
    "measure.frozen=12",
    "train.method=none",
)


def go(results: Path, name: str, *overrides: str) -> RunView:
    store = Store(results)
    run(load_recipe(SMOKE, [*SMALL, *overrides]), store, name, Progress())
    return store.existing(name)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


def test_adaptive_judging_keeps_the_number_used_and_says_what_noise_it_assumed(results: Path) -> None:
    view = go(results, "adaptive", "judge.aggregate=adaptive", "judge.aggregate.cap=5")
    rows = view.read(1, "judgments", Judgment)
    used = Counter(row.response_id for row in rows)
    assert min(used.values()) == 2 and 2 < max(used.values()) <= 5
    first = view.read(1, "judgments_first", Judgment)
    seal = view.seal(1, "judgments_further")
    assert seal is not None and seal.made_from["constants"]["noise"] == estimate(first).noise
    assert len(rows) == len(first) + len(view.read(1, "judgments_further", Judgment))
    pairs = view.read(1, "pairs", Pair)
    raw = {row.response_id: 0.0 for row in rows}
    for row in rows:
        raw[row.response_id] += (row.score or 0.0) / used[row.response_id]
    assert pairs and all(pair.chosen_score - pair.rejected_score > 0 for pair in pairs)
    gaps = [raw[pair.chosen_id] - raw[pair.rejected_id] - pair.chosen_score + pair.rejected_score for pair in pairs]
    assert sum(gap > 0 for gap in gaps) > len(gaps) / 2, "scores are shrunk"
    again = go(results, "adaptive-again", "judge.aggregate=adaptive", "judge.aggregate.cap=5")
    assert again.read(1, "pairs", Pair) == pairs


def test_a_hybrid_judge_scores_between_the_points_and_pairs_no_rounding_noise(results: Path) -> None:
    view = go(results, "hybrid", "judge.reading=rationale", "judge.aggregate.samples=1")
    rows = view.read(1, "judgments", Judgment)
    assert all(row.mass is not None and row.mass > 0.5 for row in rows if row.score is not None)
    assert all(pair.chosen_score - pair.rejected_score >= 0.01 - 1e-9 for pair in view.read(1, "pairs", Pair))


def test_a_judge_without_its_scratchpad_is_stopped_by_the_gate(results: Path) -> None:
    with pytest.raises(GateError):
        go(results, "expected", "judge.reading=probability", "measure.frozen=0")


def test_an_ensemble_of_models_and_its_bound(results: Path) -> None:
    ensemble = ("judge.aggregate=ensemble", "judge.aggregate.members=['sandbox@initial','@policy']")
    view = go(results, "ensemble", *ensemble, "rounds=1")
    assert len(view.read(1, "judgments", Judgment)) == 2 * len(view.read(1, "judgments_0", Judgment))
    other = str(Path(__file__).parent.parent / "selfreward" / "tasks" / "sandbox" / "seeds" / "seed-1")
    keys = ("judge.aggregate=ensemble", f"judge.aggregate.members=['@policy','@{other}']")
    strict = go(results, "strict", *keys, "judge.aggregate.max_disagreement=0.2")
    reasons = Counter(drop.reason for drop in strict.read(1, "dropped", Drop))
    assert reasons["low agreement"] > 0
    judges = {row.judge for row in strict.read(1, "judgments", Judgment)}
    assert len(judges) == 2
    dropped = {drop.subject for drop in strict.read(1, "dropped", Drop) if drop.reason == "low agreement"}
    assert dropped.isdisjoint({name for pair in strict.read(1, "pairs", Pair) for name in (pair.chosen_id,)})


PAIRWISE = ("engine.kind=scripted", "judge.question=comparison", "judge.reading=probability", "measure.frozen=12")
REPLIES = [f"answer {word}" for word in ("one", "two", "three", "four", "five")]


def test_a_pairwise_judge_prefers_by_text_in_the_loop(results: Path, tmp_path: Path) -> None:
    rules = [
        {"match": "You compare", "replies": ["Preferred: tie"], "next": {"1": 0.5, "2": 0.5}},
        {"replies": REPLIES},
    ]
    for number, word in enumerate(("one", "two", "three", "four", "five")):
        chances = {"1": 0.9 - number / 10, "2": number / 10}
        rules.insert(number, {"match": rf"<response-1-\w+>\nanswer {word}\n", "replies": ["x"], "next": chances})
    path = script(tmp_path, *rules)
    view = go(results, "pairwise", *PAIRWISE, f"engine.script={path}", "train.method=none")
    comparisons = view.read(1, "judgments_comparisons", Comparison)
    assert len(comparisons) == 2 * len({frozenset((row.first_id, row.second_id)) for row in comparisons})
    judgments = view.read(1, "judgments", Judgment)
    assert judgments and all(0 < (row.score or 0) < 5 for row in judgments)
    pairs = view.read(1, "pairs", Pair)
    assert pairs and all(pair.chosen_score > pair.rejected_score for pair in pairs)
    seal = view.seal(1, "judgments")
    assert seal is not None and seal.made_from["positions"]["same_slot"] is not None


def test_a_script_without_probabilities_says_what_to_add(results: Path, tmp_path: Path) -> None:
    path = script(tmp_path, {"replies": REPLIES})
    with pytest.raises(EngineError, match="next"):
        go(results, "mute", *PAIRWISE, f"engine.script={path}", "train.method=none")


@pytest.mark.parametrize(
    "overrides",
    [
        ("judge.question=rubric", "judge.question.rubric=nothing"),
        (
            "judge.aggregate=ensemble",
            "judge.aggregate.members=['sandbox','nothing']",
        ),
        ("judge.question=comparison", "judge.reading=probability", "judge.question.template=nothing"),
    ],
)
def test_what_the_judge_would_be_asked_with_is_checked_before_anything_runs(
    results: Path, overrides: tuple[str, ...]
) -> None:
    with pytest.raises(RecipeError, match="nothing"):
        go(results, "unknown", *overrides)
