"""The recipe: every setting of a run, typed, in one place, with its vetted default.

Keys that are `horizon` may change between two invocations of one run (going on from 3 rounds to 5); all others are the
run's identity. `read.py` reads a recipe from YAML and overrides, the `check*.py` say which sections do not go together.

The defaults are the sandbox's proved setting where methods differ by scale (learning rate, β); recipes for real models
state their own.
"""

import dataclasses
from typing import Any, Literal

from omegaconf import OmegaConf

from selfreward.recipe.aggregates import MeanAggregate
from selfreward.recipe.engine import EngineRecipe, TransformersRecipe
from selfreward.recipe.gates import GatesRecipe
from selfreward.recipe.judge import JudgeRecipe
from selfreward.recipe.limits import LimitsRecipe
from selfreward.recipe.measure import HeldOutRecipe, MeasureRecipe
from selfreward.recipe.meta import MetaRecipe
from selfreward.recipe.model import ModelRecipe, ServedRecipe
from selfreward.recipe.pairs import BestVsWorst, PairsRecipe
from selfreward.recipe.prompts import GenerateRecipe, PromptsRecipe
from selfreward.recipe.questions import Compared, ComparisonQuestion
from selfreward.recipe.readings import ProbabilityReading, VerdictReading
from selfreward.recipe.reward_model import RewardModelRecipe
from selfreward.recipe.section import Section, as_dict, part, section, setting, walk
from selfreward.recipe.train import DpoRecipe, SftRecipe, TrainRecipe


@section
class HandOffRecipe(Section):
    """The engine must be closer to the trainer's new log-probs than to the old ones, by `margin` of the movement.

    `probes` sequences that moved most are compared; `noise` (nats per sequence) is the movement below which
    log-probs cannot tell and per-tensor checksums decide; null follows from the dtype (handoff.NOISE).
    """

    probes: int = setting(16, "sequences that are compared", minimum=1)
    margin: float = setting(0.5, "share of the movement by which the engine must be closer", minimum=0, below=1)
    noise: float | None = setting(None, "nats below which checksums decide; null: by dtype", above=0)


@section
class KeepRecipe(Section):
    """Which checkpoints stay on disk at the end of a run; digests stay always."""

    checkpoints: Literal["all", "needed"] = setting("all", "needed: start, best and last", horizon=True)


@section
class Recipe(Section):
    """Everything that determines a run. `rounds` and the other horizon keys may change when it goes on.

    `served`: a name for each model behind a server; `judge.model: served:NAME`, `meta.model` and `prompts.writer.model`
    refer to it. What of it determines a reply, URL and model, is in the fingerprints of what it wrote.
    """

    seed: int = setting(0, "of every draw", minimum=0, maximum=2**63 - 1)
    rounds: int = setting(3, "rounds to go", minimum=1, maximum=10_000, horizon=True)
    model: ModelRecipe = part(ModelRecipe, "the start policy")
    engine: EngineRecipe = part(TransformersRecipe, "where text comes from")
    prompts: PromptsRecipe = part(PromptsRecipe, "the training prompts")
    generate: GenerateRecipe = part(GenerateRecipe, "the answers")
    judge: JudgeRecipe = part(JudgeRecipe, "who scores them, and how")
    reward_model: RewardModelRecipe | None = setting(None, "a judge that the run trains; null: none")
    meta: MetaRecipe = part(MetaRecipe, "comparing judgments")
    pairs: PairsRecipe = part(BestVsWorst, "which answers become a pair")
    train: TrainRecipe = part(DpoRecipe, "how the next policy comes about")
    measure: MeasureRecipe = part(MeasureRecipe, "what is measured")
    handoff: HandOffRecipe = part(HandOffRecipe, "whether the engine holds what was trained")
    gates: GatesRecipe = part(GatesRecipe, "what must not happen")
    limits: LimitsRecipe = part(LimitsRecipe, "how much a run may take")
    keep: KeepRecipe = part(KeepRecipe, "what stays on disk")
    served: dict[str, ServedRecipe] = part(dict, "models behind a server, by name", horizon=True)


def asked_per_round(recipe: Recipe) -> int:
    """The prompts that are asked in a round's training; none where all pairs or all demonstrations are given."""
    train = recipe.train
    shown = isinstance(train, SftRecipe) and train.examples is not None and recipe.judge.source == "none"
    return 0 if shown or recipe.pairs.mix.alone else recipe.prompts.per_round


HELD_OUT_METRICS = ("held_out", "judge_held_out", "self_minus_held_out", "judge_minus_held_out", "judge_disagreement")
"""How the names of the held-out judge's metrics begin."""


def measured_rounds(recipe: Recipe) -> list[int]:
    """Round 0, every `measure.every`-th one and the last."""
    return [
        number for number in range(recipe.rounds + 1) if number % recipe.measure.every == 0 or number == recipe.rounds
    ]


def held_out_pools(recipe: Recipe) -> list[str]:
    """The pools on which the held-out judge is asked: the report's, and those on which something is decided by it."""
    gated = any(rule.pool == "gate" and rule.metric.startswith(HELD_OUT_METRICS) for rule in recipe.gates.rules)
    selected = recipe.gates.select_by == "held_out"
    return ["report", *(["gate"] if gated else []), *(["selection"] if selected else [])]


def held_out_judge(recipe: Recipe, held_out: HeldOutRecipe) -> JudgeRecipe:
    """How the held-out judge is asked: as the loop's own but for what `held_out` says, and without principles."""
    own = recipe.judge
    question = held_out.question or (ComparisonQuestion() if own.ranks else own.question)
    soft = isinstance(question, Compared)
    reading = ProbabilityReading(min_mass=own.min_mass) if soft else VerdictReading(sampling=own.sampling)
    return JudgeRecipe(
        model=held_out.model,
        question=question,
        reading=held_out.reading or reading,
        aggregate=MeanAggregate(samples=held_out.samples),
    )


def cohort_judge(measure: MeasureRecipe, judge: JudgeRecipe, cohort: str | None = None) -> JudgeRecipe:
    """How cohorts without a verifier are judged, `judge` being the loop's own; a cohort may have its own question."""
    judge = dataclasses.replace(judge, model=measure.cohort_judge)
    question = None if cohort is None else measure.cohorts[cohort].question
    if question is None:
        return judge
    reading = VerdictReading(sampling=judge.sampling, ask_again=0)
    return dataclasses.replace(
        judge, question=question, reading=reading, aggregate=MeanAggregate(samples=measure.judge_samples)
    )


def identity(recipe: Recipe) -> dict[str, Any]:
    """The dotted keys that a run may not change, with their values."""
    return {key: value for key, value, metadata in walk(recipe) if not metadata.get("horizon")}


def to_yaml(recipe: Recipe) -> str:
    """The resolved recipe; loading it again gives an equal Recipe."""
    return OmegaConf.to_yaml(OmegaConf.create(as_dict(recipe)))
