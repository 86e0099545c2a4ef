"""The iteration controller: read this first.

In every round one model answers prompts, scores its own answers, compares its own judgments, becomes preference pairs
and is trained into the next policy; then everything is measured. What is sealed on disk is read back and what is owed
is computed, so running the same command again is how a run resumes. The steps themselves are in `steps.py`.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path

from selfreward.cast import Cast, Policy
from selfreward.environment import environment
from selfreward.handoff import HandOffReport
from selfreward.measuring import RoundRows
from selfreward.preflight import preflight
from selfreward.progress import Progress
from selfreward.recipe import Recipe
from selfreward.runs import Run
from selfreward.steps import Steps
from selfreward.store import Store
from selfreward.trackers import tracking


def run(recipe: Recipe, store: Store, name: str, progress: Progress, track: str | None = None) -> Path:
    """Run `recipe` to its last round, or go on where it stopped; return the run's directory.

    `track` names a tracker that is told what the rounds measured. Raises a SelfRewardError whose message says what to
    do; whatever was sealed stays.
    """
    start, source, verifier = preflight(recipe, progress.say)
    with store.open_run(name, recipe, environment=environment(recipe)) as artifacts:

        def note_handoff(policy: Policy, report: HandOffReport) -> None:
            artifacts.note("handoff", policy.round, "checkpoint", digest=policy.digest, report=asdict(report))

        with (
            closing(Cast(recipe, note_handoff)) as cast,
            served_costs_noted(cast, artifacts),
            tracking(track, artifacts.path, recipe) as told,
        ):
            steps = Steps(recipe, source, verifier, artifacts, cast, progress, told)
            steps.begin(start)
            steps.measure(0, RoundRows.none())
            for number in range(1, recipe.rounds + 1):
                iterate(steps, number)
                if steps.verdict(number) == "stop":
                    break
            steps.discard_unneeded_checkpoints()
            if counted := cast.report():
                artifacts.note("engine", None, report=counted)
    return artifacts.path


def iterate(steps: Steps, number: int) -> None:
    """One round, from prompts to the next policy and what it is worth."""
    prompts, refused = steps.prompts(number)
    responses = steps.respond(number, prompts)
    judgments = steps.judge(number, prompts, responses)
    metas = steps.compare(number, prompts, responses, judgments)
    pairs, drops = steps.pair(number, prompts, responses, judgments, metas, refused)
    steps.train(number, pairs)
    steps.measure(number, RoundRows(prompts, responses, judgments, metas, pairs, drops))


@contextmanager
def served_costs_noted(cast: Cast, artifacts: Run) -> Iterator[None]:
    """Whatever ends the run: what served models were asked, failed at and cost is in its journal."""
    try:
        yield
    finally:
        if counted := cast.served_report():
            artifacts.note("served", None, report=counted)
