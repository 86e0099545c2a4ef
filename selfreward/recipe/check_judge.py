"""What a recipe must not say about its judge: servers that cannot be asked, axes that do not go together."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from selfreward.recipe.aggregates import EnsembleAggregate
from selfreward.recipe.judge import JudgeRecipe
from selfreward.recipe.model import ServedRecipe
from selfreward.recipe.pairs import Revising
from selfreward.recipe.questions import ComparisonQuestion, ScoreQuestion, StepsQuestion
from selfreward.recipe.recipe import Recipe, held_out_judge

Found = Iterator[tuple[bool, str]]


def served_that_cannot_work(recipe: Recipe) -> Found:
    """Servers that cannot be asked, and roles and readings that a served model cannot have."""
    for name, server in recipe.served.items():
        yield from _server(name, server)
    known = ", ".join(recipe.served) or "none"
    asked = recipe.judge.models
    revised = [recipe.pairs.revise.model] if isinstance(recipe.pairs, Revising) else []
    for reference in [*asked, recipe.judge.debater, recipe.meta.model, recipe.prompts.writer.model, *revised]:
        yield (
            reference.server is not None and reference.server not in recipe.served,
            f"role {reference!r} is not in the section 'served', which has: {known}; say what answers there: "
            f"served.{reference.server}.url and served.{reference.server}.model",
        )
    implicit = recipe.pairs.implicit
    needs_weights = {"model.path": recipe.model.path, "train.reference": recipe.train.reference}
    needs_weights |= {"pairs.score.reference": implicit.reference} if implicit else {}
    for key, value in needs_weights.items():
        yield (
            value.server is not None,
            f"key {key!r} is {value!r}, but this role needs weights and tokens, which a server does not give; "
            "only judge.model, judge.aggregate.members, judge.question.debater, meta.model, prompts.writer.model and "
            "pairs.revise.model may be served",
        )
    served, reading = any(reference.server is not None for reference in asked), recipe.judge.reading.kind
    yield (
        served and reading not in ("verdict", "scalar"),
        f"judge.reading={reading} reads probabilities of tokens, which a served judge does not give; set "
        "judge.reading=verdict",
    )
    yield (
        served and recipe.meta.enabled,
        "meta.enabled trains the policy on judgments as it sampled them, token by token; a served judge's are not "
        "its own: set meta.enabled=false or judge.model=policy",
    )


def _server(name: str, server: ServedRecipe) -> Found:
    try:
        parts = urlsplit(server.url)
        plain = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        plain = plain and server.url.isascii() and server.url.split() == [server.url]
    except ValueError:  # a port or an address that is none
        parts, plain = urlsplit(""), False
    yield not plain, f"key 'served.{name}.url' is not a URL; expected for example http://localhost:8000/v1"
    # Not quoted: what stands there may be a secret.
    yield (
        "@" in parts.netloc or bool(parts.query or parts.fragment),
        f"key 'served.{name}.url' holds a password, a query or a fragment; a key comes from key_env",
    )
    yield (
        server.key_env is not None and not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", server.key_env),
        f"key 'served.{name}.key_env' is not the name of an environment variable; the key itself must not stand in a "
        "recipe",
    )


def judge_that_cannot_work(recipe: Recipe) -> Found:
    """Axes of the judge that do not go together."""
    judge, reading, question = recipe.judge, recipe.judge.reading.kind, recipe.judge.question
    compares, named = judge.ranks, f"judge.question={question.kind}"
    yield (
        (compares or judge.stepping is not None) and judge.ask_again > 0,
        f"judge.reading.ask_again is not read by {named}, which asks each question once; set it to 0",
    )
    for kind, owner in ((ScoreQuestion, "rubric"), (ComparisonQuestion, "principle")):
        yield (
            isinstance(question, kind) and question.template.endswith(owner),
            f"judge.question.template={question.template} belongs to judge.question.kind={owner}; set that",
        )
    if isinstance(question, ScoreQuestion) and question.examples is None:
        yield (
            question.shots != ScoreQuestion().shots,
            "judge.question.shots is read with judge.question.examples only; remove it or name a file",
        )
    if isinstance(question, StepsQuestion) and question.mark is not None:
        yield _no_expression(question.mark), f"judge.question.mark {question.mark!r} is not a regular expression"
    yield (
        bool(question.WHY_VERDICT) and reading != "verdict",
        f"{named} {question.WHY_VERDICT}, which judge.reading={reading} cannot read; set judge.reading=verdict",
    )
    yield (
        (compares or judge.stepping is not None) and recipe.meta.enabled,
        f"meta.enabled compares judgments of one answer, which {named} does not give",
    )
    if judge.comparing is not None:
        yield (
            judge.comparing.comparisons != "random" and judge.comparing.count != ComparisonQuestion().count,
            "judge.question.count is read with judge.question.comparisons=random only; remove it or set that",
        )
    if judge.adaptive is not None:
        yield (
            judge.protocol != "pointwise" or judge.ask_again > 0,
            "judge.aggregate=adaptive needs a question about one answer and judge.reading=verdict with ask_again=0",
        )
        yield (
            not judge.asks_model,
            f"judge.aggregate=adaptive needs judgments by a model, but judge.source is {judge.source}",
        )
        yield judge.adaptive.cap < judge.adaptive.first, "judge.aggregate.cap is below judge.aggregate.first"
    if judge.ensemble is not None:
        yield from _ensemble(recipe, judge.members)


def _no_expression(mark: str) -> bool:
    try:
        re.compile(mark)
    except re.error:
        return True
    return False


def scale_that_cannot_work(recipe: Recipe) -> Found:
    """Words of a score that a question does not ask for."""
    held_out = recipe.measure.held_out
    yield from _scale(recipe.judge, "judge")
    for name in recipe.judge.members:
        yield from _scale(recipe.judge.member(name), "judge")
    if held_out is not None:
        yield from _scale(held_out_judge(recipe, held_out), "measure.held_out")


def _scale(judge: JudgeRecipe, section: str) -> Found:
    question, key = judge.question, f"{section}.reading.scale"
    yield (
        judge.scale != "0-5" and not isinstance(question, ScoreQuestion),
        f"{key}={judge.scale} is not read by {section}.question={question.kind}, which asks for no score of one answer",
    )
    if not isinstance(question, ScoreQuestion) or question.template.endswith(".txt"):
        return
    asked = "1-10" if question.template == "ten" else "0-5"
    yield (
        judge.scale != asked,
        f"{section}.question.template={question.template} asks for a score of {asked}, but "
        + (
            f"{key} is {judge.scale}; set {key}={asked}"
            if judge.reading.kind != "verdict"
            else f"{section}.reading=verdict reads 0 to 5; set {section}.reading=probability or rationale with "
            f"scale: {asked}"
        ),
    )


def _ensemble(recipe: Recipe, members: tuple[str, ...]) -> Found:
    key, question = "judge.aggregate.members", recipe.judge.question
    yield len(members) < 2, f"{key} has {len(members)}; expected at least two, or another judge.aggregate"
    yield len(set(members)) < len(members), f"{key} names one twice; raise judge.aggregate.samples instead"
    for needed in ("rubric", "principle"):
        yield (
            any(name.partition("@")[0].endswith(needed) for name in members),
            f"{key} names a template that needs a {needed}; name other templates",
        )
    yield (
        not isinstance(question, ScoreQuestion | ComparisonQuestion),
        "judge.aggregate=ensemble names templates of judge.question=score or comparison; "
        f"{question.kind} is another question",
    )
    compares, default = recipe.judge.comparing is not None, EnsembleAggregate(members=members)
    for unread in ("average", "max_disagreement") if compares else ("vote",):
        value = getattr(recipe.judge.aggregate, unread)
        yield (
            value != getattr(default, unread),
            f"judge.aggregate.{unread}={value} is not read by members of judge.question={question.kind}; remove it",
        )
    yield recipe.meta.enabled, "meta.enabled compares judgments of one template, which an ensemble does not give"
