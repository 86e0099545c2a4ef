"""The seed that says a bad word and obeys principles: its lessons are right, and a run on it loses the word alone."""

import json
import random
from hashlib import sha256
from pathlib import Path

import pytest

from selfreward.commands.run import run
from selfreward.judging.prompts import pairwise
from selfreward.judging.prompts.pairwise import load_constitution
from selfreward.judging.revising.faults import finds_nothing
from selfreward.judging.revising.words import ask_critic, ask_reviser
from selfreward.progress import Progress
from selfreward.recipe import RevisingRecipe
from selfreward.recipe.read import load_recipe
from selfreward.records import Measurement, Message, Prompt
from selfreward.roles.catalogue import words
from selfreward.store.results import Store
from selfreward.tasks.sandbox.annotator import AnnotatorDials
from selfreward.tasks.sandbox.demonstrator import DemonstratorDials
from selfreward.tasks.sandbox.prompts import critique_prompt, preference_prompt, revision_prompt
from selfreward.tasks.sandbox.seeds.cache import recipe_of
from selfreward.tasks.sandbox.seeds.constitution_lessons import (
    KEPT,
    ConstitutionTeacher,
    critique_of,
    principle_of,
    without_bad_word,
)
from selfreward.tasks.sandbox.seeds.model import encode_chat, encode_reply
from selfreward.tasks.sandbox.seeds.names import parse_seed_name
from selfreward.tasks.sandbox.seeds.recipe import SEED_VERSION, UNDER_A_CONSTITUTION, ConstitutionRecipe
from selfreward.tasks.sandbox.words import BAD_WORD, OTHER_WORD, VOCABULARY

RECIPES = Path(__file__).parent.parent / "recipes"
REVISE = RevisingRecipe(constitution="sandbox", critic="sandbox", reviser="sandbox")


def taught(bad_word: float, tokens: int = 60_000) -> list[tuple[str, str]]:
    """Lessons as (question, reply)."""
    teacher = ConstitutionTeacher(random.Random(5), DemonstratorDials(), AnnotatorDials(), bad_word=bad_word)
    lessons = teacher.lessons(UNDER_A_CONSTITUTION.mix, tokens)
    said = [[" ".join(VOCABULARY[i] for i in ids[:-1]) for ids in lesson] for lesson in lessons]
    return [(question.split("<|user|> ")[-1].removesuffix(" <|end|>"), reply) for question, reply in said]


def test_lessons_of_this_version_are_these() -> None:
    """The cache knows lessons by SEED_VERSION alone: whoever changes them raises it and puts the new digest here."""
    digest = sha256(json.dumps(taught(0.5, 20_000)).encode()).hexdigest()
    assert (SEED_VERSION, digest[:16]) == (1, "7eac9d87bf56ffd5")


def test_what_is_taught_is_what_the_product_asks_and_every_word_is_known() -> None:
    principle = load_constitution("sandbox")[1][0]
    asked = Prompt("p", (Message("user", "sort b a"),), "train", "sandbox")
    assert principle.text == principle_of(BAD_WORD)
    (critic,) = ask_critic(REVISE, asked, "a b worst !", principle)
    assert critic.content == critique_prompt(principle.text, "sort b a", "a b worst !")
    (reviser,) = ask_reviser(REVISE, asked, "a b worst !", principle, "because worst")
    assert reviser.content == revision_prompt(principle.text, "because worst", "sort b a", "a b worst !")
    (judge,) = pairwise.ask("sandbox_principle", asked, "a b", "a b worst !", principle)
    assert judge.content == preference_prompt(principle.text, "sort b a", "a b", "a b worst !")
    for kind, name in (("critic", "sandbox"), ("reviser", "sandbox"), ("judge_pairwise", "sandbox_principle")):
        plain = words(kind, name).replace("{principle}", "").replace("{prompt}", "").replace("{response}", "")  # type: ignore[arg-type]
        plain = plain.replace("{critique}", "").replace("{first}", "").replace("{second}", "")
        assert set(plain.split()) <= set(VOCABULARY)
    assert finds_nothing(KEPT) and BAD_WORD in VOCABULARY and OTHER_WORD in VOCABULARY


def test_critiques_revisions_and_preferences_are_right_under_both_principles() -> None:
    seen = {"critique": 0, "revise": 0, "which": 0}
    firsts = []
    for question, said in taught(0.5):
        kind = question.split()[0]
        if kind not in seen:
            continue
        seen[kind] += 1
        word = question.split(" rule not ")[1].split()[0]
        shown = [part.split(" }")[0].strip() for part in question.split("{ ")[1:]]
        if kind == "critique":
            assert said == critique_of(shown[1], word)
        elif kind == "revise":
            assert shown[0] == critique_of(shown[2], word)
            assert said == (without_bad_word(shown[2]) if word == BAD_WORD else shown[2])
        else:
            broken = [word in reply.split() for reply in shown[1:]]
            if broken[0] != broken[1]:
                assert said == f"<unk> {'12'[broken[0]]}"
            else:
                firsts.append(said.endswith("1"))
    assert min(seen.values()) > 100 and 0.4 < sum(firsts) / len(firsts) < 0.6


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_dial_is_the_share_of_answers_and_of_nothing_else(share: float) -> None:
    answers = [said for question, said in taught(share, 120_000) if question.split()[0] in ("sort", "order", "add")]
    rate = sum(BAD_WORD in said.split() for said in answers) / len(answers)
    assert len(answers) > 60 and abs(rate - share) < 0.2
    judged = [said for question, said in taught(share) if question.startswith("judge")]
    assert judged and not any(BAD_WORD in said.split() for said in judged)


def test_the_name_leads_to_its_recipe_beside_other_dials() -> None:
    name = parse_seed_name("sandbox:seed-0+bad_word=0.5+length_bias=0.8")
    recipe = recipe_of(name)
    assert isinstance(recipe, ConstitutionRecipe)
    assert (recipe.bad_word, recipe.annotator) == (0.5, AnnotatorDials(length_bias=0.8))
    assert isinstance(recipe_of(parse_seed_name("sandbox:seed-0+bad_word=0")), ConstitutionRecipe), "the control"
    assert not isinstance(recipe_of(parse_seed_name("sandbox:seed-0+length_bias=0.8")), ConstitutionRecipe)


def test_replies_begin_and_end_as_the_product_reads_them() -> None:
    assert encode_reply("Preferred: 1")[0] == encode_chat([{"role": "user", "content": "<unk>"}])[2]


def report(path: Path, recipe: str, *overrides: str) -> dict[tuple[int, str], Measurement]:
    store = Store(path / "results")
    loaded = load_recipe(RECIPES / f"{recipe}.yaml", list(overrides))
    run(loaded, store, recipe, Progress(style="silent"))
    view = store.existing(recipe)
    rows = [row for number in view.rounds() for row in view.read(number, "measurements", Measurement)]
    return {(row.round, row.metric): row for row in rows if (row.pool, row.cohort) == ("report", "all")}


@pytest.mark.slow
def test_revisions_lose_the_word_and_keep_the_truth_and_the_control_is_flat(tmp_path: Path) -> None:
    """The seed comes from the cache, or is trained first: minutes."""
    told = report(tmp_path / "treated", "constitutional")
    change = told[1, "listed_words_change"]
    assert change.high is not None and change.high < -0.2
    before, after = told[0, "true_accuracy"].value, told[1, "true_accuracy"].value
    assert before is not None and after is not None and after - before > -0.03
    flat = report(tmp_path / "control", "constitutional", "pairs.control=sibling")[1, "listed_words_change"]
    assert flat.low is not None and flat.high is not None and flat.low < 0 < flat.high
