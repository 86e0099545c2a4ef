"""Step-level pairs: prefixes in sampled tokens, the best against the worst next step, and a run that trains on them."""

import math
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.commands.export_pairs import export_pairs
from selfreward.commands.run import run
from selfreward.errors import RecipeError, StoreError, TrainingError
from selfreward.judging.scoring.score import counted
from selfreward.pairing.candidates import Candidate, Refusal, Situation
from selfreward.pairing.judged_steps import JudgedStep, judged_steps, token_cuts
from selfreward.pairing.rules.steps import choose
from selfreward.progress import Progress
from selfreward.recipe import Recipe, StepPairs, StepsQuestion
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Drop, Measurement, Pair, Response, StepVerdict
from selfreward.store.results import Store
from selfreward.store.run import RunView
from selfreward.tasks.sandbox.questions import STEP_MARK
from selfreward.training.rows import check_pairs

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
LINES = "Step 1: a\nStep 2: b\nStep 3: c"


def response(text: str, name: str = "r") -> Response:
    """One token for each character, and an end."""
    return Response(name, "p", 0, "m", text, "", (*map(ord, text), 0), "stop", 0, "plain")


def decode(tokens: tuple[int, ...]) -> str:
    return "".join(chr(token) for token in tokens if token)


def verdicts(name: str, chances: list[float | None]) -> list[StepVerdict]:
    return [
        StepVerdict(
            *(f"{name}{place}", name, "p", place + 1, len(chances), "m", "", (), "stop", 0, "t"),
            right=right,
            unreadable=None if right is not None else "no verdict",
            mass=None,
        )
        for place, right in enumerate(chances)
    ]


def test_steps_are_cut_between_the_tokens_and_nothing_is_lost() -> None:
    one = response(LINES)
    (found,) = judged_steps([one], verdicts("r", [1.0, 0.0, None]), StepsQuestion(), decode).values()
    assert [step.text for step in found] == LINES.split("\n") and [step.right for step in found] == [1.0, 0.0, None]
    assert sum((step.tokens for step in found), ()) == one.token_ids
    assert all(step.before == sum((before.tokens for before in found[:place]), ()) for place, step in enumerate(found))
    assert found[-1].tokens[-1] == 0


@given(st.lists(st.integers(1, 6), min_size=1, max_size=40))
def test_a_cut_lies_in_white_space_however_the_text_is_cut_into_tokens(sizes: list[int]) -> None:
    """Tokens of any lengths: every cut that is found reads back as the text before the place, else there is none."""
    pieces, rest = [], LINES
    for size in sizes:
        pieces, rest = [*pieces, rest[:size]], rest[size:]
    pieces = [piece for piece in [*pieces, rest] if piece]
    one = Response("r", "p", 0, "m", LINES, "", (*range(1, len(pieces) + 1), 0), "stop", 0, "plain")

    def read(tokens: tuple[int, ...]) -> str:
        return "".join(pieces[token - 1] for token in tokens if token)

    places = [LINES.index("Step 2"), LINES.index("Step 3")]
    for count, place in zip(token_cuts(one, places, read), places, strict=False):
        assert read(one.token_ids[:count]).rstrip() == LINES[:place].rstrip()
        assert len(read(one.token_ids[:count])) <= place
    ends = {len("".join(pieces[:count])) for count in range(len(pieces) + 1)}
    possible = [place for place in places if ends & {place - 1, place}]
    first = len(possible) if possible == places[: len(possible)] else 0
    assert len(token_cuts(one, places, read)) == first


def test_a_token_across_the_boundary_ends_the_cuts() -> None:
    one = Response("r", "p", 0, "m", "ab", "", (1, 2), "stop", 0, "plain")
    assert token_cuts(one, [1], lambda tokens: "ab"[: 2 * len(tokens)]) == []


def answers(*steps: list[tuple[str, float | None]]) -> tuple[list[Candidate], Situation]:
    """Answers by their steps: each a letter for its tokens, and P(right)."""
    rows, told = [], {}
    for number, one in enumerate(steps):
        text = "".join(letter for letter, _ in one)
        rows.append(Candidate(response(text, f"r{number}"), counted(0.0)))
        told[f"r{number}"] = tuple(
            JudgedStep(tuple(map(ord, text[:place])), (ord(letter),), letter, right)
            for place, (letter, right) in enumerate(one)
        )
    return rows, Situation(StepPairs(), 1, 7, len(rows), steps=told)


def names(found: object) -> object:
    if isinstance(found, Refusal):
        return found.reason
    return [(decode(one.prefix), one.chosen.response.text, one.rejected.response.text) for one in found]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([[("a", 1.0), ("b", 0.9)], [("a", 1.0), ("c", 0.2)]], [("a", "b", "c")]),
        ([[("a", 0.9), ("b", 1.0)], [("x", 0.1), ("b", 1.0)]], [("", "a", "x")]),
        ([[("a", 0.9), ("b", 0.9)], [("a", 0.9), ("c", 0.1)], [("x", 0.4)]], [("a", "b", "c"), ("", "a", "x")]),
        ([[("a", 0.5)], [("b", 0.5)]], "tie"),
        ([[("a", 0.5)], [("a", 0.5)]], "no shared step"),
        ([[("a", None)], [("b", 0.5)]], "no shared step"),
        # One step that two answers take is one step, of their mean: .6 against .5.
        ([[("a", 0.9)], [("a", 0.3)], [("b", 0.5)]], [("", "a", "b")]),
    ],
)
def test_the_best_next_step_against_the_worst(steps, expected):  # type: ignore[no-untyped-def]
    assert names(choose(*answers(*steps))) == expected


def test_the_pairs_of_a_prompt_weigh_one_together() -> None:
    picks = choose(*answers([("a", 0.9), ("b", 0.9)], [("a", 0.9), ("c", 0.1)], [("x", 0.4)]))
    assert not isinstance(picks, Refusal)
    assert [pick.weight for pick in picks] == [0.5, 0.5]
    assert [pick.chosen.score.value for pick in picks] == pytest.approx([4.5, 4.5])


def test_only_a_step_may_end_in_the_middle_of_a_turn() -> None:
    def pair(kind: str) -> Pair:
        return Pair("i", kind, "p", "c", "r", (9,), (1, 2), (3, 0), 5.0, 1.0, "steps")  # type: ignore[arg-type]

    check_pairs([pair("step")], {0}, 100, frozenset())
    with pytest.raises(TrainingError, match="end-of-turn"):
        check_pairs([pair("answer")], {0}, 100, frozenset())


STEPS = ("pairs.rule=steps", "judge.question.kind=steps", "meta.enabled=false")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["pairs.rule=steps"], "judge.question=steps"),
        ([*STEPS, "train.method=sft_chosen"], "train.method=dpo"),
        ([*STEPS, "pairs.weights=nrdpo"], "single steps"),
        ([*STEPS, "pairs.filters.min_logprob_margin=1"], "single steps"),
        ([*STEPS, "judge.source=none"], "judge.question=steps"),
    ],
)
def test_what_cannot_be_paired_is_refused(keys: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        build_recipe([], keys)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    """The seed model that was taught to judge steps, for one round of the real loop."""
    keys = [
        *("model.path=sandbox:seed-0+questions=0.6", "prompts.writer.share=0", "prompts.per_round=24", "rounds=1"),
        *("judge.question.template=sandbox", "judge.reading=probability", "measure.judge_probes.padded=0"),
        *("measure.judge_probes.claims=0", "measure.judge_probes.initial=0"),
        *("measure.report=4", "measure.gate=2", "measure.selection=2", "measure.frozen=0", "train.batch_size=8"),
    ]
    recipe: Recipe = load_recipe(SMOKE, [*STEPS, f"judge.question.mark={STEP_MARK}", *keys])
    store = Store(tmp_path_factory.mktemp("steps"), share=False)
    run(recipe, store, "steps", Progress(style="silent"))
    return store.existing("steps")


def test_a_run_trains_on_steps_in_the_tokens_that_were_sampled(made: RunView) -> None:
    pairs, drops = made.read(1, "pairs", Pair), made.read(1, "dropped", Drop)
    responses = {one.id: one for one in made.read(1, "responses", Response)}
    assert len(pairs) > 5 and {one.kind for one in pairs} == {"step"} and {one.source for one in pairs} == {"steps"}
    together: defaultdict[str, float] = defaultdict(float)
    for one in pairs:
        together[one.prompt_id] += one.weight
        for name, step in ((one.chosen_id, one.chosen_token_ids), (one.rejected_id, one.rejected_token_ids)):
            whole, shown = responses[name].token_ids, one.prompt_token_ids
            places = [cut for cut in range(len(whole)) if whole[cut : cut + len(step)] == step]
            assert any(shown[len(shown) - cut :] == whole[:cut] for cut in places)
        assert one.chosen_score > one.rejected_score and one.reference_chosen is not None
    assert all(math.isclose(weight, 1.0) for weight in together.values())
    assert set(together) | {drop.subject for drop in drops} == {one.prompt_id for one in responses.values()}
    counts = Counter(one.prompt_id for one in pairs)
    assert max(counts.values()) <= 3
    # Answers part in the middle too, and there the prompt ends with what both have said.
    inner = [
        one for one in pairs if responses[one.chosen_id].token_ids[: len(one.chosen_token_ids)] != one.chosen_token_ids
    ]
    assert inner and len(inner) < len(pairs)
    rows = {row.metric: row for row in made.read(1, "measurements", Measurement) if row.pool == "train"}
    assert rows["step_pairs_kept"].value == len(pairs)


def test_steps_are_not_exported_as_whole_answers(made: RunView, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"pairs\.rule=steps"):
        export_pairs(made, tmp_path / "out")
