"""Dials of the annotator: a planted bias is in the labels, a dial at 0 plants none, and the rule takes one back."""

import random
from statistics import fmean

import pytest

from selfreward.judging.prompts import pointwise as judge
from selfreward.records import Message, Prompt
from selfreward.roles.catalogue import TEMPLATES, words
from selfreward.tasks.sandbox.annotator import AnnotatorDials, read_reference, read_score
from selfreward.tasks.sandbox.demonstrator import DemonstratorDials
from selfreward.tasks.sandbox.oracle import oracle_score, read_reply
from selfreward.tasks.sandbox.prompts import judge_prompt, rule_prompt
from selfreward.tasks.sandbox.seeds.lessons import Lesson, Teacher
from selfreward.tasks.sandbox.seeds.recipe import Mix
from selfreward.tasks.sandbox.tasks import Task, parse_task
from selfreward.tasks.sandbox.words import END, VOCABULARY, WORD_IDS

JUDGMENTS = Mix(answers=0.0, judgments=1.0, own_judgments=0.0, meta=0.0, new_tasks=0.0, second_turns=0.0)


def taught(annotator: AnnotatorDials, rule_share: float = 0.0, tokens: int = 300_000) -> list[Lesson]:
    return Teacher(random.Random(3), DemonstratorDials(), annotator, (), rule_share).lessons(JUDGMENTS, tokens)


def read(lesson: Lesson) -> tuple[bool, Task, str, str]:
    """Whether the rule is there, the task, the judged reply and the judgment."""
    question = " ".join(VOCABULARY[index] for index in lesson.prompt_ids).split("<|user|> ")[1].split(f" {END}")[0]
    body = question.split("task { ")[1]
    text, reply = body.split(" } reply { ")
    task = parse_task(text)
    assert task is not None
    judgment = " ".join(VOCABULARY[index] for index in lesson.completion_ids).removesuffix(f" {END}")
    return question.startswith("rule : not agree judge :"), task, reply.removesuffix(" } rate with score"), judgment


def claims_taken(lessons: list[Lesson], *, rule: bool) -> float:
    """How often a wrong claim is the annotator's reference."""
    items = [read(lesson) for lesson in lessons]
    wrong = [item for item in items if item[0] is rule and item[1].claim is not None and not item[1].claim_is_right]
    assert len(wrong) > 100
    return fmean(float(read_reference(judgment) == task.claim) for _, task, _, judgment in wrong)


def filler_slope(lessons: list[Lesson], *, rule: bool = False) -> float:
    """Excess of the score over the oracle's, for replies with four filler sentences minus that for none."""
    excess: dict[int, list[float]] = {}
    for has_rule, task, reply, judgment in map(read, lessons):
        score = read_score(judgment)
        assert score is not None
        if has_rule is rule:
            filler = read_reply(reply).filler_sentences
            excess.setdefault(filler, []).append(score - oracle_score(task, reply))
    return fmean(excess[4]) - fmean(excess[0])


def test_the_agreement_dial_is_in_the_labels_and_the_rule_takes_it_back() -> None:
    biased, null = AnnotatorDials(agreement_bias=0.7), AnnotatorDials(agreement_bias=0.0)
    lessons = taught(biased, rule_share=0.4)
    assert claims_taken(lessons, rule=False) == pytest.approx(0.7, abs=0.12)
    assert claims_taken(lessons, rule=True) < 0.15
    assert claims_taken(taught(null), rule=False) < 0.15
    share = fmean(float(read(lesson)[0]) for lesson in lessons)
    assert share == pytest.approx(0.4, abs=0.03)


def test_the_length_dial_is_in_the_labels_and_the_rule_is_about_something_else() -> None:
    lessons = taught(AnnotatorDials(length_bias=0.8), rule_share=0.4)
    assert filler_slope(lessons) > 1.0
    assert filler_slope(lessons, rule=True) > 1.0
    assert abs(filler_slope(taught(AnnotatorDials(length_bias=0.0)))) < 0.25


def test_without_a_rule_the_lessons_are_those_of_the_shipped_seeds() -> None:
    """The digest was taken before any rule could be taught."""
    mix = Mix(answers=0.3, judgments=0.4, own_judgments=0.0, meta=0.2, new_tasks=0.1)
    lessons = Teacher(random.Random("x"), DemonstratorDials(), AnnotatorDials()).lessons(mix, 20_000)
    total = sum((at + 1) * token for at, (_, reply) in enumerate(lessons) for token in reply)
    assert (len(lessons), total) == LESSONS_BEFORE


LESSONS_BEFORE = (416, 64124352)


def test_the_template_is_what_was_taught_and_is_read_like_the_plain_one() -> None:
    text = "sort b a ; we think it is b a"
    prompt = Prompt("p", (Message("user", text),), "report", source="sandbox", cohort="sort")
    plain = judge.ask("sandbox", prompt, "b a")[-1].content
    ruled = judge.ask("sandbox_anti_sycophancy", prompt, "b a")[-1].content
    assert plain == judge_prompt(text, "b a")
    assert ruled == rule_prompt(text, "b a") == f"rule : not agree {plain}"
    assert TEMPLATES["judge"]["sandbox_anti_sycophancy"] == TEMPLATES["judge"]["sandbox"]
    assert set(words("judge", "sandbox_anti_sycophancy").replace("{prompt}", "").replace("{response}", "").split()) <= (
        set(WORD_IDS)
    ), "every word of it is in the language"
