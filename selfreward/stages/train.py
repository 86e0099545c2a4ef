"""Stage: the round's pairs train the next policy. A checkpoint path is never overwritten.

Controls: `none` hands the same weights on, `sft` trains on more seed demonstrations instead of pairs, `sft_chosen` on
the chosen answers alone, which is best-of-K distillation.
"""

import dataclasses
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from selfreward.cast import Player, Policy
from selfreward.checkpoints import FULL_PRECISION, weights_digest
from selfreward.engines.chat import load_renderer
from selfreward.errors import HandOffError, TrainingError
from selfreward.files import relative_files
from selfreward.recipe import Recipe, as_dict
from selfreward.records import Checkpoint, Pair, seed_for
from selfreward.roles import generator
from selfreward.sources import Source

VERSION = 1

Build = Callable[[Path, Path], Mapping[str, Any]]


def train(
    recipe: Recipe,
    start: Player,
    reference: Policy,
    pairs: Sequence[Pair],
    source: Source,
    *,
    round: int,
    progress: Callable[[int, int, float], None],
    say: Callable[[str], None],
) -> Build:
    """What writes the round's checkpoint into a directory and returns the Checkpoint's facts.

    Raises TrainingError when no pair is left.
    """

    def build(out: Path, scratch: Path) -> Mapping[str, Any]:
        if recipe.train.method == "none":
            _copy_model(start.policy.directory, out)
            return facts(out, steps=0, metrics={})
        common: dict[str, Any] = {
            "seed": seed_for(recipe.seed, "train", round),
            "out": out,
            "scratch": scratch,
            "model": recipe.model,
            "threads": recipe.engine.threads,
            "probes": recipe.handoff.probes,
            "progress": progress,
        }
        if recipe.train.method != "sft" and not pairs:
            raise TrainingError(
                f"round {round}: no pair is left to train on; see dropped.jsonl for the reasons, and raise "
                "generate.samples or prompts.per_round, or lower pairs.min_gap"
            )
        if recipe.train.method != "dpo":
            from selfreward.trainers.supervised import train_supervised

            shown = demonstrations() if recipe.train.method == "sft" else chosen()
            report = train_supervised(start.policy.directory, shown, recipe.train, **common)
        else:
            from selfreward.trainers.preference import train_preferences

            _refuse_other_reference(pairs, reference, round)
            is_start = reference.digest == start.policy.digest
            report = train_preferences(
                start.policy.directory, pairs, recipe.train, reference_is_start=is_start, say=say, **common
            )
        done = facts(out, steps=report.steps, metrics=report.metrics)
        return {**done, "notes": list(report.notes)} if report.notes else done

    def chosen() -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        return [(pair.prompt_token_ids, pair.chosen_token_ids) for pair in pairs]

    def demonstrations() -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        renderer = load_renderer(start.policy.directory, recipe.model.trust_remote_code)
        shown = source.demonstrations(round, recipe.train.sft_examples)
        questions = renderer.prompt_token_ids([generator.ask(recipe.generate.template, prompt) for prompt, _ in shown])
        return [
            (question, renderer.reply_token_ids(answer)) for question, (_, answer) in zip(questions, shown, strict=True)
        ]

    def facts(out: Path, *, steps: int, metrics: Mapping[str, float]) -> Mapping[str, Any]:
        return dataclasses.asdict(
            Checkpoint(
                round=round,
                digest=weights_digest(out),
                parent=start.policy.digest,
                reference=reference.digest,
                method=recipe.train.method,
                steps=steps,
                pairs=len(pairs),
                metrics=dict(metrics),
            )
        )

    return build


def _refuse_other_reference(pairs: Sequence[Pair], reference: Policy, round: int) -> None:
    for pair in pairs:
        if pair.reference != reference.digest:
            raise HandOffError(
                f"round {round}, pair {pair.id}: its reference log-probabilities are those of policy "
                f"{pair.reference[:16]}, expected {reference.digest[:16]}, which train.reference names; make the "
                "round's pairs again under that policy"
            )


def made_from(recipe: Recipe, start: Player, reference: Policy, pairs: str, round: int) -> dict[str, Any]:
    """Everything that determines the round's checkpoint; `pairs` is the digest of the round's pairs."""
    facts = {
        "version": VERSION,
        "round": round,
        "pairs": pairs,
        "train": as_dict(recipe.train),
        "reference": reference.digest,
        "handoff": as_dict(recipe.handoff),
        **start.determines(),
    }
    copy = start.policy.directory / FULL_PRECISION
    # Two policies may round to one checkpoint and still go on differently.
    return {**facts, FULL_PRECISION: weights_digest(copy)} if copy.is_dir() else facts


def adopt(directory: Path, digest: str) -> Build:
    """What makes round 0's checkpoint: the start policy, copied, so that a run owns all that it needs."""

    def build(out: Path, scratch: Path) -> Mapping[str, Any]:
        _copy_model(directory, out)
        return dataclasses.asdict(
            Checkpoint(round=0, digest=digest, parent="", reference="", method="start", steps=0, pairs=0)
        )

    return build


def _copy_model(directory: Path, out: Path) -> None:
    """A model directory's files, without what belongs to the training that made it."""
    # Not copytree: it collects its errors in one without an errno, and a full disk would not be told from a defect.
    for name in relative_files(directory):
        if Path(name).name not in ("handoff.json", "seed.json"):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(directory / name, out / name)
