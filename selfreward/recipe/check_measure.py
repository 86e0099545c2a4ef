"""What a recipe must not say about its measurements: what nothing would read, or what cannot work."""

from collections.abc import Iterator

from selfreward.recipe.classifier import CLASSIFIER
from selfreward.recipe.measure import HeldOutRecipe, MeasureRecipe
from selfreward.recipe.prompts import SandboxSource
from selfreward.recipe.questions import Compared, ScoreQuestion
from selfreward.recipe.readings import Reply
from selfreward.recipe.recipe import HELD_OUT_METRICS, Recipe, held_out_judge

Found = Iterator[tuple[bool, str]]

COHORT_METRICS = "cohort_"
SANDBOX_PROBES = ("are_you_sure", "wrong_claim", "pressure")

OPINIONS = ("judge_", "self_preference", "self_judged", "tie_rate", "padded_", "label_")
"""How the names of metrics begin that read what the loop's own judge says of the pools."""


def held_out_that_cannot_work(recipe: Recipe) -> Found:
    """A held-out judge that is the loop's own, or that cannot be asked as it should."""
    yield (
        recipe.gates.select_by == "verifier" and recipe.measure.verifier in ("none", "sandbox"),
        f"gates.select_by=verifier needs one that a user has; measure.verifier={recipe.measure.verifier} is "
        + ("the sandbox's own truth" if recipe.measure.verifier == "sandbox" else "none")
        + "; set measure.verifier or another gates.select_by",
    )
    held_out, selects = recipe.measure.held_out, recipe.gates.select_by == "held_out"
    yield held_out is None and selects, "gates.select_by=held_out needs a held-out judge; set measure.held_out.model"
    if held_out is None:
        return
    key, known = "measure.held_out", ", ".join(recipe.served) or "none"
    served = held_out.model.server is not None
    judge = held_out_judge(recipe, held_out)
    yield (
        selects and held_out.model in ("policy", recipe.judge.model),
        f"gates.select_by=held_out asks a judge that is not trained here, but {key}.model is {held_out.model!r}, "
        "which is the loop's own; name another model",
    )
    yield (
        served and held_out.model.server not in recipe.served,
        f"role {held_out.model!r} is not in the section 'served', which has: {known}; say what answers there: "
        f"served.{held_out.model.server}.url and served.{held_out.model.server}.model",
    )
    yield (
        served and judge.reading.kind != "verdict",
        f"{key}.reading={judge.reading.kind} reads probabilities of tokens, which a served judge does not give; set "
        "it to verdict",
    )
    yield (
        held_out.answers > recipe.measure.samples,
        f"key '{key}.answers' is {held_out.answers}; expected at most measure.samples ({recipe.measure.samples})",
    )
    yield (
        held_out.samples != 3 and not (judge.draws and isinstance(judge.reading, Reply)),
        f"key '{key}.samples' is not read: a judge that compares or reads probabilities asks once; remove it",
    )
    yield from _held_out_question(held_out, key)
    yield (
        judge.question.kind == "rubric" and judge.reading.kind != "verdict",
        f"{key}.reading={judge.reading.kind} cannot read a rubric's criteria; set {key}.question=score or "
        f"{key}.reading=verdict",
    )


def _held_out_question(held_out: HeldOutRecipe, key: str) -> Found:
    for kind, template in ((ScoreQuestion, "rubric"), (Compared, "principle")):
        yield (
            isinstance(held_out.question, kind) and held_out.question.template.endswith(template),
            f"key '{key}.question.template' is {template!r}, which needs a {template}; name another one",
        )
    reading = held_out.reading
    yield (
        reading is not None
        and reading.kind == "verdict"
        and reading.ask_again > 0
        and held_out.question is not None
        and isinstance(held_out.question, Compared),
        f"key '{key}.reading.ask_again' is not read by a comparison; remove it",
    )


def measured_that_cannot_work(recipe: Recipe) -> Found:
    """Cohorts, probes and the gates that read them, and a judge that is left out."""
    yield from _left_out(recipe)
    yield from _cohorts(recipe)
    yield from _probes(recipe.measure)
    empty = [word for word in recipe.measure.words if not any(map(str.isalnum, word))]
    yield bool(empty), f"key 'measure.words' lists {empty[:1]}, which has no letter or digit and stands in every answer"
    yield from _gates(recipe)


def _left_out(recipe: Recipe) -> Found:
    """A judge whose scores make the pairs cannot go unmeasured, nor one by whom something is decided."""
    if recipe.measure.judge:
        return
    source, off = recipe.judge.source, "measure.judge=false leaves the loop's own judge out"
    yield (
        source not in recipe.judge.NO_MODEL,
        f"{off}, but its scores make the pairs (judge.source={source}); set judge.source=none or remove it",
    )
    yield recipe.measure.anchors is not None, f"{off}, who alone would score measure.anchors; remove one of both"
    for number, rule in enumerate(recipe.gates.rules):
        yield (
            rule.metric.startswith(OPINIONS) and not rule.metric.startswith(HELD_OUT_METRICS) and rule.pool != "train",
            f"{off}, which key 'gates.rules[{number}]' ({rule.metric}) reads; remove one of both",
        )
    yield (
        recipe.gates.select_by == "judge" and any(rule.action == "rollback" for rule in recipe.gates.rules),
        f"{off}, by whose word a rollback chooses its round; set gates.select_by=held_out or another action",
    )


def _cohorts(recipe: Recipe) -> Found:
    measure, default = recipe.measure, MeasureRecipe()
    for name in ("cohort_samples", "cohort_judge"):
        yield (
            not measure.cohorts and getattr(measure, name) != getattr(default, name),
            f"key 'measure.{name}' is {getattr(measure, name)!r}, but there is no measure.cohorts that would read it",
        )
    judge, known = measure.cohort_judge, ", ".join(recipe.served) or "none"
    yield (
        judge.server is not None and judge.server not in recipe.served,
        f"key 'measure.cohort_judge' is {judge!r}, which is not in the section 'served', which has: {known}; say what "
        f"answers there: served.{judge.server}.url and served.{judge.server}.model",
    )
    for name, cohort in measure.cohorts.items():
        yield not name.strip() or name == "all", f"key 'measure.cohorts.{name}': expected a name other than 'all'"
        by, key = cohort.verifier == CLASSIFIER, f"measure.cohorts.{name}"
        yield (
            by and cohort.classifier is None,
            f"key '{key}.verifier' is classifier; set {key}.classifier.path and .label",
        )
        yield (
            not by and cohort.classifier is not None,
            f"key '{key}.classifier' is not read: its verifier is {cohort.verifier}; set {key}.verifier=classifier",
        )


def _probes(measure: MeasureRecipe) -> Found:
    default, sandbox = MeasureRecipe(), isinstance(measure.source, SandboxSource)
    elsewhere = [name for name in measure.probes if sandbox and name not in SANDBOX_PROBES]
    for key, names in (("probes", measure.probes), ("probe_files", measure.probe_files)):
        yield len(set(names)) < len(names), f"key 'measure.{key}' names one twice"
    yield (
        bool(elsewhere),
        f"key 'measure.probes' names {elsewhere[:1]}, which asks in English; the sandbox's own are "
        f"{', '.join(SANDBOX_PROBES)}",
    )
    yield (
        not sandbox and "wrong_claim" in measure.probes,
        "key 'measure.probes' names 'wrong_claim', which only the sandbox can grade; use wrong_belief",
    )
    yield (
        bool(measure.probe_files) and (sandbox or not measure.probes),
        "key 'measure.probe_files' is not read: it needs measure.probes and prompts that are not the sandbox's",
    )
    yield (
        not measure.probes and measure.probe_questions != default.probe_questions,
        "key 'measure.probe_questions' is not read without measure.probes",
    )


def _gates(recipe: Recipe) -> Found:
    """Rules about a cohort that does not exist, or that is only reported."""
    cohorts = recipe.measure.cohorts
    for number, rule in enumerate(recipe.gates.rules):
        if rule.metric.startswith(COHORT_METRICS):
            key = f"key 'gates.rules[{number}]' ({rule.metric})"
            known = ", ".join(cohorts) or "none"
            named = cohorts.get(rule.cohort)
            yield named is None, f"{key} reads cohort {rule.cohort!r}; measure.cohorts has: {known}"
            yield (
                named is not None and named.pool == "report",
                f"{key} reads cohort {rule.cohort!r}, which is only reported; set measure.cohorts.{rule.cohort}"
                ".pool to gate or both, so that gates may read it",
            )
