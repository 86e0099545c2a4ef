"""`selfreward canary RECIPE`: answers of the start policy, judged and paired as the recipe does, against the truth.

Asked are prompts of the gate pool, and where they are fewer than wanted, training prompts of round 1; never the report
or the selection pool. The rows lie in a directory that is removed afterwards.
"""

import dataclasses
import tempfile
from contextlib import closing
from pathlib import Path

from selfreward.commands.preflight import preflight
from selfreward.judging.judge import judge
from selfreward.measuring.canary.evidence import RoundAnswers, canary_evidence, check_canary, truths_of
from selfreward.measuring.canary.verdict import CanaryEvidence, CanaryVerdict, decide
from selfreward.measuring.judge_truth import duels, pairwise_accuracy, tied_prompts, within_tau
from selfreward.measuring.stats.clustered import NOTHING, Estimate
from selfreward.pairing.pair import Preferences
from selfreward.progress import Progress
from selfreward.recipe import Recipe
from selfreward.records import Prompt, Rows
from selfreward.report.tables import DASH, Table, number_text
from selfreward.roles.cast import Cast
from selfreward.roles.player import Policy
from selfreward.roles.respond import respond
from selfreward.roles.round import Round
from selfreward.store.given import given
from selfreward.store.results import Store
from selfreward.tasks.source import Source
from selfreward.tasks.verifiers.protocol import Verifier

PROMPTS = 60


def canary_command(recipe: Recipe, progress: Progress, prompts: int = PROMPTS) -> tuple[CanaryVerdict, Table]:
    """The verdict on a recipe, and what it rests on. Raises RecipeError where no judge makes its pairs."""
    check_canary(recipe)
    if not truths_of(recipe):
        progress.say(
            "measure.verifier, measure.anchors and measure.held_out are not set: the verdict will be 'cannot be "
            "known', and what is asked now tells only whether this judge can be read"
        )
    start, source, verifier = preflight(recipe, progress.say)
    evidence = ask(recipe, start, source, verifier, progress, prompts)
    verdict = decide(evidence, recipe.gates.min_readable)
    return verdict, canary_table(evidence, verdict)


def ask(
    recipe: Recipe, start: Policy, source: Source, verifier: Verifier | None, progress: Progress, count: int
) -> CanaryEvidence:
    """Round 1 as far as its pairs, on these prompts instead of its own."""
    # Too few readable verdicts are the canary's to say, with everything else that it saw.
    lenient = dataclasses.replace(recipe, gates=dataclasses.replace(recipe.gates, min_readable=0.0, canary="off"))
    with (
        tempfile.TemporaryDirectory(prefix="selfreward-canary-") as scratch,
        closing(Cast(lenient, lambda policy, report: None, [start])) as cast,
        Store(Path(scratch), share=False).open_run("canary", lenient, environment={}) as artifacts,
    ):
        round = Round(1, lenient, cast, artifacts, source, verifier, progress)
        chosen = asked_prompts(recipe, source, count)
        if len(chosen) < count:
            progress.say(
                f"{len(chosen)} prompts and not {count}: the gate pool (measure.gate={recipe.measure.gate}) and one "
                f"round (prompts.per_round={recipe.prompts.per_round}) have no more"
            )
        prompts: Rows[Prompt] = round.complete(given(1, "prompts", Prompt, chosen, {"canary": count}))
        responses = respond(round, prompts)
        judgments = judge(round, prompts, responses)
        pairs, drops = Preferences(round, prompts, responses).pairs(judgments)
        return canary_evidence(round, RoundAnswers(prompts, responses, judgments, pairs, drops))


def asked_prompts(recipe: Recipe, source: Source, count: int) -> list[Prompt]:
    gate = [prompt for prompt in source.pools() if prompt.pool == "gate"][:count]
    wanted = min(count - len(gate), recipe.prompts.per_round)
    return gate + (source.training(1, wanted) if wanted else [])


def canary_table(evidence: CanaryEvidence, verdict: CanaryVerdict) -> Table:
    fought = duels(evidence.rated)
    decided = f"{verdict.decided} of {len(evidence.pairs)}"
    rows = [
        ("truth", evidence.truth or "none", NOTHING),
        ("chosen is the better one, of the decided pairs", None, verdict.accuracy),
        ("pairs that the truth decides", decided, NOTHING),
        ("smallest accuracy that so many show (80 %)", number_text(verdict.smallest), NOTHING),
        ("pairwise accuracy over all answers, ties half", None, pairwise_accuracy(fought)),
        ("Kendall's tau within prompts", None, within_tau(evidence.rated)),
        ("prompts whose answers all score alike", None, tied_prompts(evidence.rated)),
        ("scores at an end of the scale", _share(evidence.ends, evidence.scores), NOTHING),
        ("verdicts that could not be read", _share(evidence.verdicts - evidence.readable, evidence.verdicts), NOTHING),
        ("answers cut off", _share(evidence.truncated, evidence.answers), NOTHING),
        ("verdicts that change with the order", None, evidence.flips),
    ]
    body = [[name, text if text is not None else _interval(found), _n(found)] for name, text, found in rows]
    caption = f"{evidence.answers} answers, {evidence.verdicts} verdicts; n counts prompts"
    return Table(caption, ["", "value [95 %]", "n"], body)


def _interval(found: Estimate) -> str:
    return number_text(found.value, found.low, found.high)


def _n(found: Estimate) -> str:
    return str(found.n) if found.n else ""


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}" if whole else DASH
