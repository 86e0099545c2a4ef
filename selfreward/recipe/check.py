"""What a recipe must not say: values out of bounds, keys that contradict each other, keys that nothing would read."""

import math
from pathlib import Path
from typing import Any

from selfreward.errors import RecipeError
from selfreward.recipe import LOSS_READS, SERVED, HeldOutRecipe, Recipe, TrainRecipe, walk
from selfreward.recipe.check_judge import served_that_cannot_work, unread_by_the_judge
from selfreward.recipe.check_measure import measured_that_cannot_work

_BOUNDS: dict[str, tuple[str, Any]] = {
    "minimum": ("at least", lambda value, bound: value >= bound),
    "above": ("above", lambda value, bound: value > bound),
    "maximum": ("at most", lambda value, bound: value <= bound),
    "below": ("below", lambda value, bound: value < bound),
}


def check(recipe: Recipe, where: str = "recipe") -> None:
    """Raise RecipeError for a value out of bounds or two keys that contradict each other."""
    served = [leaf for name, section in recipe.served.items() for leaf in walk(section, f"served.{name}.")]
    cohorts = [leaf for name, one in recipe.measure.cohorts.items() for leaf in walk(one, f"measure.cohorts.{name}.")]
    for key, value, metadata in [*walk(recipe), *served, *cohorts]:
        if isinstance(value, float) and not math.isfinite(value):
            raise RecipeError(f"{where}: key {key!r} is {value}; expected a finite number")
        for name, (words, holds) in _BOUNDS.items():
            if name in metadata and value is not None and not holds(value, metadata[name]):
                raise RecipeError(f"{where}: key {key!r} is {value}; expected {words} {metadata[name]}")
    train = recipe.train
    contradictions = [
        (
            recipe.engine.kind == "scripted" and not recipe.engine.script,
            "key 'engine.script' is missing; engine.kind=scripted needs the path of a script",
        ),
        (
            recipe.engine.kind == "scripted" and train.method != "none",
            "engine.kind=scripted writes no tokens that a model could be trained on; set train.method=none",
        ),
        (
            train.micro_batch_size is not None
            and (train.micro_batch_size < 1 or train.batch_size % train.micro_batch_size),
            f"key 'train.micro_batch_size' is {train.micro_batch_size}; expected a divisor of train.batch_size "
            f"({train.batch_size})",
        ),
        (
            recipe.judge.source in ("oracle", "verifier_then_model") and recipe.measure.verifier == "none",
            f"judge.source={recipe.judge.source} needs a verifier; set measure.verifier or judge.source=model",
        ),
        (
            recipe.judge.source in ("oracle", "none") and recipe.meta.enabled,
            f"meta.enabled needs judgments written by a model, but judge.source is {recipe.judge.source}",
        ),
        (
            train.method == "sft" and recipe.prompts.source != "sandbox",
            "train.method=sft draws seed demonstrations, which only prompts.source=sandbox has",
        ),
        (
            recipe.measure.anchors is not None and not recipe.measure.frozen,
            "measure.frozen is 0, which switches off the frozen pool, which measure.anchors names; remove one of both",
        ),
        (
            recipe.engine.max_length is not None and recipe.engine.max_length < 8,
            f"key 'engine.max_length' is {recipe.engine.max_length}; expected at least 8 tokens",
        ),
    ]
    contradictions += [*_rules_that_cannot_work(recipe), *served_that_cannot_work(recipe)]
    contradictions += [*_held_out_that_cannot_work(recipe), *measured_that_cannot_work(recipe)]
    for wrong, message in [*contradictions, *_unread_by_the_loss(recipe), *unread_by_the_judge(recipe)]:
        if wrong:
            raise RecipeError(f"{where}: {message}")
    members = [("judge.ensemble", name.partition("@")[2]) for name in recipe.judge.ensemble if "@" in name]
    asked = [("judge.model", recipe.judge.model), ("meta.model", recipe.meta.model), *members]
    for key, reference in [*asked, ("prompts.writer.model", recipe.prompts.writer.model)]:
        if not reference.startswith(SERVED):
            _check_role(where, key, reference, {"policy", "initial"}, recipe.rounds)
    held_out = recipe.measure.held_out
    if held_out is not None and not held_out.model.startswith(SERVED):
        # The same judge in every round: of the policies only the first one is there from the beginning.
        _check_role(where, "measure.held_out.model", held_out.model, {"policy", "initial"}, 1)
    if recipe.measure.cohorts and not recipe.measure.cohort_judge.startswith(SERVED):
        _check_role(where, "measure.cohort_judge", recipe.measure.cohort_judge, {"policy", "initial"}, 1)
    _check_role(where, "train.reference", train.reference, {"previous", "initial"}, recipe.rounds)
    _check_role(where, "pairs.implicit_reference", recipe.pairs.implicit_reference, {"initial"}, recipe.rounds)


def _rules_that_cannot_work(recipe: Recipe) -> list[tuple[bool, str]]:
    found = []
    for number, rule in enumerate(recipe.gates.rules):
        key = f"key 'gates.rules[{number}]'"
        limits = [limit for limit in (rule.above, rule.below) if limit is not None]
        found += [
            (not rule.metric, f"{key} names no metric"),
            (len(limits) != 1, f"{key} ({rule.metric}) has {len(limits)} limits; expected above or below, one of them"),
            (
                rule.against == "initial_ratio" and any(limit <= 0 for limit in limits),
                f"{key} ({rule.metric}) has the ratio {limits[:1]}; expected one above 0, for example above: 1.25",
            ),
            (
                rule.proof == "health" and rule.against != "level",
                f"{key} ({rule.metric}): proof=health is about a level; set against=level or proof=harm",
            ),
        ]
    return found


def _held_out_that_cannot_work(recipe: Recipe) -> list[tuple[bool, str]]:
    held_out = recipe.measure.held_out
    if held_out is None:
        unasked = recipe.gates.select_by == "held_out"
        return [(unasked, "gates.select_by=held_out needs a held-out judge; set measure.held_out.model")]
    default, pairwise = HeldOutRecipe(), held_out.protocol == "pairwise"
    served, decoded = held_out.model.startswith(SERVED), held_out.protocol == "pointwise"
    decoded = decoded or (pairwise and held_out.reading == "verdict")
    key, known = "measure.held_out", ", ".join(recipe.served) or "none"
    return [
        (
            recipe.gates.select_by == "held_out" and held_out.model in ("policy", recipe.judge.model),
            f"gates.select_by=held_out asks a judge that is not trained here, but {key}.model is {held_out.model!r}, "
            "which is the loop's own; name another model",
        ),
        (
            not held_out.model,
            f"key '{key}.model' is missing; name another judge than the loop's: sandbox:seed-K, served:NAME or a path",
        ),
        (
            served and held_out.model.removeprefix(SERVED) not in recipe.served,
            f"role {held_out.model!r} is not in the section 'served', which has: {known}",
        ),
        (
            served and not decoded,
            f"{key}.protocol={held_out.protocol} reads probabilities of tokens, which a served judge does not give; "
            "set protocol=pointwise, or pairwise with reading=verdict",
        ),
        (
            held_out.answers > recipe.measure.samples,
            f"key '{key}.answers' is {held_out.answers}; expected at most measure.samples ({recipe.measure.samples})",
        ),
        (
            not pairwise and held_out.reading != default.reading,
            f"key '{key}.reading' is not read by protocol={held_out.protocol}; remove it or set protocol=pairwise",
        ),
        (
            held_out.protocol != "pointwise" and held_out.judge_samples != default.judge_samples,
            f"key '{key}.judge_samples' is not read by protocol={held_out.protocol}; remove it",
        ),
        (
            held_out.template == "rubric",
            f"key '{key}.template' is 'rubric', which needs a rubric; leave it null for the loop's own",
        ),
        (
            held_out.template is None and recipe.judge.rubric is not None and held_out.protocol == "expected",
            f"{key}.protocol=expected cannot read the loop's rubric; set {key}.template",
        ),
    ]


def _unread_by_the_loss(recipe: Recipe) -> list[tuple[bool, str]]:
    """Settings of a preference loss that nothing would read, and settings that a loss needs."""
    train, reads, default = recipe.train, LOSS_READS[recipe.train.loss], TrainRecipe()
    rows = [
        (
            train.method != "dpo" and getattr(train, name) != getattr(default, name),
            f"key 'train.{name}' is {getattr(train, name)!r}, which train.method={train.method} does not read; "
            "remove it or set train.method=dpo",
        )
        for name in ("loss", "label_smoothing", "gamma", "prefix_sharing")
    ]
    for name in ("label_smoothing", "gamma", "reference"):
        readers = ", ".join(loss for loss, read in LOSS_READS.items() if name in read)
        rows.append(
            (
                name not in reads and getattr(train, name) != getattr(default, name),
                f"key 'train.{name}' is {getattr(train, name)!r}, which train.loss={train.loss} does not read; "
                f"remove it or choose one of {readers}",
            )
        )
    needs_rates = "win_rates" in reads
    return [
        *rows,
        (
            "nll" in reads and not train.nll,
            f"train.nll is 0, but train.loss={train.loss} has it as a part: the paper's is 1",
        ),
        (
            needs_rates and recipe.pairs.rule != "sppo",
            f"train.loss={train.loss} reads win rates, which only pairs.rule=sppo gives, not {recipe.pairs.rule!r}",
        ),
        (
            needs_rates and recipe.meta.enabled,
            f"train.loss={train.loss} reads win rates, which the judgment pairs of meta.enabled do not have",
        ),
        (
            needs_rates and recipe.pairs.flip > 0,
            f"pairs.flip changes nothing under train.loss={train.loss}, which reads win rates; use sppo_hard",
        ),
    ]


def _check_role(where: str, key: str, reference: str, names: set[str], rounds: int) -> None:
    """A role reference is one of `names`, `round:K` with K below the number of rounds, or an existing directory."""
    if reference in names:
        return
    if reference.startswith("round:"):
        number = reference.removeprefix("round:")
        if number.isdecimal() and int(number) < rounds:
            return
        raise RecipeError(f"{where}: key {key!r} is {reference!r}; expected round:K with 0 <= K < rounds ({rounds})")
    if not reference.startswith("sandbox:") and not Path(reference).is_dir():
        expected = ", ".join(sorted(names))
        raise RecipeError(
            f"{where}: key {key!r} is {reference!r}; expected {expected}, round:K, sandbox:seed-K or an existing "
            "directory"
        )
