"""What a recipe must not say: values out of bounds, keys that contradict each other, keys that nothing would read."""

import math
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selfreward.errors import RecipeError
from selfreward.recipe import LOSS_READS, SERVED, JudgeRecipe, Recipe, TrainRecipe, walk

_BOUNDS: dict[str, tuple[str, Any]] = {
    "minimum": ("at least", lambda value, bound: value >= bound),
    "above": ("above", lambda value, bound: value > bound),
    "maximum": ("at most", lambda value, bound: value <= bound),
    "below": ("below", lambda value, bound: value < bound),
}


def check(recipe: Recipe, where: str = "recipe") -> None:
    """Raise RecipeError for a value out of bounds or two keys that contradict each other."""
    served = [leaf for name, section in recipe.served.items() for leaf in walk(section, f"served.{name}.")]
    for key, value, metadata in [*walk(recipe), *served]:
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
            recipe.engine.max_length is not None and recipe.engine.max_length < 8,
            f"key 'engine.max_length' is {recipe.engine.max_length}; expected at least 8 tokens",
        ),
    ]
    contradictions += [*_rules_that_cannot_work(recipe), *_served_that_cannot_work(recipe)]
    for wrong, message in [*contradictions, *_unread_by_the_loss(recipe), *_unread_by_the_judge(recipe)]:
        if wrong:
            raise RecipeError(f"{where}: {message}")
    members = [("judge.ensemble", name.partition("@")[2]) for name in recipe.judge.ensemble if "@" in name]
    asked = [("judge.model", recipe.judge.model), ("meta.model", recipe.meta.model), *members]
    for key, reference in [*asked, ("prompts.writer.model", recipe.prompts.writer.model)]:
        if not reference.startswith(SERVED):
            _check_role(where, key, reference, {"policy", "initial"}, recipe.rounds)
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


def judges(recipe: Recipe) -> list[str]:
    """The references of every model that is asked for a score, if only on the frozen pools."""
    return [name.partition("@")[2] or recipe.judge.model for name in recipe.judge.ensemble] or [recipe.judge.model]


def _served_that_cannot_work(recipe: Recipe) -> list[tuple[bool, str]]:
    """Servers that cannot be asked, and roles and readings that a served model cannot have."""
    found: list[tuple[bool, str]] = []
    for name, server in recipe.served.items():
        try:
            parts = urlsplit(server.url)
            plain = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            plain = plain and server.url.isascii() and server.url.split() == [server.url]
        except ValueError:  # a port or an address that is none
            parts, plain = urlsplit(""), False
        found += [
            (not plain, f"key 'served.{name}.url' is not a URL; expected for example http://localhost:8000/v1"),
            # Not quoted: what stands there may be a secret.
            (
                "@" in parts.netloc or bool(parts.query or parts.fragment),
                f"key 'served.{name}.url' holds a password, a query or a fragment; a key comes from key_env",
            ),
            (not server.model, f"key 'served.{name}.model' is missing; name the model that the server knows"),
            (
                server.key_env is not None and not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", server.key_env),
                f"key 'served.{name}.key_env' is not the name of an environment variable; the key itself must not "
                "stand in a recipe",
            ),
        ]
    asked, judge = judges(recipe), recipe.judge
    for reference in [*asked, recipe.meta.model, recipe.prompts.writer.model]:
        known = ", ".join(recipe.served) or "none"
        if reference.startswith(SERVED):
            unknown = reference.removeprefix(SERVED) not in recipe.served
            found.append((unknown, f"role {reference!r} is not in the section 'served', which has: {known}"))
    needs_weights = {
        "model.path": recipe.model.path,
        "train.reference": recipe.train.reference,
        "pairs.implicit_reference": recipe.pairs.implicit_reference,
    }
    found += [
        (
            value.startswith(SERVED),
            f"key {key!r} is {value!r}, but this role needs weights and tokens, which a server does not give; "
            "only judge.model, judge.ensemble, meta.model and prompts.writer.model may be served",
        )
        for key, value in needs_weights.items()
    ]
    served_judge = any(reference.startswith(SERVED) for reference in asked)
    decoded = judge.protocol == "pointwise" or (judge.protocol == "pairwise" and judge.pairwise.reading == "verdict")
    return [
        *found,
        (
            served_judge and not decoded,
            f"judge.protocol={judge.protocol} reads probabilities of tokens, which a served judge does not give; set "
            "judge.protocol=pointwise (or pairwise with judge.pairwise.reading=verdict)",
        ),
        (
            served_judge and recipe.meta.enabled,
            "meta.enabled trains the policy on judgments as it sampled them, token by token; a served judge's are not "
            "its own: set meta.enabled=false or judge.model=policy",
        ),
    ]


def _unread_by_the_judge(recipe: Recipe) -> list[tuple[bool, str]]:
    """Settings of the judge that its protocol would not read, and settings that it needs."""
    judge, default = recipe.judge, JudgeRecipe()
    named, adaptive, pairwise = f"judge.protocol={judge.protocol}", judge.adaptive, judge.pairwise
    draws = judge.protocol in ("pointwise", "hybrid")
    return [
        (not draws and judge.samples != 1, f"{named} asks each question once; set judge.samples=1"),
        (judge.protocol != "pointwise" and judge.ask_again > 0, f"judge.ask_again is not read by {named}; set it to 0"),
        (
            judge.protocol != "pairwise" and judge.pairwise != default.pairwise,
            f"the keys of judge.pairwise are not read by {named}; remove them or set judge.protocol=pairwise",
        ),
        (
            judge.protocol == "pointwise" and judge.min_mass != default.min_mass,
            f"judge.min_mass is not read by {named}; remove it or choose expected, hybrid or pairwise",
        ),
        (
            (judge.rubric is None) != (judge.template != "rubric"),
            "judge.rubric and judge.template=rubric belong together; set both or neither",
        ),
        (
            judge.rubric is not None and judge.protocol != "pointwise",
            f"judge.rubric has a score per criterion, which {named} cannot read; set judge.protocol=pointwise",
        ),
        (
            (judge.pairwise.template == "principle") != (judge.pairwise.constitution is not None),
            "judge.pairwise.template=principle and judge.pairwise.constitution belong together; set both or neither",
        ),
        (
            any(name.partition("@")[0] == "rubric" for name in judge.ensemble),
            "judge.ensemble names the template 'rubric', which needs a judge.rubric; name other templates",
        ),
        (
            judge.protocol == "pairwise" and recipe.meta.enabled,
            "meta.enabled compares pointwise judgments, which judge.protocol=pairwise does not give",
        ),
        (
            adaptive.enabled and (judge.protocol != "pointwise" or bool(judge.ensemble) or judge.ask_again > 0),
            "judge.adaptive needs judge.protocol=pointwise, no judge.ensemble and judge.ask_again=0",
        ),
        (
            adaptive.enabled and (judge.source not in ("model", "verifier_then_model") or judge.aggregate != "mean"),
            "judge.adaptive needs judgments by a model (judge.source) and judge.aggregate=mean",
        ),
        (
            adaptive.enabled and judge.samples not in (default.samples, adaptive.first),
            "judge.samples is not read with judge.adaptive; set judge.adaptive.first and judge.adaptive.cap",
        ),
        (
            pairwise.reading == "verdict" and judge.min_mass != default.min_mass,
            "judge.min_mass is not read by judge.pairwise.reading=verdict, which decodes a reply; remove it",
        ),
        (
            pairwise.comparisons != "random" and pairwise.count != default.pairwise.count,
            f"judge.pairwise.count is not read by judge.pairwise.comparisons={pairwise.comparisons}; use random",
        ),
        (
            pairwise.constitution is None and pairwise.principles != default.pairwise.principles,
            "judge.pairwise.principles needs a judge.pairwise.constitution to draw them from",
        ),
        (adaptive.enabled and adaptive.cap < adaptive.first, "judge.adaptive.cap is below judge.adaptive.first"),
        (not adaptive.enabled and adaptive != default.adaptive, "judge.adaptive is set but not enabled"),
        (
            judge.max_disagreement is not None and len(judge.ensemble) < 2,
            "judge.max_disagreement needs a judge.ensemble of at least two members",
        ),
        (len(judge.ensemble) == 1, "judge.ensemble has one member; expected at least two, or none"),
        (
            len(set(judge.ensemble)) < len(judge.ensemble),
            "judge.ensemble names a member twice; raise judge.samples instead",
        ),
        (
            bool(judge.ensemble) and judge.protocol == "pairwise",
            f"judge.ensemble is not read by {named}; use one of the other protocols",
        ),
        (
            bool(judge.ensemble) and judge.rubric is not None,
            "judge.ensemble and judge.rubric cannot be combined; name templates in the ensemble instead",
        ),
        (
            bool(judge.ensemble) and recipe.meta.enabled,
            "meta.enabled compares judgments of one template, which judge.ensemble does not give",
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
    if not Path(reference).is_dir():
        expected = ", ".join(sorted(names))
        raise RecipeError(
            f"{where}: key {key!r} is {reference!r}; expected {expected}, round:K or an existing directory"
        )
