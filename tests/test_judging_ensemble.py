"""Ensembles: every member weighs the same, where they disagree there is no score, and how those that compare vote."""

import math
from collections import Counter

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from judging_factory import comparison, judgment
from test_judge_bench import labelled_pairs, nowhere
from test_judge_bench import scripted as bench_model
from test_judging_loop import go

from selfreward.commands.judge_bench.bench import bench
from selfreward.errors import LimitError, RecipeError
from selfreward.judging.scoring.answers import score_answers
from selfreward.judging.scoring.tournament import ratings
from selfreward.judging.scoring.votes import voted
from selfreward.progress import Progress
from selfreward.recipe import EnsembleAggregate, JudgeRecipe
from selfreward.recipe.read import build_recipe
from selfreward.records import Comparison, Judgment, Pair, Response
from selfreward.store.results import Store

SCORES = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=5)


def recipe(bound=None):
    return JudgeRecipe(aggregate=EnsembleAggregate(members=("one", "two"), max_disagreement=bound))


def rows(first, second, of="a"):
    return [judgment(of, score, n, template="one") for n, score in enumerate(first)] + [
        judgment(of, score, n, template="two") for n, score in enumerate(second)
    ]


@given(SCORES, SCORES)
def test_the_score_is_the_mean_of_the_members_means_however_often_each_was_asked(first, second):
    scores, drops = score_answers(rows(first, second), recipe())
    assert drops == []
    means = sum(first) / len(first), sum(second) / len(second)
    assert scores["a"].value == pytest.approx(sum(means) / 2)
    assert scores["a"].readable == len(first) + len(second)
    assert scores == score_answers(rows(first, second)[::-1], recipe())[0]


@given(SCORES, SCORES, st.floats(0, 5))
def test_an_answer_is_dropped_exactly_where_members_differ_by_more_than_the_bound(first, second, bound):
    scores, drops = score_answers(rows(first, second), recipe(bound))
    apart = abs(sum(first) / len(first) - sum(second) / len(second))
    if abs(apart - bound) > 1e-9:
        assert [drop.reason for drop in drops] == (["low agreement"] if apart > bound else [])
    assert ("a" in scores) != bool(drops)


def test_a_member_that_could_not_be_read_agrees_with_nobody():
    judged = [*rows([4.0], [4.0], "a"), *rows([4.0], [None], "b"), *rows([None], [None], "c")]
    scores, drops = score_answers(judged, recipe(1.0))
    assert set(scores) == {"a"} and {drop.subject for drop in drops} == {"b", "c"}
    scores, drops = score_answers(judged, recipe())
    assert set(scores) == {"a", "b"} and drops == [] and scores["b"].unreadable == 1


def test_two_names_for_the_same_weights_are_one_member():
    same = [judgment("a", 4.0, 0), judgment("a", 2.0, 1)]
    scores, drops = score_answers(same, recipe(0.5))
    assert scores["a"].value == 3.0 and drops == []


def test_a_verifiers_verdicts_are_nobodys_opinion():
    judged = [*rows([5.0], [1.0], "a"), judgment("v", 5.0, judge="exact", source="verifier")]
    scores, drops = score_answers(judged, recipe(1.0))
    assert scores["v"].value == 5.0 and [drop.subject for drop in drops] == ["a"]


@given(st.lists(st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]), min_size=1, max_size=7))
def test_a_vote_is_what_its_members_prefer_and_turns_with_them(preferences):
    turned = [1.0 - one for one in preferences]
    for vote in ("mean", "majority", "unanimous"):
        given_here, given_turned = (voted(side, len(preferences), vote) for side in (preferences, turned))
        assert given_here == pytest.approx(1.0 - given_turned)
    assert voted(preferences, len(preferences), "mean") == pytest.approx(math.fsum(preferences) / len(preferences))
    sides = Counter("for" if one > 0.5 else "against" if one < 0.5 else "tie" for one in preferences)
    expected = 0.5 + (sides["for"] > sides["against"]) / 2 - (sides["for"] < sides["against"]) / 2
    assert voted(preferences, len(preferences), "majority") == expected
    if voted(preferences, len(preferences), "unanimous") != 0.5:
        assert len(sides) == 1 and voted(preferences, len(preferences), "majority") in (0.0, 1.0)
    assert voted(preferences, len(preferences) + 1, "unanimous") == 0.5, "one member could not be read"


def test_three_jurors_that_err_apart_are_right_as_condorcet_says():
    """All 8 outcomes of three members, each right with .8, weighed: .896 by majority, .512 decided when unanimous."""
    right = decided = 0.0
    for outcome in range(8):
        votes = [float(outcome >> member & 1) for member in range(3)]
        weight = math.prod(0.8 if vote else 0.2 for vote in votes)
        right += weight * voted(votes, 3, "majority")
        decided += weight * (voted(votes, 3, "unanimous") == 1.0)
    assert right == pytest.approx(0.8**3 + 3 * 0.8**2 * 0.2) and decided == pytest.approx(0.8**3)


def ensemble(vote="mean", *more):
    members = f"{{kind: ensemble, members: [one.txt, two.txt, three.txt], vote: {vote}}}"
    return build_recipe([], ["judge.question=comparison", f"judge.aggregate={members}", *more]).judge


def test_members_that_compare_are_put_together_pair_by_pair():
    likes = {"one": 1.0, "two": 1.0, "three": 0.0}
    rows = [comparison("a", "b", value, name) for name, value in likes.items()]
    rows += [comparison("b", "a", 1.0 - value, name) for name, value in likes.items()]
    found = {vote: ratings(rows, ensemble(vote)) for vote in ("mean", "majority", "unanimous")}
    assert found["majority"]["a"] > found["mean"]["a"] > found["unanimous"]["a"] == found["unanimous"]["b"] == 2.5
    # A member that looks at the slot alone ties, and leaves the others' majority as it is.
    slots = [comparison("a", "b", 1.0, "three"), comparison("b", "a", 1.0, "three")]
    assert ratings([*(row for row in rows if row.principle != "three"), *slots], ensemble("majority")) == pytest.approx(
        found["majority"]
    )


def test_one_member_is_not_unanimous_whoever_was_asked():
    rows = [comparison("a", "b", 1.0, "one"), comparison("b", "a", 0.0, "one")]
    assert ratings(rows, ensemble("unanimous"))["a"] == 2.5 < ratings(rows, ensemble("majority"))["a"]


@pytest.mark.parametrize("drawn", ["comparisons=ring", "comparisons=random"])
def test_every_member_is_asked_about_the_pairs_that_were_drawn_once(tmp_path, drawn):
    rules, aggregate = three_tastes(tmp_path)
    path = tmp_path / "script.yaml"
    replies = ["good", "bad", "odd", "even", "long", "short"]
    path.write_text(yaml.safe_dump({"rules": [*rules, {"replies": replies}]}), encoding="utf-8")
    asked = ["engine.kind=scripted", f"engine.script={path}", "judge.question=comparison", aggregate]
    few = [f"judge.question.{drawn}", "generate.samples=6"] + ["judge.question.count=6"] * (drawn[-1] == "m")
    found = go(tmp_path / "runs", "drawn", *asked, *few)
    met = [
        sorted((row.first_id, row.second_id) for row in found.read(1, f"judgments_{member}_comparisons", Comparison))
        for member in range(3)
    ]
    assert met[0] == met[1] == met[2]
    answers = {name for pair in met[0] for name in pair}
    assert len(met[0]) < 5 * len(answers), "some two of six answers to a prompt never met"


@pytest.mark.parametrize(
    ("question", "aggregate", "words"),
    [
        ("comparison", "members: [one.txt, two.txt], samples: 5", "nothing would read it"),
        ("comparison", "members: [one.txt, two.txt], max_disagreement: 1", "max_disagreement=1.0 is not read"),
        ("comparison", "members: [one.txt, two.txt], average: median", "judge.aggregate.average=median is not read"),
        ("comparison", "members: [one.txt, principle]", "needs a principle"),
        ("score", "members: [additive, brief], vote: majority", "judge.aggregate.vote=majority is not read"),
        ("list", "members: [one.txt, two.txt]", "list is another question"),
        ("comparison", "members: [one.txt, two.txt], vote: loudest", "expected mean | majority | unanimous"),
    ],
)
def test_what_members_would_not_read_is_refused(question, aggregate, words):
    with pytest.raises(RecipeError) as refused:
        build_recipe([], [f"judge.question={question}", f"judge.aggregate={{kind: ensemble, {aggregate}}}"])
    assert words in str(refused.value)


def three_tastes(tmp_path):
    """Words of three judges: two like `good`, one likes `bad`."""
    for name in ("one", "two", "three"):
        text = "{prompt}\n<1-{fence}>\n{first}\n</1-{fence}>\n<2-{fence}>\n{second}\n</2-{fence}>\n"
        (tmp_path / f"{name}.txt").write_text(f"As judge {name}:\n{text}", encoding="utf-8")
    wants = {"one": "good", "two": "good", "three": "bad"}
    rules = [
        {"match": rf"(?s)As judge {name}:.*<{slot}-\w+>\n{taste}\n", "replies": [f"so\nPreferred: {slot}"]}
        for name, taste in wants.items()
        for slot in (1, 2)
    ]
    rules += [{"match": "As judge", "replies": ["so\nPreferred: tie"]}]
    files = ", ".join(str(tmp_path / f"{name}.txt") for name in wants)
    return rules, f"judge.aggregate={{kind: ensemble, members: [{files}], vote: majority}}"


def test_a_round_judged_by_a_majority_stopped_and_resumed_has_the_same_bytes(tmp_path):
    rules, aggregate = three_tastes(tmp_path)
    path = tmp_path / "script.yaml"
    path.write_text(yaml.safe_dump({"rules": [*rules, {"replies": ["good", "bad", "odd"]}]}), encoding="utf-8")
    asked = ["engine.kind=scripted", f"engine.script={path}", "judge.question=comparison", aggregate]
    whole = go(tmp_path / "whole", "votes", *asked)
    parts = [whole.read(1, f"judgments_{number}_comparisons", Comparison) for number in range(3)]
    together = whole.read(1, "judgments_comparisons", Comparison)
    assert sorted(row.id for part in parts for row in part) == [row.id for row in together]
    assert len({row.template for row in together}) == len({row.principle for row in together}) == 3
    texts = {row.id: row.text for row in whole.read(1, "responses", Response)}
    pairs = whole.read(1, "pairs", Pair)
    order = ["good", "bad", "odd"]  # whoever does not care ties
    assert pairs and all(order.index(texts[one.chosen_id]) < order.index(texts[one.rejected_id]) for one in pairs)
    assert whole.seal(1, "judgments").made_from["vote"] == "majority"
    assert all(row.template.count("&") == 2 for row in whole.read(1, "judgments", Judgment))
    names = ("responses", "judgments_0_comparisons")
    spent = sum(seal.tokens for seal in whole.seals(0)) + sum(whole.seal(1, name).tokens for name in names)
    with pytest.raises(LimitError):
        go(tmp_path / "stopped", "votes", *asked, f"limits.tokens={spent + 1}")
    stopped = Store(tmp_path / "stopped").existing("votes")
    assert stopped.seal(1, names[1]) is not None and stopped.seal(1, "judgments_comparisons") is None
    again = go(tmp_path / "stopped", "votes", *asked)
    for name in ("judgments_comparisons", "judgments", "pairs"):
        files = [view.path / "round-01" / f"{name}.jsonl" for view in (whole, again)]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_the_bench_counts_what_each_member_said_once(tmp_path):
    rules, aggregate = three_tastes(tmp_path)
    pool = labelled_pairs(tmp_path, good="good", bad="bad", sources=("one",))
    path = tmp_path / "judges.yaml"
    section = yaml.safe_load(aggregate.removeprefix("judge.aggregate="))
    path.write_text(yaml.safe_dump({"votes": {"question": "comparison", "aggregate": section}}), encoding="utf-8")
    (found,) = bench([pool], [str(path)], bench_model(tmp_path, *rules), nowhere, Progress(style="silent"))
    assert found.estimates["accuracy"].value == 1.0 and found.verdicts == 3 * 2 * found.prompts
