"""Stage: the round's pairs, or its samples, train the next policy. A checkpoint path is never overwritten.

Controls: `none` hands the same weights on, `sft` trains on more seed demonstrations instead of pairs, `sft_chosen` on
the chosen answers alone, which is best-of-K distillation.
"""

import dataclasses
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from selfreward.engines.checkpoints import FULL_PRECISION
from selfreward.engines.tensors import weights_digest
from selfreward.errors import TrainingError
from selfreward.recipe import POLICY, NoTraining, OwnTraining, Recipe, SftRecipe, as_dict
from selfreward.recipe.doors import identity
from selfreward.records import Checkpoint, Drop, Pair, Rows, Sample, stable_id
from selfreward.roles.player import Player, Policy
from selfreward.roles.round import Round
from selfreward.store.directories import Build
from selfreward.store.files import relative_files
from selfreward.tasks.examples_file import draw_examples
from selfreward.tasks.source import Source
from selfreward.training.jobs import launcher, of_processes
from selfreward.training.learned import job_of

VERSION = 1

Learned = Rows[Pair] | Rows[Sample]
"""What a policy is trained on."""

Told = Callable[[int, int, float], None]
"""Called with (round, step, loss) at every step of a training."""


def train(round: Round, learned: Learned, told: Told) -> None:
    """The next policy, from this round's start against the recipe's reference. Raises TrainingError without rows."""
    start = round.role(POLICY)
    reference = round.cast.resolve(round.recipe.train.reference, round.number)

    def build_alone(out: Path, scratch: Path) -> Mapping[str, Any]:
        with round.stage(f"round {round.number}: train", None, 0, "checkpoint") as stage:
            # Only where something is really trained: waking an engine costs its weights' reload.
            if not isinstance(round.recipe.train, NoTraining):
                round.cast.rest()

            def show(step: int, total: int, loss: float) -> None:
                stage.reach(step, total, loss)
                told(round.number, step, loss)

            build = building(
                round.recipe,
                start,
                reference,
                learned,
                round.source,
                round=round.number,
                progress=show,
                say=round.say,
                drops=() if learned else round.artifacts.read(round.number, "dropped", Drop),
                note=partial(round.artifacts.note, "training memory", round.number, "checkpoint"),
                day=round.cast.day,
            )
            return build(out, scratch)

    facts = made_from(round.recipe, start, reference, learned.digest, round.number)
    round.checkpoint({**facts, **_copy_facts(round, start.policy.directory / FULL_PRECISION)}, build_alone)


def adopt(round: Round, start: Policy) -> None:
    """Round 0: the start policy is copied, so that a run owns all that it needs."""

    def build(out: Path, scratch: Path) -> Mapping[str, Any]:
        _copy_model(start.directory, out)
        return dataclasses.asdict(
            Checkpoint(round=0, digest=start.digest, parent="", reference="", method="start", steps=0, pairs=0)
        )

    round.checkpoint({"start": start.digest, "text_files": start.text_files}, build)


def building(
    recipe: Recipe,
    start: Player,
    reference: Policy,
    learned: Sequence[Pair] | Sequence[Sample],
    source: Source,
    *,
    round: int,
    progress: Callable[[int, int, float], None],
    say: Callable[[str], None],
    drops: Sequence[Drop] = (),
    note: Callable[..., None] | None = None,
    day: date | None = None,
) -> Build:
    """What writes the round's checkpoint into a directory and returns the Checkpoint's facts.

    `day` is the run's, for a template that writes it; `note` is told how much memory the training gave back. Raises
    TrainingError when no row is left; `drops` says why.
    """

    def build(out: Path, scratch: Path) -> Mapping[str, Any]:
        method = recipe.train
        made = partial(_facts, recipe, start.policy, reference, len(learned), round, out)
        if isinstance(method, NoTraining):
            _copy_model(start.policy.directory, out)
            return made(steps=0, metrics={})
        if method.LEARNS != "demonstrations" and not learned:
            what, less = ("sample", "") if method.LEARNS == "samples" else ("pair", ", or lower pairs.min_gap")
            raise TrainingError(
                f"round {round}: no {what} is left to train on. Dropped: {why_dropped(drops)}; dropped.jsonl names "
                f"each. {what_ties_say(drops)}Raise generate.samples or prompts.per_round{less}"
            )
        job = job_of(recipe, start.policy, reference, learned, source, round, day)
        where: dict[str, Any] = {"out": out, "scratch": scratch, "progress": progress, "say": say, "note": note}
        report = launcher(recipe)(recipe, job, **where)
        done = made(steps=report.steps, metrics=report.metrics)
        return {**done, "notes": list(report.notes)} if report.notes else done

    return build


def what_ties_say(drops: Sequence[Drop]) -> str:
    """What most drops say of the judge, where they say it."""
    ties = sum(drop.reason == "tie" for drop in drops)
    if 2 * ties <= len(drops):
        return ""
    return "Most answers to a prompt have equal scores, so the judge tells too little apart: ask another one first. "


def _facts(
    recipe: Recipe,
    start: Policy,
    reference: Policy,
    rows: int,
    round: int,
    out: Path,
    *,
    steps: int,
    metrics: Mapping[str, float],
) -> Mapping[str, Any]:
    """The Checkpoint that lies in `out`."""
    return dataclasses.asdict(
        Checkpoint(
            round=round,
            digest=weights_digest(out),
            parent=start.digest,
            reference=reference.digest,
            method=recipe.train.method,
            steps=steps,
            pairs=rows,
            metrics=dict(metrics),
        )
    )


def why_dropped(drops: Sequence[Drop]) -> str:
    """The reasons why there is no row with their counts, the most frequent first."""
    counted = Counter(drop.reason for drop in drops if drop.stage in ("pairs", "samples"))
    reasons = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{reason} {count}" for reason, count in reasons) or "nothing"


def made_from(recipe: Recipe, start: Player, reference: Policy, rows: str, round: int) -> dict[str, Any]:
    """Everything that determines the round's checkpoint; `rows` is the digest of what it is trained on."""
    settings = as_dict(recipe.train)
    for name in ("launch", "gradient_checkpointing"):
        settings.pop(name, None)  # the weights are the same wherever and however often they are computed
    for name in ("processes", "accelerate_config"):
        settings.pop(name, None)
    settings |= of_processes(recipe)
    settings.pop("examples", None)  # what stands in the file is told below, whatever its name
    facts = {
        "version": VERSION,
        "round": round,
        "pairs": rows,
        "train": settings,
        "reference": reference.digest,
        "handoff": as_dict(recipe.handoff),
        **start.determines(),
    }
    if isinstance(recipe.train, SftRecipe) and recipe.train.examples:
        drawn = draw_examples(recipe.train.examples, recipe.seed, round, recipe.train.sft_examples)
        facts["examples"] = stable_id([(prompt.id, answer) for prompt, answer in drawn])
    if isinstance(recipe.train, OwnTraining):
        facts["trainer"] = identity("trainers", recipe.train.trainer, {})
    return facts


def _copy_facts(round: Round, copy: Path) -> dict[str, str]:
    """The digest of the start's float32 copy: two policies may round to one checkpoint and still go on differently.

    Weights that were removed to save space are not needed again where this round was trained: its seal has the digest.
    """
    if not copy.is_dir():
        return {}
    if not any(copy.glob("*.safetensors")) and (trained := round.artifacts.seal(round.number, "checkpoint")):
        return {FULL_PRECISION: trained.made_from.get(FULL_PRECISION, "")}
    return {FULL_PRECISION: weights_digest(copy)}


def _copy_model(directory: Path, out: Path) -> None:
    """A model directory's files, without what belongs to the training that made it."""
    # Not copytree: it collects its errors in one without an errno, and a full disk would not be told from a defect.
    for name in relative_files(directory):
        if Path(name).name not in ("handoff.json", "seed.json"):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(directory / name, out / name)
