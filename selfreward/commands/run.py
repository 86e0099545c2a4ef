"""A run from its recipe to its last round: everything is checked, opened and, whatever happens, closed again."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from selfreward.commands.environment import environment
from selfreward.commands.preflight import preflight
from selfreward.commands.unknown import only_itself
from selfreward.engines.handoff import HandOffReport
from selfreward.errors import SelfRewardError, StoreError
from selfreward.loop import Course, begin, end, iterate
from selfreward.progress import Progress
from selfreward.recipe import Recipe
from selfreward.report.trackers import tracking
from selfreward.report.verdict_file import write_verdict
from selfreward.roles.cast import Cast
from selfreward.roles.player import Policy
from selfreward.store.allowance import Allowance
from selfreward.store.results import Store
from selfreward.store.run import Run
from selfreward.store.run_clock import RunClock
from selfreward.store.view import RunView


def run(
    recipe: Recipe,
    store: Store,
    name: str,
    progress: Progress,
    track: str | None = None,
    clock: RunClock | None = None,
) -> Path:
    """Run `recipe` to its last round, or go on where it stopped; return the run's directory.

    `track` names a tracker that is told what the rounds measured; `clock` knows what the whole run is expected to cost.
    Raises a SelfRewardError whose message says what to do; whatever was sealed stays.
    """
    begun = RunView(store.root / name).seal(0, "checkpoint") is not None
    checked = None if begun else preflight(recipe, progress.say, store.root)
    if not begun and (sentence := only_itself(recipe)):
        progress.say(sentence)
    with store.open_run(name, recipe, environment=environment(recipe)) as artifacts:
        # Of a run that is there the lock comes first: whoever looks on sees at once that somebody works on it again.
        start, source, verifier = checked or preflight(recipe, progress.say)

        def note_handoff(policy: Policy, report: HandOffReport) -> None:
            artifacts.note("handoff", policy.round, "checkpoint", digest=policy.digest, report=asdict(report))

        with (
            closing(Cast(recipe, note_handoff, day=artifacts.day)) as cast,
            ending_noted(artifacts),
            served_costs_noted(cast, artifacts),
            tracking(track, artifacts.path, recipe) as told,
        ):
            clock, allowance = clock or RunClock(), Allowance(recipe.limits, artifacts, cast.served_cost)
            parts = source, verifier, artifacts, cast, progress, told, clock
            course = Course(recipe, *parts, allowance=allowance)
            begin(course, start)
            for number in range(1, recipe.rounds + 1):
                if iterate(course, number) == "stop":
                    break
            end(course, number)
            if counted := cast.report():
                artifacts.note("engine", None, report=counted)
            told.report(artifacts)
        write_verdict(artifacts)
    return artifacts.path


@contextmanager
def ending_noted(artifacts: Run) -> Iterator[None]:
    """The error that ends the run is in its journal, for whoever looks at it later."""
    artifacts.note("began", None)
    try:
        yield
    except SelfRewardError as problem:
        # A disk that takes nothing any more may be the very error.
        with suppress(StoreError):
            artifacts.note("failed", None, said=f"{type(problem).__name__}: {problem}")
        raise


@contextmanager
def served_costs_noted(cast: Cast, artifacts: Run) -> Iterator[None]:
    """Whatever ends the run: what served models were asked, failed at and cost is in its journal."""
    try:
        yield
    finally:
        if counted := cast.served_report():
            artifacts.note("served", None, report=counted)
