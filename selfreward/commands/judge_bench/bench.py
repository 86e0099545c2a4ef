"""Every judge is asked about every pool, once for its scores and once more to know its noise."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from selfreward.commands.judge_bench.meter import Meter, MeteredCast
from selfreward.commands.judge_bench.pools import LabelledPool, Sampled, read_pools
from selfreward.commands.judge_bench.scores import Outcomes, distinct_answers, estimates_of, outcomes, plain
from selfreward.commands.judge_bench.specs import (
    NamedJudge,
    models_that_know_the_sandbox_only,
    read_judges,
    require_model,
)
from selfreward.commands.judge_bench.trajectories import Verdicts, verdicts_of
from selfreward.commands.judge_bench.wordings import Asked, in_wordings
from selfreward.commands.probe.material import require_words
from selfreward.commands.probe.models import Subject
from selfreward.judging.judge import Judging
from selfreward.judging.scoring.answers import score_answers
from selfreward.judging.scoring.pointwise import shuffle_within_prompts
from selfreward.judging.scoring.score import Score
from selfreward.measuring.stats.clustered import Estimate
from selfreward.progress import Progress
from selfreward.recipe import as_dict
from selfreward.records import Comparison, Judgment, Rows, seed_for
from selfreward.roles.unkept import complete_unkept
from selfreward.store.run import Work
from selfreward.store.view import RunView


@dataclass(frozen=True, slots=True)
class Result:
    """One judge on one pool. `verdicts` and what is unread are of the first reading, as are tokens and seconds.

    `asked` are its scores in both readings, `prompt_of` the prompt of each answer. `trajectories` is the pool where its
    answers are trajectories, and `calls` what was said of their steps.
    """

    judge: str
    pool: str
    recipe: dict[str, Any]
    prompts: int
    answers: int
    unscored: int
    verdicts: int
    unreadable: int
    question_tokens: int
    reply_tokens: int
    seconds: float
    estimates: dict[str, Estimate]
    outcomes: Outcomes
    wording_of: str
    asked: Asked
    prompt_of: Mapping[str, str]
    trajectories: LabelledPool | None = None
    calls: Verdicts = field(default_factory=dict)

    @property
    def tokens_each(self) -> float:
        """Tokens for each answer, of questions and replies: what a judgment costs."""
        return (self.question_tokens + self.reply_tokens) / max(1, self.answers)


@dataclass
class _Reading:
    scores: dict[str, Score]
    judgments: Sequence[Judgment]
    comparisons: Sequence[Comparison]
    calls: Verdicts


def bench(
    names: Sequence[str],
    specs: Sequence[str],
    model: Subject,
    existing: Callable[[str], RunView],
    progress: Progress,
    *,
    count: int | None = None,
    again: bool = True,
    wordings: Sequence[Path] = (),
) -> list[Result]:
    """Every judge on every pool, pool by pool, each also in `wordings`.

    Raises RecipeError or DataError before anything is asked.
    """
    judges = in_wordings(read_judges(specs, model.recipe), wordings)
    for judge in judges:
        require_model(judge)
    pools = read_pools(names, model, existing, count)
    _require_words(judges, pools, model)
    rows: list[Any] = []

    def complete(work: Work[Any, Any]) -> Rows[Any]:
        made = complete_unkept(work, cast, progress)
        rows.extend(made)
        return made

    found: list[Result] = []
    with closing(MeteredCast(model.recipe, lambda policy, report: None, [model.policy])) as cast:
        for asked in pools:
            pool = asked.pool(cast.player(model.policy), model, complete) if isinstance(asked, Sampled) else asked
            for judge in judges:
                found.append(_result(judge, pool, cast, complete, rows, again))
    return found


def _require_words(judges: Sequence[NamedJudge], pools: Sequence[LabelledPool | Sampled], model: Subject) -> None:
    """A sandbox model is asked about the sandbox only."""
    tiny = models_that_know_the_sandbox_only(judges, model)
    for pool in pools:
        for name in tiny or ([model.name] if model.sandbox and isinstance(pool, Sampled) else []):
            require_words(name, pool.prompts)


def _result(
    judge: NamedJudge,
    pool: LabelledPool,
    cast: MeteredCast,
    complete: Callable[[Work[Any, Any]], Rows[Any]],
    rows: list[Any],
    again: bool,
) -> Result:
    recipe, meter = judge.recipe.judge, Meter()
    pool = replace(pool, rows=distinct_answers(pool.rows))

    def read(artifact: str) -> _Reading:
        rows.clear()
        judging = Judging(recipe, cast, complete, 0, 1)
        prompts = {row.prompt.id: row.prompt for row in pool.rows}
        judgments = judging.judge(prompts, [row.response for row in pool.rows], {}, artifact)
        scores = score_answers(judgments, recipe)[0]
        if recipe.control == "shuffled":
            seed = seed_for(judge.recipe.seed, artifact)
            scores = shuffle_within_prompts(scores, [row.response for row in pool.rows], seed)
        # What an ensemble's members said is there twice: by itself, and among all.
        comparisons = {row.id: row for row in rows if isinstance(row, Comparison)}
        return _Reading(scores, judgments, list(comparisons.values()), verdicts_of(rows))

    for reference in (*judge.recipe.judge.models, judge.recipe.judge.debater):
        # Loading weights is nobody's judging.
        cast.role(reference, 1).hold()
    cast.meter = meter
    # Other words have seeds of their own, or they would share the luck of the first.
    own = f"_{judge.name}" if judge.wording_of else ""
    with meter.running():
        first = read(f"judge_bench{own}")
    # Another artifact name gives other seeds, so that this is a fresh reading; its cost is not the judge's.
    cast.meter = None
    sampled = recipe.reading.kind != "probability"
    second = read(f"judge_bench_again{own}").scores if again and sampled else None
    # What samples nothing would say the same again.
    repeated = second if sampled else first.scores
    replies: Sequence[Judgment | Comparison] = first.comparisons or first.judgments
    return Result(
        judge=judge.name,
        pool=pool.name,
        recipe=as_dict(recipe),
        prompts=len(pool.prompts),
        answers=len(pool.rows),
        unscored=sum(row.id not in first.scores for row in pool.rows),
        verdicts=len(replies),
        unreadable=sum(row.unreadable is not None for row in replies),
        question_tokens=meter.questions,
        reply_tokens=meter.replies,
        seconds=meter.seconds,
        estimates=estimates_of(pool, recipe, first.scores, first.comparisons, second),
        outcomes=outcomes(pool, first.scores),
        wording_of=judge.wording_of,
        asked=(plain(first.scores), None if repeated is None else plain(repeated)),
        prompt_of={row.id: row.prompt.id for row in pool.rows},
        trajectories=None if pool.calls is None else pool,
        calls=first.calls,
    )
