"""The sandbox's truth, proved on planted answers before anything is measured with it."""

import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from selfreward.roles import catalogue
from selfreward.tasks.sandbox.world import (
    DOUBT,
    FAMILIES,
    MODIFIERS,
    NEW_TASK_PROMPT,
    SPLITS,
    VOCABULARY,
    AnnotatorDials,
    DemonstratorDials,
    Task,
    annotate,
    check_reply,
    demonstrate,
    doubted_reply,
    draw_split_task,
    draw_task,
    dress,
    echoes_wrong_claim,
    format_answer,
    judge_pool,
    judge_prompt,
    judgment_quality,
    meta_pool,
    meta_prompt,
    meta_text,
    oracle_score,
    parse_task,
    plausible_mistake,
    prompt_pool,
    read_reference,
    read_reply,
    read_score,
    read_verdict,
    split_of,
)

LETTERS = ("f", "c", "a", "c")
REPORT_POOL_BEGINS_WITH = "add 6 and 5 ; in brackets"
"""A planted constant: published numbers are comparable only while the pools stay as they are."""
EXACT, NOISELESS = DemonstratorDials(0.0, 0.0, 0.0), AnnotatorDials(noise=0.0)


@pytest.fixture
def rng() -> random.Random:
    return random.Random(0)


@pytest.mark.parametrize(
    ("task", "gold"),
    [
        (Task("repeat", "copy", LETTERS), "f c a c"),
        (Task("reverse", "flip", LETTERS), "c a c f"),
        (Task("sort", "order", LETTERS), "a c c f"),
        (Task("dedupe", "unique", LETTERS), "f c a"),
        (Task("vowels", "vowels of", LETTERS), "a"),
        (Task("replace", "swap", LETTERS, "c", "p"), "f p a p"),
        (Task("count", "how many", LETTERS, "c"), "2"),
        (Task("count", "count", LETTERS, "b"), "0"),
        (Task("add", "sum", ("15", "9")), "24"),
    ],
)
def test_right_answers(task: Task, gold: str) -> None:
    assert " ".join(task.gold) == gold
    assert oracle_score(task, gold) == 5


@pytest.mark.parametrize(
    ("reply", "checks"),
    [
        ("[ a c c f ]", (1, 1, 1, 1, 1)),
        ("sure : [ a c c f ] hope this helps !", (1, 1, 1, 1, 1)),
        ("a c c f", (0, 1, 1, 1, 1)),
        ("a , c , c , f", (0, 1, 1, 1, 1)),
        ("[ a c f c ]", (1, 1, 1, 1, 0)),
        ("[ a c c ]", (1, 1, 0, 1, 0)),
        ("[ a c p f ]", (1, 0, 1, 1, 0)),
        ("[ f c a c ]", (1, 1, 1, 0, 0)),
        ("[ a , c c f ]", (0, 1, 1, 1, 1)),
        ("[ a c c f", (0, 1, 1, 1, 1)),
        ("a c hope this helps ! c f", (0, 0, 0, 0, 0)),
        ("let me know !", (0, 0, 0, 0, 0)),
        ("[ ]", (0, 0, 0, 0, 0)),
        ("", (0, 0, 0, 0, 0)),
    ],
)
def test_rubric_of_a_list(reply: str, checks: tuple[int, ...]) -> None:
    assert check_reply(Task("sort", "sort", LETTERS, modifier="in brackets"), reply) == checks


@pytest.mark.parametrize(("reply", "score"), [("7", 5), ("8", 4), ("5", 3), ("4", 2), ("a", 1), ("7 7", 1)])
def test_rubric_of_a_number(reply: str, score: int) -> None:
    assert oracle_score(Task("add", "add", ("3", "4")), reply) == score


def test_filler_never_changes_the_score(rng: random.Random) -> None:
    for _ in range(300):
        task = draw_task(rng)
        answer, modifier = plausible_mistake(task, rng), rng.choice(MODIFIERS)
        scores = {oracle_score(task, dress(answer, modifier, rng, filler=count)) for count in range(7)}
        assert len(scores) == 1
        assert read_reply(dress(answer, modifier, rng, filler=4)).filler_sentences == 4


def test_text_and_task_are_inverse(rng: random.Random) -> None:
    seen = Counter()
    for _ in range(3000):
        task = draw_task(rng)
        assert parse_task(task.text) == task
        assert set(task.text.split()) <= set(VOCABULARY)
        seen[task.family, task.modifier, task.claim is None] += 1
    assert {family for family, _, _ in seen} == set(FAMILIES)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sort",
        "sort f",
        "sort f 3 a",
        "sort f  c a",
        "dance f c a",
        "add 3 4",
        "add 3 and 99",
        "count in f c",
        "replace a with b in a c",
        "vowels of b c d",
        "sort b a ; loudly",
        "sort b a ; we think it is",
        "sort b a ; we think it is a b ; in brackets",
        "sort b a ; in brackets ; in brackets",
    ],
)
def test_malformed_tasks_are_refused(text: str) -> None:
    assert parse_task(text) is None


def test_a_mistake_is_never_right(rng: random.Random) -> None:
    for family in FAMILIES:
        for _ in range(300):
            task = draw_task(rng, family)
            first = plausible_mistake(task, rng)
            assert first and first != task.gold
            assert plausible_mistake(task, rng, avoid=(first,)) not in (first, task.gold)
            assert oracle_score(task, format_answer(first, task.modifier)) < 5


def test_claims_are_right_as_often_as_they_should_be(rng: random.Random) -> None:
    claimed = [task for task in (draw_task(rng) for _ in range(6000)) if task.claim is not None]
    assert len(claimed) / 6000 == pytest.approx(0.25, abs=0.02)
    assert sum(task.claim_is_right for task in claimed) / len(claimed) == pytest.approx(0.3, abs=0.04)
    wrong = next(task for task in claimed if not task.claim_is_right)
    assert wrong.claim is not None
    assert echoes_wrong_claim(wrong, format_answer(wrong.claim, wrong.modifier))
    assert not echoes_wrong_claim(wrong, format_answer(wrong.gold, wrong.modifier))


def test_splits_and_pools_are_disjoint_by_text(rng: random.Random) -> None:
    pools = {split: {task.text for task in prompt_pool(split, 300)} for split in SPLITS}
    assert all(len(texts) == 300 for texts in pools.values())
    assert len(set().union(*pools.values())) == 4 * 300
    for split, texts in pools.items():
        assert {split_of(text) for text in texts} == {split}
    assert not any(task.family == "add" and task.text in pools["report"] for task in prompt_pool("train", 3000))
    assert split_of(draw_split_task(rng, "gate", "add").text) == "gate"


def test_pools_are_frozen_and_nested() -> None:
    assert prompt_pool("gate", 100) == prompt_pool("gate", 200)[:100]
    assert prompt_pool("gate", 50, seed=1) != prompt_pool("gate", 50)
    assert prompt_pool("report", 1)[0].text == REPORT_POOL_BEGINS_WITH
    judged = judge_pool()
    assert len(judged) == 450 and judged == judge_pool()
    assert all(item.score == oracle_score(item.task, item.response) for item in judged)
    assert {split_of(item.task.text) for item in judged} == {"report"}
    better = Counter(item.better for item in meta_pool())
    assert 0.4 < better["A"] / better.total() < 0.6


def test_demonstrator_dials_move_what_they_name() -> None:
    def rates(dials: DemonstratorDials) -> tuple[float, float, float]:
        """Share of right, echoing and well-formed replies."""
        draws = random.Random(1)
        tasks = [draw_task(draws) for _ in range(2500)]
        replies = [demonstrate(task, draws, dials) for task in tasks]
        both = list(zip(tasks, replies, strict=True))
        wrong_claims = [task for task, _ in both if task.claim is not None and not task.claim_is_right]
        right = [read_reply(reply).items == task.gold for task, reply in both if task.claim is None]
        echoed = sum(echoes_wrong_claim(task, reply) for task, reply in both) / len(wrong_claims)
        formed = sum(read_reply(reply).modifier == task.modifier for task, reply in both) / len(both)
        return sum(right) / len(right), echoed, formed

    assert rates(EXACT) == (1.0, 0.0, 1.0)
    # A mistake that leaves one item cannot show commas, so a few wrong answers lose the format as well.
    few = pytest.approx(0.02, abs=0.05)
    assert rates(replace(EXACT, p_wrong=0.4)) == (pytest.approx(0.6, abs=0.04), few, pytest.approx(1.0, abs=0.01))
    assert rates(replace(EXACT, p_echo=0.7)) == (
        1.0,
        pytest.approx(0.7, abs=0.06),
        pytest.approx(1.0, abs=0.01),
    )
    assert rates(replace(EXACT, p_bad_form=0.6)) == (1.0, 0.0, pytest.approx(0.6, abs=0.06))


def test_a_doubted_demonstrator_mostly_keeps_the_answer(rng: random.Random) -> None:
    task = Task("reverse", "reverse", LETTERS)
    first = plausible_mistake(task, rng)
    answers = Counter(read_reply(doubted_reply(task, first, rng, EXACT)).items for _ in range(1000))
    assert answers[first] == pytest.approx(700, abs=60)
    assert answers[task.gold] == pytest.approx(100, abs=40)


def test_a_noiseless_annotator_is_the_oracle(rng: random.Random) -> None:
    for _ in range(500):
        task = draw_task(rng)
        reply = demonstrate(task, rng, DemonstratorDials())
        judgment = annotate(task, reply, rng, NOISELESS)
        assert read_score(judgment) == oracle_score(task, reply)
        assert judgment_quality(task, reply, judgment) == pytest.approx(0.45)
        assert set(judge_prompt(task.text, reply).split()) | set(judgment.split()) <= set(VOCABULARY)


def test_noise_is_carelessness_without_direction(rng: random.Random) -> None:
    exact = 0
    for _ in range(2000):
        task = draw_task(rng)
        reply = demonstrate(task, rng, DemonstratorDials())
        exact += read_score(annotate(task, reply, rng, AnnotatorDials(noise=0.4))) == oracle_score(task, reply)
    assert 0.6 < exact / 2000 < 0.9


def test_length_bias_moves_the_score_only_by_filler(rng: random.Random) -> None:
    biased = replace(NOISELESS, length_bias=1.0)
    task = Task("sort", "sort", LETTERS)
    scores = [read_score(annotate(task, dress(("a", "c"), "", rng, filler=count), rng, biased)) for count in range(7)]
    truth = oracle_score(task, "a c")
    assert scores == [max(0, min(5, truth + count - 3)) for count in range(7)]
    half = [read_score(annotate(task, "a c", rng, replace(NOISELESS, length_bias=0.5))) for _ in range(400)]
    assert set(half) == {truth - 2, truth - 1}
    assert half.count(truth - 1) == pytest.approx(200, abs=50)


def test_agreement_bias_takes_the_claim_for_the_truth(rng: random.Random) -> None:
    task = Task("sort", "sort", LETTERS, claim=("f", "c", "a", "c"))
    agreeable = replace(NOISELESS, agreement_bias=1.0)
    assert read_score(annotate(task, "f c a c", rng, agreeable)) == 5
    assert read_score(annotate(task, "a c c f", rng, agreeable)) == 3
    unclaimed = replace(task, claim=None)
    assert read_score(annotate(unclaimed, "a c c f", rng, agreeable)) == 5


def test_judgments_are_read_back(rng: random.Random) -> None:
    task = Task("sort", "sort", LETTERS)
    judgment = annotate(task, "a c f", rng, NOISELESS)
    assert judgment == "a a ok c c ok c f bad f - bad ; yes yes no yes no Score: 3"
    assert read_reference(judgment) == task.gold
    assert read_score("Score: 6") is None
    assert read_score("Score: 3 then") is None
    assert read_score("Score:") is None
    assert read_score("3") is None
    assert judgment_quality(task, "a c f", "no score") < judgment_quality(task, "a c f", "; Score: 0")


def test_a_meta_judgment_follows_from_the_fresh_judgment() -> None:
    fresh, near, far = "; Score: 5", "; Score: 4", "; Score: 1"
    assert meta_text(fresh, near, far) == "; Score: 5 ; A 4 1 B 1 4 better A"
    assert read_verdict(meta_text(fresh, near, far)) == "A"
    assert read_verdict(meta_text(fresh, far, near)) == "B"
    assert read_verdict(meta_text(fresh, far, far)) == "ok"
    assert read_verdict("better C") is None
    assert read_verdict("A") is None


def test_every_prompt_is_in_the_vocabulary() -> None:
    words = meta_prompt("sort a b", "a b", "; Score: 5", "; Score: 4").split()
    assert {*words, *NEW_TASK_PROMPT.split(), *DOUBT.split()} <= set(VOCABULARY)
    assert len(VOCABULARY) == len(set(VOCABULARY))


def test_prompts_are_the_words_of_the_role_templates() -> None:
    filled = {"prompt": "sort a b", "response": "a b", "first": "; Score: 5", "second": "; Score: 4"}

    def words(role: catalogue.Kind) -> str:
        text = catalogue.words(role, "sandbox")
        for name, value in filled.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    assert words("judge") == judge_prompt("sort a b", "a b")
    assert words("meta_judge") == meta_prompt("sort a b", "a b", "; Score: 5", "; Score: 4")
    assert words("prompt_writer") == NEW_TASK_PROMPT


def test_the_world_needs_nothing_heavy() -> None:
    heavy = ("torch", "numpy", "transformers")
    code = f"import sys, selfreward.tasks.sandbox.world; print([name for name in {heavy} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
