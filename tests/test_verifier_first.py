"""The verifier says which answers pass and the judge ranks these; the judge's own margin as a filter of pairs."""

import dataclasses
import math
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging_factory import judgment, prompt, response
from sections import pairs_of
from small_keys import HARDLY_MEASURED

from selfreward.commands.run import run
from selfreward.errors import RecipeError
from selfreward.judging.by_verifier import ask_verifier, passed
from selfreward.judging.scoring.passing import PASSES, among_passing
from selfreward.judging.scoring.score import Score, counted
from selfreward.pairing.answers import Known, answer_pairs
from selfreward.pairing.filters import label_margin
from selfreward.progress import Progress
from selfreward.recipe import FiltersRecipe
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.recipe.scale import HIGHEST, LOWEST
from selfreward.records import Comparison, Drop, Judgment, Measurement, Pair, Prompt, Response, by_id
from selfreward.store.results import Store
from selfreward.tasks.verifiers.protocol import Grade, load_verifier

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
SCORES = st.floats(LOWEST, HIGHEST)


@given(st.lists(st.tuples(st.booleans(), SCORES), min_size=1, max_size=6))
def test_no_failing_answer_is_above_one_that_passes_and_the_judges_order_is_kept(answers):
    verdicts = {str(i): counted(LOWEST) for i, (passes, _) in enumerate(answers) if not passes}
    judged = {str(i): Score(score, 3, 0, 1.0) for i, (passes, score) in enumerate(answers) if passes}
    scores = among_passing(verdicts, judged)
    assert set(scores) == {*verdicts, *judged}
    for name in judged:
        assert scores[name].value >= PASSES > LOWEST and scores[name].spread == 0.25 and scores[name].readable == 3
        assert all(scores[name].value - scores[other].value >= PASSES for other in verdicts)
        for other in judged:
            assert scores[name].value - scores[other].value <= PASSES
            if judged[name].value >= judged[other].value:
                assert scores[name].value >= scores[other].value


def asked(*answers, failing_too=False):
    """Which answers the model is asked about; an answer is (prompt, text, passes or None)."""
    rows = [response(f"{of}{i}", of, text) for i, (of, text, _) in enumerate(answers)]
    said = {True: HIGHEST, False: LOWEST, None: None}
    verdicts = [
        judgment(row.id, said[passes], prompt_id=row.prompt_id, source="verifier")
        for row, (_, _, passes) in zip(rows, answers, strict=True)
    ]
    return [row.id for row in passed(verdicts, rows, failing_too)]


def test_the_model_is_asked_about_two_or_more_texts_that_pass():
    mixed = [("a", "x", True), ("a", "y", True), ("a", "z", False), ("a", "w", None)]
    alone = [("b", "x", True), ("b", "z", False)]
    twice = [("c", "x", True), ("c", "x", True), ("c", "z", False)]
    everyone = [("d", "x", True), ("d", "y", True)]
    silent = [("e", "x", None), ("e", "y", None)]
    rows = [*mixed, *alone, *twice, *everyone, *silent]
    assert asked(*rows) == ["a0", "a1", "d9", "d10"]
    assert asked(*rows, failing_too=True) == ["a0", "a1"], "nothing fails in d, so no pair could be made of it"


def test_a_verdict_says_whether_an_answer_passes_not_how_good_it_is():
    work = ask_verifier(
        load_verifier("exact"), "exact", {"p": Prompt("p", prompt().messages, "train", "test", answer="7")},
        [response("yes", text="7"), response("no", text="8")], made_from={}, round=1, passing=True,
    )  # fmt: skip
    rows = [row for chunk in work.chunks for row in work.compute(chunk, 0)]
    assert [row.score for row in rows] == [HIGHEST, LOWEST]


GRADES = {"good1": Grade("1", True, 5.0), "good2": Grade("2", True, 5.0), "bad": Grade("3", False, 0.0)}


def _pairs(margin=None, **keys):
    recipe = pairs_of(**keys)
    return dataclasses.replace(recipe, filters=FiltersRecipe(min_judge_margin=margin))


def paired(scores, known, *names, **keys):
    answers = [response(name) for name in names]
    given_scores = {name: counted(value) for name, value in scores.items()}
    return answer_pairs([prompt()], answers, given_scores, _pairs(**keys), seed=3, source="self", known=known)


@pytest.mark.parametrize("better", ["good1", "good2"])
def test_the_best_judged_answer_that_passes_is_chosen_and_what_fails_is_rejected(better):
    scores = {"good1": 3.0, "good2": 3.0, better: 4.5}
    known = Known(GRADES, sources={"bad": "verifier"}, ranked=True)
    (pair,), _ = paired(scores, known, "good1", "good2", "bad", rule="verified")
    assert (pair.chosen_id, pair.rejected_id, pair.chosen_score, pair.rejected_score) == (better, "bad", 4.5, LOWEST)
    assert pair.source == "verifier" and pair.label == 1.0
    (plain,), _ = paired({**scores, "bad": LOWEST}, known, "good1", "good2", "bad", rule="best_vs_worst")
    assert (plain.chosen_id, plain.rejected_id, plain.source) == (better, "bad", "verifier")
    (passing,), _ = paired(scores, known, "good1", "good2", rule="best_vs_worst")
    assert passing.chosen_id == better and passing.source == "self"
    pairs, (drop,) = paired(scores, known, "good1", "good2", rule="best_vs_worst", min_gap=PASSES)
    assert not pairs and drop.reason == "near tie"


def test_an_unread_judgment_ranks_last_among_what_passes():
    known = Known(GRADES, sources={"bad": "verifier"}, ranked=True)
    (pair,), _ = paired({"good2": PASSES}, known, "good1", "good2", "bad", rule="verified")
    assert pair.chosen_id == "good2"
    pairs, _ = paired({"good2": 3.0}, known, "good1", "good2", "bad", rule="verified", per_prompt=2)
    assert [(one.chosen_id, one.chosen_score) for one in pairs] == [("good2", 3.0), ("good1", PASSES)]


def test_without_a_ranking_the_judges_scores_say_nothing_about_what_passes():
    known = Known(GRADES)
    chosen = [
        paired({"good1": a, "good2": b}, known, "good1", "good2", "bad", rule="verified")[0][0].chosen_id
        for a, b in ((1.0, 5.0), (5.0, 1.0))
    ]
    assert chosen[0] == chosen[1]


# --- a run ------------------------------------------------------------------------------------------------------------

SMALL = (
    "rounds=1", "judge.source=verifier_and_model", "prompts.writer.share=0", "meta.enabled=false", *HARDLY_MEASURED,
    "generate.samples=6", "prompts.per_round=32",
)  # fmt: skip


def go(tmp_path, name, *keys):
    store = Store(tmp_path / "results")
    run(load_recipe(SMOKE, [*SMALL, *keys]), store, name, Progress())
    return store.existing(name)


def passes(view):
    verifier, prompts = load_verifier("sandbox"), by_id(view.read(1, "prompts", Prompt))
    return {
        row.id: verifier.check(prompts[row.prompt_id], row.text).correct for row in view.read(1, "responses", Response)
    }


@pytest.mark.parametrize("rule", ["verified", "best_vs_worst"])
def test_in_a_run_every_chosen_answer_passes_and_is_the_best_judged(tmp_path, rule):
    view = go(tmp_path, rule, f"pairs.rule={rule}")
    right, answers = passes(view), by_id(view.read(1, "responses", Response))
    opinions: defaultdict[str, list[float]] = defaultdict(list)
    for row in view.read(1, "judgments", Judgment):
        if row.source == "judge":
            assert right[row.response_id], "only what passes is judged"
            if row.score is not None:
                opinions[row.response_id].append(row.score)
    pairs = view.read(1, "pairs", Pair)
    assert pairs and opinions
    ranked = 0
    for pair in pairs:
        assert right[pair.chosen_id]
        if rule == "verified":
            assert not right[pair.rejected_id]
        else:
            assert pair.source == ("self" if right[pair.rejected_id] else "verifier")
        rivals = [name for name in opinions if answers[name].prompt_id == pair.prompt_id]
        means = {name: math.fsum(opinions[name]) / len(opinions[name]) for name in rivals}
        if means:
            ranked += 1
            assert means[pair.chosen_id] == max(means.values())
            assert pair.chosen_score == pytest.approx((HIGHEST + means[pair.chosen_id]) / 2)
    assert ranked > 3
    found = {row.metric: row for row in view.read(1, "measurements", Measurement) if row.pool == "train"}
    assert (found["chosen_passes"].value, found["chosen_passes"].n) == (1.0, len({pair.prompt_id for pair in pairs}))
    assert found["chosen_passes"].oracle


def test_the_shuffled_control_leaves_the_verifiers_word_alone(tmp_path):
    view = go(tmp_path, "shuffled", "judge.control=shuffled")
    right, pairs = passes(view), view.read(1, "pairs", Pair)
    assert pairs and all(right[pair.chosen_id] for pair in pairs)


def test_it_is_refused_where_it_cannot_work():
    for keys, words in (
        (["measure.verifier=none"], "needs a verifier"),
        (["train.method=rloo", "generate.sampling.temperature=1"], "verifier_and_judge"),
    ):
        with pytest.raises(RecipeError, match=words):
            build_recipe([], ["judge.source=verifier_and_model", *keys])


# --- the judge's margin -----------------------------------------------------------------------------------------------

COMPARING = ("judge.question=comparison", "judge.reading=probability")


@given(st.floats(0.001, 0.999))
def test_the_margin_is_the_logit_whichever_side_is_told(chance):
    assert label_margin(chance) == pytest.approx(abs(math.log(chance / (1 - chance))))
    assert label_margin(1 - chance) == pytest.approx(label_margin(chance))
    assert label_margin(0.0) == label_margin(1.0) == math.inf and label_margin(0.5) == 0.0


@pytest.mark.parametrize(
    ("chance", "reason"), [(0.5, "low judge margin"), (0.64, "low judge margin"), (0.65, None), (0.35, None)]
)
def test_pairs_of_which_the_judge_is_unsure_are_dropped(chance, reason):
    known = Known(GRADES, chances={("good1", "bad"): chance, ("bad", "good1"): 1 - chance})
    _, drops = paired({"good1": 4, "bad": 2}, known, "good1", "bad", margin=0.6)
    assert [drop.reason for drop in drops] == ([reason] if reason else [])


def test_what_a_verifier_decided_has_no_margin_and_what_was_not_read_is_dropped():
    keys = {"margin": 0.6}
    pairs, _ = paired({"good1": 4, "bad": 0}, Known(sources={"bad": "verifier"}), "good1", "bad", **keys)
    assert len(pairs) == 1
    pairs, (drop,) = paired({"good1": 4, "bad": 0}, Known(), "good1", "bad", **keys)
    assert not pairs and drop.reason == "unreadable" and "margin" in drop.detail


def test_the_margin_in_a_run_is_the_comparisons_own(tmp_path):
    limit = 0.3
    keys = (*COMPARING, "judge.reading.min_mass=1e-12", f"pairs.filters.min_judge_margin={limit}")
    view = go(tmp_path, "margin", "judge.source=model", *keys)
    said: defaultdict[frozenset[str], list[float]] = defaultdict(list)
    for row in view.read(1, "judgments_comparisons", Comparison):
        assert row.preference is not None
        low, high = sorted((row.first_id, row.second_id))
        said[frozenset((low, high))].append(row.preference if row.first_id == low else 1 - row.preference)
    pairs, drops = view.read(1, "pairs", Pair), view.read(1, "dropped", Drop)
    kept = [said[frozenset((pair.chosen_id, pair.rejected_id))] for pair in pairs]
    assert kept and all(label_margin(math.fsum(two) / 2) >= limit for two in kept)
    assert any(drop.reason == "low judge margin" for drop in drops)


@pytest.mark.parametrize(
    "keys",
    [
        (),
        (COMPARING[0], "judge.reading=verdict"),
        (*COMPARING, "judge.question.comparisons=ring"),
        (*COMPARING, "judge.source=none", "pairs.score=implicit_reward"),
        (*COMPARING, "pairs.rule=verified"),
    ],
)
def test_a_margin_that_no_judge_gives_is_refused(keys):
    build_recipe([], [*COMPARING, "pairs.filters.min_judge_margin=0.6"])
    with pytest.raises(RecipeError, match="min_judge_margin"):
        build_recipe([], [*keys, "pairs.filters.min_judge_margin=0.6"])
