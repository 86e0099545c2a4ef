"""The iteration controller: read this first.

In every round one model answers prompts, scores its own answers, compares its own judgments, and is trained into the
next policy on the preference pairs that this gives, or on samples with rewards; then everything is measured. What is
sealed on disk is read back and what is owed is computed, so running the same command again is how a run resumes. Each
verb is a function of the folder that it is named after; it takes the round and sealed rows, and returns sealed rows.
"""

from dataclasses import dataclass, field

from selfreward.judging.judge import judge
from selfreward.judging.meta import compare
from selfreward.measuring.canary.evidence import RoundAnswers
from selfreward.measuring.canary.heed import heed_canary
from selfreward.measuring.gates import refuse_oracle_rules
from selfreward.measuring.measure import Measuring, RoundRows, is_measured
from selfreward.measuring.verdicts import Verdict, discard_unneeded_checkpoints, may_train, verdict
from selfreward.pairing.pair import pair
from selfreward.progress import Progress
from selfreward.recipe import GrpoRecipe, Recipe, RlooRecipe
from selfreward.records import Measurement, Rows
from selfreward.report.key_metrics import key_line
from selfreward.report.trackers import Tracking
from selfreward.roles.cast import Cast
from selfreward.roles.player import Policy
from selfreward.roles.respond import respond
from selfreward.roles.round import Round
from selfreward.roles.write import draw_prompts
from selfreward.store.allowance import Allowance
from selfreward.store.run import Run
from selfreward.store.run_clock import RunClock
from selfreward.tasks.source import Source
from selfreward.tasks.verifiers.protocol import Verifier
from selfreward.training.reward_model import Taught, teach
from selfreward.training.train import adopt, train
from selfreward.training.weighing.weigh import weigh


@dataclass
class Course:
    """A run on its way: what all rounds need, and what they found so far."""

    recipe: Recipe
    source: Source
    verifier: Verifier | None
    artifacts: Run
    cast: Cast
    progress: Progress
    told: Tracking = field(default_factory=Tracking)
    clock: RunClock = field(default_factory=RunClock)
    measuring: Measuring = field(default_factory=Measuring)
    measurements: list[Measurement] = field(default_factory=list)
    rejected: set[int] = field(default_factory=set)
    allowance: Allowance = field(default_factory=Allowance)

    def round(self, number: int) -> Round:
        told = self.progress, self.clock, self.allowance
        return Round(number, self.recipe, self.cast, self.artifacts, self.source, self.verifier, *told)


def begin(course: Course, start: Policy) -> None:
    """Round 0: the start policy is copied into the run, the frozen pools are written down, and it is measured."""
    round = course.round(0)
    adopt(round, start)
    course.measuring.begin(round)
    measure(course, round, RoundRows.none(), teach(round))


def iterate(course: Course, number: int) -> Verdict:
    """One round, from prompts to the next policy, what it is worth, and whether to go on."""
    round = course.round(number)
    if not may_train(round, course.measurements):
        return "stop"
    prompts, refused = draw_prompts(round, course.measuring.prompts())
    responses = respond(round, prompts)
    judgments = judge(round, prompts, responses)
    metas = compare(round, prompts, responses, judgments)
    if isinstance(method := course.recipe.train, GrpoRecipe | RlooRecipe):
        samples, rewards, drops = weigh(round, method, prompts, responses, judgments, refused)
        rows = RoundRows(prompts, responses, judgments, metas, Rows([]), drops, rewards, samples)
    else:
        pairs, drops = pair(round, prompts, responses, judgments, metas, refused)
        heed_canary(round, RoundAnswers(prompts, responses, judgments, pairs, drops))
        rows = RoundRows(prompts, responses, judgments, metas, pairs, drops)
    train(round, rows.learned, course.told.step)
    taught = teach(round)
    if not is_measured(round):
        round.say(f"round {number}: not measured (measure.every={course.recipe.measure.every}), no gate is asked")
        return "go on"
    measure(course, round, rows, taught)
    return verdict(round, course.measurements, course.rejected)


def measure(course: Course, round: Round, rows: RoundRows, taught: Taught) -> None:
    """Everything that is measured of the round's policy, told to the tracker and kept for the gates."""
    measured = course.measuring.measure(round, rows, taught)
    course.measurements += measured
    round.say(key_line(round.number, measured))
    course.told.round(round.number, measured, round.facts()["metrics"])
    refuse_oracle_rules(course.recipe.gates, course.measurements, round.number)


def end(course: Course, number: int) -> None:
    """After the last round that was run: weights that nobody needs are discarded."""
    discard_unneeded_checkpoints(course.round(number), course.measurements, course.rejected)
