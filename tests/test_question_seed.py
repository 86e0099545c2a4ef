"""The seed that judges in more ways than by one score: its lessons, its words, its skill."""

import json
import random
import re
from hashlib import sha256

import pytest
from transformers import AutoTokenizer

from selfreward.engines.protocol import Completion
from selfreward.errors import RecipeError
from selfreward.judging.prompts import listwise, pairwise, spoken, steps
from selfreward.judging.prompts.pairwise import load_constitution
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.recipe.read import build_recipe
from selfreward.records import Message, Prompt
from selfreward.roles.unreadable import Unreadable
from selfreward.tasks.sandbox import prompts as taught
from selfreward.tasks.sandbox.annotator import AnnotatorDials
from selfreward.tasks.sandbox.demonstrator import JUDGED_REPLIES, DemonstratorDials, demonstrate
from selfreward.tasks.sandbox.draws import draw_task, split_of
from selfreward.tasks.sandbox.oracle import oracle_score, read_reply
from selfreward.tasks.sandbox.questions import (
    LONGER,
    PRINCIPLES,
    RIGHT,
    SHORTER,
    STEP_MARK,
    Criterion,
    checklist,
    comparison_text,
    finding,
    list_text,
    principle_text,
    reference_of,
    rubric_text,
    step_is_right,
    step_text,
    steps_of,
    worth,
)
from selfreward.tasks.sandbox.seeds.cache import SHIPPED, known_directory, recipe_of
from selfreward.tasks.sandbox.seeds.floors import QUESTION_FLOORS, unmet_floors
from selfreward.tasks.sandbox.seeds.names import parse_seed_name
from selfreward.tasks.sandbox.seeds.question_lessons import QuestionTeacher
from selfreward.tasks.sandbox.seeds.recipe import SEED_VERSION, UNDER_A_CONSTITUTION, QuestionsRecipe
from selfreward.tasks.sandbox.source import SandboxSource
from selfreward.tasks.sandbox.words import WORD_IDS

NAME = parse_seed_name("sandbox:seed-0+questions=0.6")


def drawn(count=300):
    """Tasks with replies to them, right and wrong."""
    rng = random.Random(3)
    for _ in range(count):
        task = draw_task(rng)
        yield rng, task, [demonstrate(task, rng, JUDGED_REPLIES) for _ in range(3)]


def said(text):
    return Completion(text, "", (1, 0), "stop")


def asked_about(text):
    return Prompt("p", (Message("user", text),), "train", "sandbox")


def lessons(tokens):
    teacher = QuestionTeacher(random.Random(5), DemonstratorDials(), AnnotatorDials(), questions=0.6)
    return teacher.lessons(UNDER_A_CONSTITUTION.mix, tokens)


def test_lessons_of_this_version_are_these() -> None:
    """The cache knows lessons by SEED_VERSION alone: whoever changes them raises it and puts the new digest here."""
    digest = sha256(json.dumps(lessons(20_000)).encode()).hexdigest()
    assert (SEED_VERSION, digest[:16]) == (1, "c22d175fa0cf83b2")


def test_lessons_know_every_word_and_no_evaluation_prompt() -> None:
    unknown, words = WORD_IDS["<unk>"], {index: word for word, index in WORD_IDS.items()}
    shares: dict[str, int] = {}
    for asked, reply in lessons(150_000):
        assert unknown not in (*asked, *reply) and len(asked) + len(reply) < 256
        text = " ".join(words[index] for index in asked).split("<|user|> ")[-1]
        kind = next(
            (lead for lead in ("which better", "which best", "rule {", "is it right") if text.startswith(lead)), ""
        )
        shares[kind] = shares.get(kind, 0) + 1
        if kind:
            assert split_of(text.split("task { ")[1].split(" }")[0]) == "train"
    total = sum(shares.values())
    assert shares[""] / total == pytest.approx(0.4, abs=0.04)
    assert shares["which better"] / total == pytest.approx(0.6 * 0.55, abs=0.04)


def test_what_is_taught_is_what_the_product_asks() -> None:
    asked, first, second = asked_about("sort b a"), "a b", "sure : b a"
    assert pairwise.ask("sandbox", asked, first, second)[0].content == taught.comparison_prompt(
        "sort b a", first, second
    )
    (principle,) = load_constitution("sandbox_right")[1]
    (message,) = pairwise.ask("sandbox_by_principle", asked, first, second, principle)
    assert principle.text == RIGHT and message.content == taught.principle_prompt(RIGHT, "sort b a", first, second)
    assert load_constitution("sandbox_shorter")[1][0].text == SHORTER
    (message,) = listwise.ask("sandbox", asked, [first, second, "b"])
    assert message.content == taught.list_prompt("sort b a", [first, second, "b"])
    (message,) = steps.ask("sandbox", asked, ["a ,"], "b")
    assert message.content == taught.step_prompt("sort b a", ["a ,"], "b")
    recipe = build_recipe([], ["judge.question.kind=rubric", "judge.question.template=sandbox_rubric"])
    source = SandboxSource(build_recipe([], ["prompts.source.checklists=true"]))
    for prompt in source.pools()[:20]:
        (message,) = judge_prompt(recipe.judge).ask(prompt, first)
        criteria = [entry["text"] for entry in prompt.meta["rubric"]]
        assert message.content == taught.rubric_prompt(criteria, prompt.text, first)
    assert SandboxSource(build_recipe([], [])).pools()[0].meta == {}, "without the key the rows are what they were"


def test_a_careful_reply_is_read_as_the_truth_and_texts_in_braces_stay_inside() -> None:
    seen = set()
    for rng, task, given in drawn():
        first, second = given[:2]
        gap = oracle_score(task, first) - oracle_score(task, second)
        text = comparison_text(task, first, second, task.gold, rng)
        found = pairwise.read("sandbox", said(text))
        assert found in (0.0, 1.0) and (not gap or found == (gap > 0))
        for principle in PRINCIPLES:
            better = worth(principle, task, first) - worth(principle, task, second)
            found = pairwise.read(
                "sandbox_by_principle", said(principle_text(principle, task, *given[:2], task.gold, rng))
            )
            assert not better or found == (better > 0)
        ranks = listwise.read("sandbox", said(list_text(task, given, task.gold, rng)), 3)
        scores = [oracle_score(task, one) for one in given]
        assert all(ranks[a] < ranks[b] for a in range(3) for b in range(3) if scores[a] > scores[b])
        seen.add(gap > 0)
    assert seen == {True, False}
    assert "( )" in listwise.ask("sandbox", asked_about("x"), ["{ }"])[0].content


def test_a_rubric_says_what_the_reply_has_and_reads_back_as_its_share() -> None:
    for rng, task, given in drawn():
        criteria = checklist(task)
        right = demonstrate(task, rng, DemonstratorDials(p_wrong=0, p_echo=0, p_bad_form=0))
        assert all(finding(one, right)[1] for one in criteria), "the right answer meets its checklist"
        for response in given:
            found = spoken.points(rubric_text(criteria, response, rng, 0.0), [one.text for one in criteria])
            assert found == [5.0 * finding(one, response)[1] for one in criteria]
            flipped = spoken.points(rubric_text(criteria, response, rng, 1.0), [one.text for one in criteria])
            assert flipped == [5.0 - value for value in found]
    assert finding(Criterion("second", "b"), "a") == ("-", False)
    assert finding(Criterion("how_many", "2"), "sure : a , b") == ("2", True)


def test_steps_are_items_and_right_where_the_right_answer_has_them() -> None:
    for rng, task, given in drawn():
        for response in given:
            items, cut = read_reply(response).items, steps_of(response)
            assert " ".join(cut) == response and list(steps.split(response, 20, STEP_MARK)) == cut
            assert len(cut) == len(items)
            for number in range(1, len(cut) + 1):
                text = step_text(reference_of(task, [response], rng, 0.0), items[:number])
                assert steps.read("sandbox", said(text)) == float(step_is_right(task, response, number))
            if oracle_score(task, response) == 5:
                assert all(step_is_right(task, response, number) for number in range(1, len(cut) + 1))


def test_longer_and_shorter_are_opposites_and_say_nothing_of_the_truth() -> None:
    rows = [(worth(LONGER, task, one), worth(SHORTER, task, one)) for _, task, given in drawn(50) for one in given]
    assert all(longer == -shorter for longer, shorter in rows)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("5 5 ok better 1", 1.0),
        ("5 5 ok better 2", 0.0),
        ("better 1", 1.0),
        ("better 1 ; better 2", "contradiction"),
        ("better 1 ; better 1", 1.0),
        ("better 3", "no verdict"),
        ("1", "no verdict"),
        ("better", "no verdict"),
        ("", "no verdict"),
        ("better 1 .", "no verdict"),
    ],
)
def test_a_last_word_is_a_verdict_or_nothing(text: str, found: object) -> None:
    read = pairwise.read("sandbox", said(text))
    assert (read.reason if isinstance(read, Unreadable) else read) == found
    assert pairwise.read("sandbox", Completion("better 1", "", (1,), "length")).reason == "truncated"


@pytest.mark.parametrize(
    ("text", "ranks"),
    [
        ("a a ok best 2 3 1", (3, 1, 2)),
        ("best 2 3", "no ranking"),
        ("best 2 2 1", "no ranking"),
        ("best 1 2 3 best 1 2 3", "contradiction"),
        ("2 3 1", "no verdict"),
    ],
)
def test_a_list_names_every_slot_once(text: str, ranks: object) -> None:
    read = listwise.read("sandbox", said(text), 3)
    assert (read.reason if isinstance(read, Unreadable) else read) == ranks


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a b ; how many 2 2 yes ; first c a no", [5.0, 0.0]),
        ("; how many 2 2 yes ; first c a no", [5.0, 0.0]),
        ("a b ; how many 2 2 yes", None),
        ("a b ; first c a no ; how many 2 2 yes", None),
        ("a b ; how many 2 yes ; first c a maybe", None),
        ("a b ; how many 2 2 yes ; first c", None),
    ],
)
def test_a_rubric_answers_each_criterion_in_its_words(text: str, found: object) -> None:
    points = spoken.points(text, ["how many 2", "first c"])
    assert (None if isinstance(points, Unreadable) else points) == found


def test_a_rationale_is_cut_before_its_own_verdict() -> None:
    assert pairwise.opening("sandbox", "a a ok better 2") == "a a ok better"
    assert steps.opening("sandbox", "a b bad is wrong") == "a b bad is"
    assert pairwise.opening("sandbox", "") == "better"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["judge.question.template=sandbox_rubric"], "belongs to judge.question.kind=rubric"),
        (["judge.question.kind=comparison", "judge.question.template=sandbox_by_principle"], "kind=principle"),
        (["judge.question.kind=steps", "judge.question.mark=("], "is not a regular expression"),
        (["model.path=sandbox:seed-0+questions=0.6+bad_word=0.5"], "take one"),
        (["model.path=sandbox:seed-0+questions=0.9"], "expected a number from 0 to 0.8"),
    ],
)
def test_what_cannot_be_asked_is_refused(settings: list[str], told: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(told)):
        recipe = build_recipe([], settings)
        parse_seed_name(recipe.model.path)


def test_a_rubric_needs_a_place_for_its_criteria() -> None:
    judge = build_recipe([], ["judge.question.kind=rubric", "judge.question.template=sandbox"]).judge
    with pytest.raises(RecipeError, match="no place for criteria"):
        judge_prompt(judge)


def test_the_seed_ships_is_small_and_reaches_its_floors() -> None:
    assert known_directory(NAME) == SHIPPED / NAME.file_name
    assert sum(path.stat().st_size for path in (SHIPPED / NAME.file_name).iterdir()) < 1_000_000
    card = json.loads((SHIPPED / NAME.file_name / "seed.json").read_text(encoding="utf-8"))
    recipe = recipe_of(NAME)
    assert isinstance(recipe, QuestionsRecipe)
    assert card["recipe"]["questions"] == recipe.questions and card["recipe"]["stage"]["tokens"] == recipe.stage.tokens
    assert unmet_floors(card["skill"]) == [] and unmet_floors(card["skill"], QUESTION_FLOORS) == []
    worse = {name: {**one, "value": 0.5, "low": 0.4} for name, one in card["skill"]["estimates"].items()}
    assert len(unmet_floors({"estimates": worse}, QUESTION_FLOORS)) >= len(QUESTION_FLOORS) - 1
    assert AutoTokenizer.from_pretrained(SHIPPED / NAME.file_name).get_vocab() == WORD_IDS
