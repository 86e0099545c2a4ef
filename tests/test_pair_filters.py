"""Filters and mixing: each drop has its reason, each share is kept, provenance stays on the row."""

import dataclasses
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.commands.preflight import preflight
from selfreward.errors import DataError, RecipeError
from selfreward.judging.scoring.score import Score
from selfreward.pairing.answers import Known, answer_pairs
from selfreward.pairing.mixing import mix
from selfreward.recipe import BestVsWorst, FiltersRecipe, MixRecipe
from selfreward.recipe.read import build_recipe
from selfreward.records import Message, Pair, Prompt, Response
from selfreward.tasks.pairs_file import read_pairs
from selfreward.tasks.verifiers.protocol import Grade


def two(chosen="a", rejected="b", spreads=(None, None), known=None, prompts=1, **filters):
    """`prompts` prompts with one good and one bad answer each, under these filters."""
    asked = [Prompt(f"p{i}", (Message("user", f"q{i}"),), "train", "file") for i in range(prompts)]
    rows, scores = [], {}
    for number, prompt in enumerate(asked):
        for name, text, value, spread in (
            ("good", chosen, 5.0 - number / 100, spreads[0]),
            ("bad", rejected, 1.0, spreads[1]),
        ):
            one = Response(f"{prompt.id}/{name}", prompt.id, 0, "m", text, "", (1, 2), "stop", 0, "plain")
            rows.append(one)
            scores[one.id] = Score(value, 2, 0, spread)
    recipe = BestVsWorst(filters=FiltersRecipe(**filters))
    pairs, drops = answer_pairs(asked, rows, scores, recipe, seed=0, source="self", known=known)
    assert len(pairs) + len(drops) == prompts
    return pairs, drops


def reason(*arguments, **filters):
    drops = two(*arguments, **filters)[1]
    return drops[0].reason if drops else None


@pytest.mark.parametrize(
    ("texts", "filters", "expected"),
    [
        (("a b c d", "a b c e"), {"max_similarity": 0.7}, "near duplicate"),
        (("a b c d", "a b c e"), {"max_similarity": 0.75}, None),
        (("x" * 30, "x" * 10), {"max_length_ratio": 2.9}, "length skew"),
        (("x" * 10, "x" * 30), {"max_length_ratio": 2.9}, "length skew"),
        (("x" * 30, "x" * 10), {"max_length_ratio": 3.0}, None),
        (("x" * 3, ""), {"max_length_ratio": 2.0}, "length skew"),
    ],
)
def test_texts_that_are_too_alike_or_too_different_in_length(texts, filters, expected):
    assert reason(*texts, **filters) == expected


@pytest.mark.parametrize(
    ("spreads", "expected"),
    [((0.0, 1.1), "low agreement"), ((1.1, 0.0), "low agreement"), ((1.0, 1.0), None), ((None, None), None)],
)
def test_judgments_that_disagree(spreads, expected):
    assert reason("a", "b", spreads, max_spread=1.0) == expected


@given(st.floats(-50, 0), st.floats(-50, 0), st.floats(0, 5))
def test_a_low_margin_is_one_below_the_limit_whichever_side_is_likelier(chosen, rejected, limit):
    known = Known(logprobs={"p0/good": chosen, "p0/bad": rejected})
    expected = "low margin" if abs(chosen - rejected) < limit else None
    assert reason("a", "b", (None, None), known, min_logprob_margin=limit) == expected


@pytest.mark.parametrize(
    ("chosen", "rejected", "expected"),
    [
        ((False, 0.0), (True, 5.0), "verifier conflict"),
        ((False, 1.0), (False, 4.0), "verifier conflict"),
        ((True, 5.0), (False, 0.0), None),
        ((True, 5.0), (True, 5.0), None),
        ((None, 0.0), (True, 5.0), None),
        ((False, 0.0), (None, 5.0), None),
    ],
)
def test_a_pair_that_the_verifier_ranks_the_other_way_is_dropped(chosen, rejected, expected):
    known = Known(grades={"p0/good": Grade("g", *chosen), "p0/bad": Grade("b", *rejected)})
    assert reason("a", "b", (None, None), known, verifier_conflict=True) == expected
    assert reason("a", "b", (None, None), known) is None


@given(st.lists(st.sampled_from("xyz"), min_size=1, max_size=12), st.floats(0.05, 1))
def test_no_final_answer_has_more_than_its_share_and_the_widest_gaps_stay(answers, share):
    known = Known(grades={f"p{i}/good": Grade(answer, True, 5.0) for i, answer in enumerate(answers)})
    pairs, drops = two(prompts=len(answers), known=known, max_class_share=share, class_of="answer")
    kept = [answers[int(pair.prompt_id[1:])] for pair in pairs]
    assert pairs and {drop.reason for drop in drops} <= {"class cap"}
    for answer in set(kept):
        assert kept.count(answer) <= max(1, math.floor(share * len(kept) + 1e-9))
        first = [i for i, other in enumerate(answers) if other == answer][: kept.count(answer)]
        assert first == [int(pair.prompt_id[1:]) for pair in pairs if answers[int(pair.prompt_id[1:])] == answer]
    scores = two(prompts=len(answers), max_class_share=share)[0]
    assert len(scores) == (len(answers) if share > 1 - 1e-9 else 1), "all scores round to 5: one class"


# --- mixing -----------------------------------------------------------------------------------------------------------


def pair(name, source="self", kind="answer", **more):
    return Pair(name, kind, "p", f"{name}c", f"{name}r", (7,), (1,), (2,), 1.0, 0.0, source, **more)


def many(count, prefix, **more):
    return [pair(f"{prefix}{i}", **more) for i in range(count)]


@given(st.integers(1, 60), st.floats(0, 0.45), st.floats(0, 0.45))
def test_the_shares_are_of_all_pairs(own, earlier, external):
    recipe = MixRecipe(earlier_share=earlier, external="x", external_share=external)
    rows = mix(many(own, "own"), {1: many(500, "old")}, many(500, "out", source="external:human"), recipe, seed=0)
    total = own + len(rows)
    old = [row for row in rows if row.source == "round-1:self"]
    assert len(old) == pytest.approx(earlier * total, abs=1.01)
    assert len(rows) - len(old) == pytest.approx(external * total, abs=1.01)
    assert len({row.id for row in rows}) == len(rows)


def test_spin_mixes_the_previous_iteration_one_to_one():
    recipe = MixRecipe(earlier_share=0.5)
    earlier = {1: many(30, "first"), 2: many(30, "second")}
    rows = mix(many(30, "own"), earlier, [], recipe, seed=0)
    assert sorted(row.id for row in rows) == sorted(row.id for row in earlier[2])
    both = mix(many(30, "own"), earlier, [], dataclasses.replace(recipe, earlier="all"), seed=0)
    assert len(both) == 30 and {row.source for row in both} == {"round-1:self", "round-2:self"}
    assert mix(many(30, "own"), {}, [], recipe, seed=0) == []


def test_only_a_rounds_own_answers_are_mixed_and_their_reference_is_forgotten():
    past = [
        pair("a", reference="old", reference_chosen=-1.0, reference_rejected=-2.0),
        pair("b", source="round-1:self"),
        pair("c", source="external:human"),
        pair("d", kind="judgment", source="meta"),
        pair("own0"),
    ]
    (row,) = mix(many(9, "own"), {2: past}, [], MixRecipe(earlier_share=0.5), seed=0)
    assert (row.id, row.source, row.reference, row.reference_chosen, row.reference_rejected) == (
        "a", "round-2:self", "", None, None,
    )  # fmt: skip
    assert row.prompt_token_ids == (7,)


# --- pairs from outside -----------------------------------------------------------------------------------------------

GOOD = {"prompt": "Name a river.", "chosen": "The Rhine.", "rejected": "Paris.", "source": "human"}


def write(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_external_pairs_are_read_with_their_provenance(tmp_path):
    other = {**GOOD, "prompt": "Name a lake.", "source": "teacher", "label": 0.8, "weight": 0.5}
    first, second = read_pairs(write(tmp_path / "pairs.jsonl", GOOD, other))
    assert (first.prompt.text, first.chosen, first.rejected, first.source) == tuple(GOOD.values())
    assert (first.label, first.weight, second.label, second.weight) == (1.0, 1.0, 0.8, 0.5)
    assert first.id != second.id and first.prompt.id != second.prompt.id


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**GOOD, "chosen": None}, "chosen is null"),
        ({**GOOD, "source": None}, "source is null"),
        ({**GOOD, "rejected": " The Rhine. "}, "the same text"),
        ({**GOOD, "label": 0.2}, "label is 0.2"),
        ({**GOOD, "label": "1"}, "label is a string"),
        ({**GOOD, "weight": 0}, "weight is 0"),
        ({**GOOD, "weight": True}, "weight is true or false"),
        ({"chosen": "a", "rejected": "b", "source": "c"}, "found keys"),
        ({**GOOD, "prompt": "another"}, "the same pair as line 1"),
    ],
)
def test_an_external_row_that_cannot_be_used_is_named_with_file_and_line(tmp_path, row, message):
    first = {**GOOD, "prompt": "another"}
    with pytest.raises(DataError, match=rf"pairs\.jsonl:2: .*{message}"):
        read_pairs(write(tmp_path / "pairs.jsonl", first, row))


def test_a_file_without_pairs_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no pair in the file"):
        read_pairs(write(tmp_path / "pairs.jsonl"))


# --- before the run ---------------------------------------------------------------------------------------------------


def files(tmp_path, **row):
    """A recipe on prompt files of numbered sums; `row` is added to the training rows (None takes a key away)."""
    training = [{"prompt": f"What is {i} plus one ?", "answer": i + 1, **row} for i in range(6)]
    training = [{key: value for key, value in one.items() if value is not None} for one in training]
    measured = [{"prompt": f"What is {i} plus two ?", "answer": str(i + 2)} for i in range(20)]
    return [
        f"prompts.source={write(tmp_path / 'train.jsonl', *training)}",
        f"measure.source={write(tmp_path / 'measure.jsonl', *measured)}",
        "rounds=1",
        "prompts.per_round=6",
        "measure.gate=4",
        "measure.selection=4",
        "measure.report=4",
        "measure.frozen=0",
    ]


def refused(tmp_path, *keys, **row):
    with pytest.raises((DataError, RecipeError)) as caught:
        preflight(build_recipe([], [*files(tmp_path, **row), *keys]))
    return str(caught.value)


def test_a_missing_gold_answer_is_refused_before_the_run(tmp_path):
    assert "has no 'answer'" in refused(tmp_path, "measure.verifier=exact", answer=None)
    assert "needs the gold answer" in refused(tmp_path, "measure.verifier=none", "pairs.rule=spin", answer=None)
    assert "expected a number" in refused(tmp_path, "measure.verifier=numeric", answer="many")
    assert "meta is a list" in refused(tmp_path, "measure.verifier=exact", meta=[1])
    assert "answer is an object" in refused(tmp_path, "measure.verifier=exact", answer={"x": 1})
    assert "no gold" in refused(tmp_path, "measure.verifier=exact", "prompts.source=sandbox", "measure.source=sandbox")


def test_a_schema_that_is_none_is_refused_before_the_run(tmp_path):
    pytest.importorskip("jsonschema")
    message = refused(
        tmp_path, "measure.verifier=json_schema", "judge.source=verifier_then_model", meta={"schema": {"type": 3}}
    )
    assert "is not a JSON schema" in message or "has no 'meta.schema'" in message


def test_what_the_verifier_need_not_decide_may_lack_an_answer(tmp_path):
    keys = files(tmp_path, answer=None)
    preflight(build_recipe([], [*keys, "measure.verifier=exact", "judge.source=verifier_then_model"]))


def test_external_pairs_about_evaluation_prompts_are_refused(tmp_path):
    rows = [{**GOOD, "prompt": f"what is  {i} plus two ?"} for i in range(20)]
    leak = write(tmp_path / "pairs.jsonl", *rows)
    mixed = [f"pairs.mix.external={leak}", "pairs.mix.external_share=0.2", "measure.verifier=none"]
    assert "expected disjoint prompts" in refused(tmp_path, *mixed)


def test_the_gold_answer_of_a_row_reaches_the_prompt(tmp_path):
    _, source, verifier = preflight(build_recipe([], [*files(tmp_path), "measure.verifier=exact"]))
    prompts = source.training(1, 6)
    assert {source.gold(prompts)[prompt.id] for prompt in prompts} == {str(i + 1) for i in range(6)}
    assert all(verifier.check(prompt, f"It is {prompt.answer}.").correct for prompt in prompts)
