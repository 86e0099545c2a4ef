"""nrDPO's weights and gate, and SCIR's agreement filter: closed forms, planted wrong labels, and what is refused."""

import json
import math
import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.commands.run import run
from selfreward.errors import RecipeError
from selfreward.judging.scoring.score import counted
from selfreward.pairing.answers import Known, answer_pairs
from selfreward.pairing.noise import margins, truncated, weigh
from selfreward.progress import Progress
from selfreward.recipe import BestVsWorst, FiltersRecipe, NrdpoWeights
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Drop, Likelihood, Measurement, Message, Pair, Prompt, Response, Rows
from selfreward.store.results import Store
from selfreward.store.run import RunView

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
SMALL = (
    *("meta.enabled=false", "prompts.writer.share=0", "prompts.per_round=12", "train.batch_size=8"),
    *("measure.report=4", "measure.gate=2", "measure.selection=2", "measure.frozen=0"),
    *("measure.judge_probes.padded=0", "measure.judge_probes.claims=0", "measure.judge_probes.initial=0"),
)


def go(where: Path, name: str, *keys: str) -> RunView:
    store = Store(where, share=False)
    run(load_recipe(SMOKE, [*SMALL, *keys]), store, name, Progress(style="silent"))
    return store.existing(name)


def pair(place: int, lengths: tuple[int, int] = (4, 4), weight: float = 1.0, source: str = "self") -> Pair:
    sides = tuple(range(lengths[0])), tuple(range(lengths[1]))
    name = f"pair{place:03}"
    return Pair(name, "answer", f"p{place}", f"c{place}", f"r{place}", (), *sides, 5.0, 1.0, source, weight=weight)


def weights(whole: list[float], cut: list[float], lengths: list[tuple[int, int]], **keys: float) -> list[float]:
    pairs = [pair(place, sides) for place, sides in enumerate(lengths)]
    return [one.weight for one in weigh(pairs, whole, cut, NrdpoWeights(**keys))[0]]


def test_the_weights_are_the_formulas() -> None:
    found = weights([1.0, -2.0, 4.0], [1.0, 0.5, 3.0], [(4, 4), (4, 4), (1, 9)], context=0.25, length=0.5)
    sigma = [1 / (1 + math.exp(-m / 2.0)) for m in (1.0, -2.0, 4.0)]
    raw = [sigma[0], sigma[1] * 0.25, sigma[2] / 3]
    assert found == pytest.approx([one * 3 / sum(raw) for one in raw])


numbers = st.lists(st.floats(-8, 8), min_size=1, max_size=12)


@given(numbers, st.data(), st.floats(0, 0.9))
def test_the_mean_weight_is_one_and_a_scale_changes_nothing(whole, data, gate):  # type: ignore[no-untyped-def]
    cut = data.draw(st.lists(st.floats(-8, 8), min_size=len(whole), max_size=len(whole)))
    lengths = [(3, 5)] * len(whole)
    found = weights(whole, cut, lengths, gate=gate)
    assert statistics.fmean(found) == pytest.approx(1.0) and min(found) > 0
    assert len(found) == len(whole) - math.floor(gate * len(whole))
    doubled = weights([2 * m for m in whole], [2 * m for m in cut], lengths, gate=gate)
    assert doubled == pytest.approx(found, rel=1e-6, abs=1e-9)


def test_labels_that_were_turned_weigh_less_and_are_gated_first() -> None:
    """A reference that knows the truth: of 100 pairs 30 are turned, so their margin has the other sign."""
    turned = set(range(0, 100, 10)) | set(range(3, 100, 10)) | set(range(7, 100, 10))
    whole = [(-1.0 if place in turned else 1.0) * (1 + place / 100) for place in range(100)]
    pairs = [pair(place) for place in range(100)]
    weighed, drops = weigh(pairs, whole, whole, NrdpoWeights())
    wrong = [one.weight for place, one in enumerate(weighed) if place in turned]
    right = [one.weight for place, one in enumerate(weighed) if place not in turned]
    assert not drops and max(wrong) < 0.6 < 1 < min(right)
    kept, gated = weigh(pairs, whole, whole, NrdpoWeights(gate=0.3))
    assert {drop.subject for drop in gated} == {f"p{place}" for place in turned} and len(kept) == 70
    assert {drop.reason for drop in gated} == {"low reference margin"}


def test_a_reference_that_knows_nothing_weighs_all_alike() -> None:
    assert weights([0.0] * 4, [0.0] * 4, [(5, 5)] * 4) == [1.0] * 4


def test_margins_are_by_token() -> None:
    rows = [Likelihood("a", "c", "m", (-1.0, -3.0)), Likelihood("b", "r", "m", (-3.0,) * 7)]
    assert margins(rows) == [1.0]


def test_what_is_cut_is_the_history() -> None:
    turns = (Message("user", "one"), Message("assistant", "two"), Message("user", "three four"))
    assert truncated(Prompt("p", turns, "train", "file")).messages == turns[-1:]
    single = Prompt("p", (Message("user", "a b c d e"),), "train", "file")
    assert truncated(single).text == "c d e"


def two(internal: dict[str, float], sources: dict[str, str] | None = None) -> tuple[list[Pair], list[Drop]]:
    asked = [Prompt("p", (Message("user", "q"),), "train", "file")]
    rows = [Response(name, "p", 0, "m", name, "", (1, 2), "stop", 0, "plain") for name in ("good", "bad")]
    scores = {"good": counted(5.0), "bad": counted(1.0)}
    rule = BestVsWorst(filters=FiltersRecipe(internal_agreement=True))
    known = Known(internal=internal, sources=sources or {})
    return answer_pairs(asked, rows, scores, rule, seed=0, source="self", known=known)


@pytest.mark.parametrize(
    ("internal", "reason"),
    [
        ({"good": 1.0, "bad": -1.0}, None),
        ({"good": -1.0, "bad": 1.0}, "readings disagree"),
        ({"good": 1.0, "bad": 1.0}, "readings disagree"),
        ({}, None),  # round 1
        ({"good": 1.0}, "unreadable"),
    ],
)
def test_only_what_both_readings_prefer_is_kept(internal: dict[str, float], reason: str | None) -> None:
    pairs, drops = two(internal)
    assert ([drop.reason for drop in drops] or [None]) == [reason] and len(pairs) == (reason is None)


def test_a_verifiers_verdict_is_no_reading_of_the_judge() -> None:
    assert len(two({"good": -1.0, "bad": 1.0}, {"good": "verifier"})[0]) == 1


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["pairs.weights=nrdpo", "train.method=sft_chosen"], "does not read"),
        (["pairs.weights=nrdpo", "pairs.balance=cohort"], "remove one of both"),
        (["pairs.weights=nrdpo", "pairs.weights.reference=previous"], "expected initial"),
        (["pairs.weights=nrdpo", "train.method=rloo"], "learns from rewards|nothing would read it"),
        (["pairs.filters.internal_agreement=true", "rounds=1"], "rounds"),
        (["pairs.filters.internal_agreement=true", "pairs.score=implicit_reward"], "no judge scores"),
        (["pairs.filters.internal_agreement=true", "judge.source=none", "pairs.rule=spin"], "no judge scores"),
        (["pairs.filters.internal_agreement=true", "train.method=none"], "changes nothing"),
    ],
)
def test_what_nobody_would_read_is_refused(keys: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        build_recipe([], keys)


def test_a_round_is_weighed_and_filtered_by_what_it_says(tmp_path: Path) -> None:
    """Both in a real run: weights of mean 1, the gate's share, judge and implicit reward agreeing on what is kept."""
    keys = ["pairs.weights=nrdpo", "pairs.weights.gate=0.25", "pairs.filters.internal_agreement=true", "rounds=2"]
    view = go(tmp_path, "noise", *keys)
    for number in (1, 2):
        pairs, drops = view.read(number, "pairs", Pair), view.read(number, "dropped", Drop)
        gated = [drop for drop in drops if drop.reason == "low reference margin"]
        assert len(gated) == math.floor(0.25 * (len(pairs) + len(gated)))
        assert statistics.fmean(one.weight for one in pairs) == pytest.approx(1.0)
        rows = {row.id: row for row in view.read(number, "pair_likelihoods", Likelihood)}
        assert len(rows) == 2 * (len(pairs) + len(gated))
        assert not [drop for drop in drops if drop.reason == "readings disagree"] or number == 2
    policy, initial = (
        {row.response_id: sum(row.logprobs) for row in view.read(2, f"round_likelihoods_{name}", Likelihood)}
        for name in ("policy", "initial")
    )
    for one in view.read(2, "pairs", Pair):
        sides = [policy[name] - initial[name] for name in (one.chosen_id, one.rejected_id)]
        assert sides[0] > sides[1]
    measured = {row.metric: row for row in view.read(2, "measurements", Measurement) if row.pool == "train"}
    disagreed = [drop for drop in view.read(2, "dropped", Drop) if drop.reason == "readings disagree"]
    assert ("internal_agreement" in measured) == bool(disagreed)


def test_pairs_of_a_file_are_weighed_too(tmp_path: Path) -> None:
    """What another model or person prefers is what the weights are for."""
    rows = [{"prompt": f"a b {n}", "chosen": "the cat", "rejected": "the dog", "source": "human"} for n in range(16)]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    keys = [f"pairs.mix.external={file}", "pairs.mix.external_share=1", "judge.source=none", "rounds=1"]
    view = go(tmp_path / "results", "given", *keys, "pairs.weights=nrdpo", "pairs.weights.gate=0.5")
    pairs = view.read(1, "pairs", Pair)
    assert isinstance(pairs, Rows | list) and len(pairs) == 6
    assert {one.source for one in pairs} == {"external:human"}
    assert statistics.fmean(one.weight for one in pairs) == pytest.approx(1.0)
