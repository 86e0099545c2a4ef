"""Runs with a planted story, written through the real store and measured by the real metrics. No model is needed."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evidence_factory import pair, prompts, reply, response, truthful  # noqa: F401 - truthful is for the tests

from selfreward.measuring.evidence import Evidence, PoolRows
from selfreward.measuring.metrics import measure_all
from selfreward.recipe import Recipe
from selfreward.recipe.read import build_recipe
from selfreward.records import (
    Checkpoint,
    Drop,
    Judgment,
    Labelled,
    Measurement,
    Message,
    Pair,
    Prompt,
    Response,
    stable_id,
)
from selfreward.store.given import given
from selfreward.store.results import Run, Store
from selfreward.store.view import RunView
from selfreward.tasks.verifiers.protocol import load_verifier

SAMPLES = 4
POOLS = {"gate": 20, "selection": 60, "report": 60}


@dataclass(frozen=True)
class Story:
    """Per round: the chance that an answer is right, how many points the judge is too generous, an answer's tokens."""

    skill: Sequence[float]
    generosity: Sequence[float] | None = None
    verifier: str = "sandbox"
    seed: int = 0
    prompts_seed: str = ""
    texts: Mapping[str, str] | None = None
    gate: int = POOLS["gate"]
    selection: int = POOLS["selection"]
    report: int = POOLS["report"]
    train: int = 40
    tokens: Sequence[int] | None = None
    system: str = ""


def recipe_of(story: Story) -> Recipe:
    keys = [f"seed={story.seed}", f"rounds={max(1, len(story.skill) - 1)}", f"measure.verifier={story.verifier}"]
    return build_recipe([], [*keys, f"measure.samples={SAMPLES}"])


_MEASURED: dict[tuple[str, str, int], list[Measurement]] = {}
"""By run, story and round, which determine them. Tests tell the same stories in many places."""


def write_run(store: Store, name: str, story: Story) -> RunView:
    with store.open_run(name, recipe_of(story), environment={"device": "none"}) as run:
        _write(run, story)
    return store.existing(name)


def _write(run: Run, story: Story) -> None:
    system = (Message("system", story.system),) if story.system else ()
    pools = [
        Prompt(
            stable_id(story.prompts_seed, prompt.id), (*system, *prompt.messages), prompt.pool, prompt.source, cohort
        )
        for pool, count in {name: getattr(story, name) for name in POOLS}.items()
        for number, prompt in enumerate(prompts(count, pool))
        for cohort in (("repeat", "sort", "count")[number % 3],)
    ]
    run.complete(given(0, "pools", Prompt, pools, {}))
    frozen = [
        Labelled(prompt, response(prompt, sample, reply(prompt, quality)), float(quality))
        for prompt in prompts(30, "frozen")
        for sample, quality in enumerate((5, 2, 0))
    ]
    run.complete(given(0, "frozen", Labelled, frozen, {}))
    initial, scored_first = PoolRows((), (), ()), []
    for number in range(len(story.skill)):
        digest, parent = stable_id("policy", run.name, number), stable_id("policy", run.name, max(0, number - 1))
        evaluated = _answers(story, number, pools, "eval")
        run.complete(given(number, "eval_responses", Response, evaluated.responses, {}))
        run.complete(given(number, "eval_judgments", Judgment, evaluated.judgments, {}))
        scored = _judged(story, number, [row.response for row in frozen], [row.label for row in frozen], "frozen")
        run.complete(given(number, "frozen_judgments", Judgment, scored, {}))
        initial, scored_first = (initial, scored_first) if number else (evaluated, scored)
        own, pairs, drops = _training(run, story, number) if number else (PoolRows((), (), ()), [], [])
        made = Checkpoint(
            number, digest, parent if number else "", parent, "dpo" if number else "start", 12, len(pairs)
        )
        run.complete_directory(number, "checkpoint", {"digest": digest}, _builder(made))
        evidence = Evidence(
            round=number,
            policy=digest,
            pools=evaluated,
            initial=initial,
            frozen=frozen if story.verifier != "none" else [],
            frozen_judgments=scored,
            likelihoods={},
            round_prompts=own.prompts,
            round_responses=own.responses,
            round_judgments=own.judgments,
            round_meta=(),
            round_pairs=pairs,
            round_drops=drops,
            training={"chosen_logprob_shift": -0.5, "rejected_logprob_shift": -1.5} if number else {},
            verifier=None if story.verifier == "none" else load_verifier(story.verifier),
            frozen_judgments_initial=scored_first if number else (),
        )
        known = run.name, repr(story), number
        if known not in _MEASURED:
            _MEASURED[known] = measure_all(evidence)
        run.complete(given(number, "measurements", Measurement, _MEASURED[known], {}))


def _builder(made):
    def build(out, scratch):
        (out / "config.json").write_text("{}")
        return {name: getattr(made, name) for name in made.__dataclass_fields__}

    return build


def _training(run: Run, story: Story, number: int) -> tuple[PoolRows, list[Pair], list[Drop]]:
    drawn = [
        Prompt(stable_id("train", number, prompt.id), prompt.messages, "train", "sandbox", prompt.cohort)
        for prompt in prompts(story.train, "train")
    ]
    own = _answers(story, number, drawn, "train")
    pairs, drops = [], []
    for position, prompt in enumerate(drawn):
        mine = own.responses[position * SAMPLES : (position + 1) * SAMPLES]
        if prompt.id < "8":
            pairs.append(pair(mine[0], mine[1]))
        else:
            drops.append(Drop(stable_id("drop", prompt.id), "pairs", "answer", prompt.id, "tie", "4.0"))
    run.complete(given(number, "prompts", Prompt, drawn, {}))
    run.complete(given(number, "responses", Response, own.responses, {}))
    run.complete(given(number, "judgments", Judgment, own.judgments, {}))
    run.complete(given(number, "pairs", Pair, pairs, {}))
    run.complete(given(number, "dropped", Drop, drops, {}))
    return own, pairs, drops


def _answers(story: Story, number: int, asked: Sequence[Prompt], kind: str) -> PoolRows:
    rows, qualities = [], []
    for prompt in asked:
        rng = random.Random(stable_id(kind, number, story.seed, prompt.id))
        for sample in range(SAMPLES):
            quality = 5 if rng.random() < story.skill[number] else rng.randrange(5)
            text = (story.texts or {}).get(prompt.pool) or reply(prompt, quality, rng.randrange(3))
            made = response(prompt, sample, text, tokens=story.tokens[number] if story.tokens else None)
            rows.append(Response(**{**_fields(made), "id": stable_id(kind, number, prompt.id, sample)}))
            qualities.append(float(quality))
    return PoolRows(list(asked), rows, _judged(story, number, rows, qualities, kind))


def _fields(record):
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def _judged(
    story: Story, number: int, rows: Sequence[Response], qualities: Sequence[float], kind: str
) -> list[Judgment]:
    """Two readable scores per answer, one off at times, and now and then an unreadable verdict."""
    generosity = (story.generosity or [0.0] * len(story.skill))[number]
    made = []
    for row, quality in zip(rows, qualities, strict=True):
        rng = random.Random(stable_id("judge", kind, number, story.seed, row.id))
        for sample in range(2):
            score = min(5.0, max(0.0, round(quality + generosity + rng.choice((-1, 0, 0, 0, 1)))))
            lost = rng.random() < 0.02
            made.append(
                Judgment(
                    id=stable_id("judgment", kind, number, row.id, sample),
                    response_id=row.id,
                    prompt_id=row.prompt_id,
                    sample=sample,
                    judge="policy",
                    text="" if lost else f"; Score: {score:.0f}",
                    token_ids=(1,),
                    finish_reason="stop",
                    seed=0,
                    template="sandbox",
                    score=None if lost else score,
                    unreadable="no verdict" if lost else None,
                )
            )
    return made
