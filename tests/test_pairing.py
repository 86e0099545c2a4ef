"""Pairing: every prompt is accounted for, the order of rows means nothing, controls change only what they say."""

import dataclasses
import random
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sections import pairs_of

from selfreward.errors import DataError, RecipeError
from selfreward.judging.scoring.score import MetaSummary, Score, Standing
from selfreward.pairing.answers import answer_pairs
from selfreward.pairing.caps import allowed_by_share
from selfreward.pairing.judgments import judgment_pairs
from selfreward.recipe import MetaRecipe, WriterRecipe
from selfreward.records import Judgment, Message, Prompt, Response
from selfreward.tasks.filters import assert_disjoint, filter_prompts
from selfreward.tasks.similarity import common_subsequence, rouge_l

ANSWER_REASONS = {
    "no response", "identical text", "truncated", "unreadable", "too few scored", "tie", "near tie", "too long",
}  # fmt: skip


def prompt(name, text=None, system=None):
    turns = [Message("system", system)] if system else []
    return Prompt(name, (*turns, Message("user", name if text is None else text)), "train", "file")


def response(prompt_id, sample, text=None, finish="stop", tokens=3):
    name = f"{prompt_id}/{sample}"
    return Response(
        name, prompt_id, sample, "policy", name if text is None else text, "", (sample,) * tokens, finish, 0, "plain"
    )


def score(value, readable=3):
    return Score(value, readable, 0, None)


def pair_up(prompts, responses, scores, seed=0, **recipe):
    return answer_pairs(prompts, responses, scores, pairs_of(**recipe), seed=seed, source="self")


def one_prompt(values, **recipe):
    rows = [response("p", i) for i in range(len(values))]
    scores = {row.id: score(value) for row, value in zip(rows, values, strict=True) if value is not None}
    return pair_up([prompt("p")], rows, scores, **recipe)


def only_reason(result):
    pairs, (drop,) = result
    assert not pairs
    assert (drop.stage, drop.kind, drop.subject) == ("pairs", "answer", "p")
    return drop.reason


def test_the_best_meets_the_worst_with_the_sampled_tokens():
    (pair,), drops = one_prompt([2.0, 5.0, None, 1.0, 4.0])
    assert not drops
    assert (pair.chosen_id, pair.rejected_id, pair.chosen_score, pair.rejected_score) == ("p/1", "p/3", 5.0, 1.0)
    assert (pair.prompt_token_ids, pair.chosen_token_ids, pair.rejected_token_ids) == ((), (1, 1, 1), (3, 3, 3))
    assert (pair.kind, pair.source, pair.label) == ("answer", "self", 1.0)


def test_each_way_of_not_becoming_a_pair_has_its_name():
    p = [prompt("p")]
    assert only_reason(pair_up(p, [], {})) == "no response"
    same = [response("p", i, text="yes") for i in range(3)]
    assert only_reason(pair_up(p, same, {"p/0": score(5)})) == "identical text"
    cut = [response("p", 0), response("p", 1, finish="length"), response("p", 2, finish="length")]
    assert only_reason(pair_up(p, cut, {row.id: score(row.sample) for row in cut})) == "truncated"
    assert only_reason(one_prompt([3.0, None, None])) == "unreadable"
    rows = [response("p", i) for i in range(3)]
    few = {"p/0": score(5), "p/1": score(1, readable=1), "p/2": score(2, readable=1)}
    assert only_reason(pair_up(p, rows, few, score={"min_judgments": 2})) == "too few scored"
    assert only_reason(one_prompt([4.0, 4.0, 4.0])) == "tie"
    assert only_reason(one_prompt([4.0, 3.5], min_gap=0.5)) == "near tie"
    long = [response("p", 0, tokens=9), response("p", 1, tokens=2)]
    assert only_reason(pair_up(p, long, {"p/0": score(5), "p/1": score(1)}, max_chosen_tokens=8)) == "too long"
    judged_apart = [response("p", 0, text="yes"), response("p", 1, text="yes"), response("p", 2, text="no")]
    scores = {"p/0": score(5), "p/1": score(1), "p/2": score(3)}
    assert only_reason(pair_up(p, judged_apart, scores)) == "identical text"


def test_as_many_judgments_as_asked_for_are_enough():
    rows = [response("p", i) for i in range(2)]
    scores = {"p/0": score(5, readable=2), "p/1": score(1, readable=2)}
    assert len(pair_up([prompt("p")], rows, scores, score={"min_judgments": 2})[0]) == 1
    assert only_reason(pair_up([prompt("p")], rows, scores, score={"min_judgments": 3})) == "too few scored"


def test_a_truncated_answer_is_neither_chosen_nor_rejected():
    rows = [response("p", i, finish=finish) for i, finish in enumerate(["length", "stop", "stop", "length"])]
    (pair,), _ = pair_up([prompt("p")], rows, {f"p/{i}": score(v) for i, v in enumerate([5.0, 4.0, 2.0, 0.0])})
    assert (pair.chosen_id, pair.rejected_id) == ("p/1", "p/2")


answer_sets = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["", "a", "b", "c"]),
            st.sampled_from(["stop", "stop", "length"]),
            st.sampled_from([None, 0.0, 1.0, 4.5, 5.0]),
            st.integers(1, 3),
        ),
        max_size=5,
    ),
    max_size=6,
)


def build(sets):
    prompts = [prompt(f"p{i}") for i in range(len(sets))]
    responses, scores = [], {}
    for row, answers in zip(prompts, sets, strict=True):
        for sample, (text, finish, value, readable) in enumerate(answers):
            answer = response(row.id, sample, text, finish)
            responses.append(answer)
            if value is not None:
                scores[answer.id] = score(value, readable)
    return prompts, responses, scores


@given(answer_sets, st.randoms(use_true_random=False), st.sampled_from([0.0, 0.5]))
def test_every_prompt_ends_as_one_pair_or_one_drop_whatever_the_order_of_rows(sets, rng, min_gap):
    prompts, responses, scores = build(sets)
    pairs, drops = pair_up(prompts, responses, scores, min_gap=min_gap, score={"min_judgments": 2})
    assert sorted([pair.prompt_id for pair in pairs] + [drop.subject for drop in drops]) == [row.id for row in prompts]
    assert {drop.reason for drop in drops} <= ANSWER_REASONS
    by_id = {row.id: row for row in responses}
    for pair in pairs:
        assert pair.chosen_score - pair.rejected_score > min_gap
        assert by_id[pair.chosen_id].text != by_id[pair.rejected_id].text
        assert {by_id[pair.chosen_id].finish_reason, by_id[pair.rejected_id].finish_reason} == {"stop"}
    rng.shuffle(responses)
    shuffled = dict(rng.sample(sorted(scores.items()), len(scores)))
    assert pair_up(prompts, responses, shuffled, min_gap=min_gap, score={"min_judgments": 2}) == (pairs, drops)


@given(answer_sets, st.sampled_from([0.5, 2.0, 8.0]), st.sampled_from([-3.0, 0.0, 16.0]))
def test_an_affine_map_of_the_scores_leaves_the_picks_unchanged(sets, slope, shift):
    prompts, responses, scores = build(sets)
    mapped = {name: dataclasses.replace(one, value=slope * one.value + shift) for name, one in scores.items()}
    picks = [
        [(pair.chosen_id, pair.rejected_id) for pair in pair_up(prompts, responses, table)[0]]
        for table in (scores, mapped)
    ]
    assert picks[0] == picks[1]


def test_equals_are_drawn_by_a_seeded_lot_and_all_get_their_turn():
    prompts = [prompt(f"p{i}") for i in range(300)]
    responses = [response(row.id, sample) for row in prompts for sample in range(4)]
    scores = {row.id: score(5.0 if row.sample < 2 else 1.0) for row in responses}
    pairs, _ = pair_up(prompts, responses, scores)
    chosen = Counter(pair.chosen_id.split("/")[1] for pair in pairs)
    rejected = Counter(pair.rejected_id.split("/")[1] for pair in pairs)
    assert set(chosen) == {"0", "1"}
    assert set(rejected) == {"2", "3"}
    assert 110 < chosen["0"] < 190
    assert 110 < rejected["2"] < 190
    assert pair_up(prompts, responses, scores, seed=1)[0] != pairs


def test_flipped_labels_are_the_asked_share_nested_and_nothing_else_changes():
    prompts = [prompt(f"p{i}") for i in range(2000)]
    responses = [response(row.id, sample) for row in prompts for sample in range(2)]
    scores = {row.id: score(float(row.sample)) for row in responses}
    plain, _ = pair_up(prompts, responses, scores)
    flipped = {}
    for share in (0.15, 0.3, 0.5):
        pairs, _ = pair_up(prompts, responses, scores, flip=share)
        assert [pair.id for pair in pairs] == [pair.id for pair in plain]
        assert all(pair.label == 1.0 for pair in pairs)
        flipped[share] = {pair.id for pair in pairs if pair.source == "self+flip"}
        assert len(flipped[share]) / 2000 == pytest.approx(share, abs=0.04)
        for one, other in zip(plain, pairs, strict=True):
            told = dataclasses.replace(one.swap(), label=1.0, source="self+flip")
            assert other == (told if other.id in flipped[share] else one)
    assert flipped[0.15] < flipped[0.3] < flipped[0.5]


def test_an_unknown_rule_is_named():
    with pytest.raises(RecipeError, match=r"pairs\.rule.*best_vs_wrst.*'best_vs_worst'"):
        one_prompt([1.0, 2.0], rule="best_vs_wrst")


# Judgment pairs


def summary(agreement=0.9):
    return MetaSummary(10, round(10 * agreement), agreement, 5, 5, 0, 0, (0.5, 0.5))


def judged(of, scores, strengths, wins=None, finish="stop", text="text"):
    """The judgments of response `of` and their standing; by default each beats the weaker ones."""
    rows = [
        Judgment(f"{of}-{i}", of, "p", i, "policy", f"{text}{i}", (i, 9), finish, 0, "sandbox", value, None)
        for i, value in enumerate(scores)
    ]
    if wins is None:
        wins = [[float(one > other) for other in strengths] for one in strengths]
    return rows, Standing(of, tuple(row.id for row in rows), tuple(strengths), tuple(map(tuple, wins)))


def battle_pairs(entries, answers=1000, seed=0, agreement=0.9, **recipe):
    judgments = [row for rows, _ in entries for row in rows]
    standings = [standing for _, standing in entries]
    settings = MetaRecipe(**({"max_class_share": 1.0} | recipe))
    return judgment_pairs(judgments, standings, summary(agreement), settings, answer_pairs=answers, seed=seed)


def test_the_strongest_judgment_meets_the_weakest():
    (pair,), drops = battle_pairs([judged("r", [4.0, 2.0, 5.0], [0.1, -1.0, 0.9])])
    assert not drops
    assert (pair.kind, pair.chosen_id, pair.rejected_id) == ("judgment", "r-2", "r-1")
    assert (pair.prompt_token_ids, pair.chosen_token_ids, pair.rejected_token_ids) == ((), (2, 9), (1, 9))
    assert (pair.chosen_score, pair.rejected_score, pair.source) == (0.9, -1.0, "meta")


@pytest.mark.parametrize(
    ("entry", "recipe", "reason"),
    [
        (judged("r", [4.0, 2.0], [0.0, 0.0]), {}, "no decided battle"),
        (judged("r", [4.0, 2.0], [0.2, -0.2]), {}, "near tie"),
        (judged("r", [4.0, 4.0], [1.0, -1.0]), {}, "same score"),
        (judged("r", [4.0, 2.0], [1.0, -1.0], finish="length"), {}, "truncated"),
        (judged("r", [4.0, 2.0], [1.0, -1.0], text="x" * 50), {"max_chosen_chars": 50}, "too long"),
        (judged("r", [4.0, 2.0], [1.0, -1.0], wins=[[0, 0], [1, 0]]), {}, "contradicted"),
        (judged("r", [4.0, 2.0], [1.0, -1.0]), {"min_agreement": 0.95}, "meta-judge below its floor"),
    ],
)
def test_each_way_of_not_becoming_a_judgment_pair_has_its_name(entry, recipe, reason):
    pairs, (drop,) = battle_pairs([entry], **recipe)
    assert not pairs
    assert (drop.kind, drop.subject, drop.reason) == ("judgment", "r", reason)


def test_the_share_cap_keeps_the_strongest_gaps():
    entries = [judged(f"r{i}", [5.0, 1.0], [1.0 + i, -1.0 - i]) for i in range(50)]
    pairs, drops = battle_pairs(entries, answers=40)
    assert allowed_by_share(40, 0.2) == len(pairs) == 10
    assert allowed_by_share(600, 0.2) == 150
    assert 0.15 * 119 / (1 - 0.15) < 21  # in floats; 119 answers and 21 judgments are 15 % exactly
    assert allowed_by_share(119, 0.15) == 21
    assert {pair.chosen_id for pair in pairs} == {f"r{i}-0" for i in range(40, 50)}
    assert Counter(drop.reason for drop in drops) == {"share cap": 40}
    assert battle_pairs(entries, answers=0)[0] == []


def test_no_chosen_score_is_more_than_its_share_of_what_is_kept():
    values = [5.0] * 60 + [4.0] * 10 + [3.0] * 10 + [0.0] * 5
    entries = [judged(f"r{i}", [value, 1.0], [1.0 + i / 100, -1.0]) for i, value in enumerate(values)]
    pairs, drops = battle_pairs(entries, max_class_share=0.4)
    chosen = Counter(values[int(pair.chosen_id[1:].split("-")[0])] for pair in pairs)
    assert max(chosen.values()) <= 0.4 * len(pairs)
    assert chosen == {5.0: 16, 4.0: 10, 3.0: 10, 0.0: 5}
    assert Counter(drop.reason for drop in drops) == {"class cap": 44}
    saturated = [judged(f"r{i}", [5.0, 1.0], [1.0, -1.0]) for i in range(30)]
    assert len(battle_pairs(saturated, max_class_share=0.4)[0]) == 1


standing_sets = st.lists(
    st.tuples(
        st.lists(st.sampled_from([0.0, 2.0, 5.0]), min_size=3, max_size=3),
        st.lists(st.sampled_from([-1.0, -0.2, 0.0, 0.2, 1.0]), min_size=3, max_size=3),
    ),
    max_size=12,
)


@given(standing_sets, st.integers(0, 60), st.sampled_from([0.4, 1.0]))
def test_every_response_ends_once_both_caps_hold_and_a_coin_keeps_the_same_pairs(sets, answers, class_share):
    entries = [judged(f"r{i}", *one) for i, one in enumerate(sets)]
    pairs, drops = battle_pairs(entries, answers=answers, max_class_share=class_share)
    ended = [pair.chosen_id.split("-")[0] for pair in pairs] + [drop.subject for drop in drops]
    assert sorted(ended) == sorted(f"r{i}" for i in range(len(sets)))
    assert len(pairs) <= 0.2 * (answers + len(pairs)) + 1e-9
    value = {row.id: row.score for rows, _ in entries for row in rows}
    classes = Counter(value[pair.chosen_id] for pair in pairs)
    assert all(count <= max(1, class_share * len(pairs)) for count in classes.values())
    tossed, tossed_drops = battle_pairs(entries, answers=answers, max_class_share=class_share, control="coin_flip")
    assert tossed_drops == drops
    assert [(p.id, {p.chosen_id, p.rejected_id}) for p in tossed] == [
        (p.id, {p.chosen_id, p.rejected_id}) for p in pairs
    ]


def test_the_coin_is_fair_and_seeded():
    entries = [judged(f"r{i}", [5.0, 1.0], [1.0, -1.0]) for i in range(400)]
    pairs, _ = battle_pairs(entries, answers=4000, control="coin_flip")
    turned = [pair.chosen_id.endswith("-1") for pair in pairs]
    assert 160 < sum(turned) < 240
    assert all((pair.label, pair.source) == (1.0, "meta+coin") for pair in pairs)
    assert battle_pairs(entries, answers=4000, control="coin_flip", seed=1)[0] != pairs


# Prompts


def by_table(one, other):
    """Longest common subsequence by the textbook table."""
    best = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            best[i + 1][j + 1] = best[i][j] + 1 if a == b else max(best[i][j + 1], best[i + 1][j])
    return best[-1][-1]


@given(st.lists(st.sampled_from("abcd"), max_size=80), st.lists(st.sampled_from("abcd"), max_size=80))
def test_the_longest_common_subsequence_agrees_with_the_textbook(one, other):
    assert common_subsequence(one, other) == by_table(one, other)
    assert rouge_l(one, other) == rouge_l(other, one)
    assert rouge_l(one, one) == (1.0 if one else 0.0)


WORDS = WriterRecipe(max_similarity=0.7, min_words=3, max_words=12, banned_words=("Image",))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("two words", "too short"),
        ("w " * 13, "too long"),
        ("describe this image, please", "banned word"),
        ("imagery in old poems", None),
        ("Name  the CAPITAL of france", "duplicate"),
        ("name the capital of spain", "too similar"),
        ("name one river near a large capital", None),
        ("what is the  Boiling point", "evaluation prompt"),
    ],
)
def test_each_prompt_filter_by_name(text, reason):
    kept = [prompt("k", "name the capital of France")]
    pools = {"gate": [prompt("e", "what is the boiling point", system="be brief")]}
    passed, drops = filter_prompts([prompt("n", text)], kept, pools, WORDS)
    assert [drop.reason for drop in drops] == ([reason] if reason else [])
    assert [row.id for row in passed] == ([] if reason else ["n"])


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=8), max_size=20), st.floats(0.2, 1.0))
def test_each_written_prompt_ends_once_and_those_kept_are_not_similar(texts, limit):
    written = [prompt(f"n{i}", " ".join(words)) for i, words in enumerate(texts)]
    passed, drops = filter_prompts(written, [], {}, WriterRecipe(max_similarity=limit))
    assert sorted([row.id for row in passed] + [drop.subject for drop in drops]) == sorted(row.id for row in written)
    assert len({drop.id for drop in drops}) == len(drops)
    kept = [row.text.split() for row in passed]
    assert all(
        2 * by_table(one, other) / (len(one) + len(other)) <= limit for i, one in enumerate(kept) for other in kept[:i]
    )


def test_written_prompts_are_filtered_fast_enough():
    rng = random.Random(0)
    words = [f"w{i}" for i in range(140)]

    def texts(count):
        return [" ".join(rng.choices(words, k=rng.randint(6, 16))) for _ in range(count)]

    kept = [prompt(f"k{i}", text) for i, text in enumerate(texts(2000))]
    written = [prompt(f"n{i}", text) for i, text in enumerate(texts(600))]
    start = time.process_time()
    passed, drops = filter_prompts(written, kept, {}, WriterRecipe(max_similarity=0.7))
    assert len(passed) + len(drops) == 600
    assert time.process_time() - start < 3


LONG = "please explain to a very curious young child of six why the sky looks blue on a clear day"


def test_training_prompts_must_not_repeat_an_evaluation_prompt():
    pools = {"gate": [prompt("g", "short one")], "report": [prompt("e", LONG)]}
    fine = [
        prompt("a", "short one too"),
        prompt("b", "why the sky looks blue on a clear night is what you should tell me about now in ten lines"),
    ]
    assert_disjoint(fine, pools)
    with pytest.raises(DataError, match="equals prompt e"):
        assert_disjoint([prompt("t", LONG.upper())], pools)
    for text in (f"You are a teacher. {LONG}! Use two sentences.", " ".join(LONG.split()[:8])):
        with pytest.raises(DataError, match=r"training prompt t \(row 3.*shares .* prompt e of pool 'report'"):
            assert_disjoint([*fine, prompt("t", text)], pools)
    with pytest.raises(DataError, match="pool 'gate'"):
        assert_disjoint([prompt("t", "Short one", system="other")], pools)


def test_templates_share_words_without_repeating_each_other_when_only_equality_counts():
    pools = {"gate": [prompt("e", "sort the letters of this word and answer in one line only : stone")]}
    sibling = prompt("t", "sort the letters of this word and answer in one line only : water")
    assert_disjoint([sibling], pools, run=None)
    with pytest.raises(DataError):
        assert_disjoint([sibling], pools)
    passed, _ = filter_prompts([sibling], [], pools, WriterRecipe(), run=None)
    assert passed == [sibling]
    _, (drop,) = filter_prompts([sibling], [], pools, WriterRecipe())
    assert drop.reason == "evaluation prompt"
