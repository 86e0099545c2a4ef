"""Does the judge still discriminate? Alarms that need no truth, on the frozen pools and on the round's own rows.

    score_entropy    bits of the distribution of single readable verdicts; falling towards 0 is saturation
    score_band       points between the 5 % and the 95 % quantile of the answers' mean scores; near 0 the judge uses
                     none of its scale, and what it tells apart is noise
    score_at_max     share of readable verdicts at the top of the scale
    tie_rate         share of pairs of different texts of one prompt that have equal mean scores
    unreadable_rate  share of verdicts that could not be read

`excluded` counts unreadable verdicts, for `tie_rate` answers without a readable one, for `unreadable_rate` nothing.
No direction of entropy and share at the maximum is better in itself: a perfect judge of a perfect policy always gives
the maximum. An oracle's judgments (a control) are verdicts like any other.
"""

from collections import defaultdict
from itertools import combinations

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric, down, up
from selfreward.measuring.metrics.answers import OWN, Answer, evaluated, join, own_rows, row
from selfreward.measuring.metrics.families import JUDGE_HEALTH
from selfreward.measuring.metrics.worries import FINER, QUESTION, Above, Remedy
from selfreward.measuring.stats.clustered import NOTHING, clustered_share
from selfreward.measuring.stats.resampling import clustered_band, clustered_entropy
from selfreward.records import Measurement

ABOUT = About(
    "judge_health",
    pools=(
        "gate",
        "train",
    ),
    metrics=(
        Metric("score_entropy", "score entropy (bits)", JUDGE_HEALTH, planted=(down("saturated judge"),)),
        Metric("score_band", "scores, 5 % to 95 %, points", JUDGE_HEALTH),
        Metric(
            "score_at_max",
            "scores at the maximum",
            JUDGE_HEALTH,
            planted=(up("saturated judge"),),
            worries=(Above(0.60, (FINER, QUESTION)),),
        ),
        Metric(
            "tie_rate",
            "tied answers",
            JUDGE_HEALTH,
            planted=(up("saturated judge"),),
            worries=(Above(0.50, (FINER, Remedy("judge.aggregate.samples", "higher: a mean has more steps"))),),
        ),
        Metric(
            "unreadable_rate",
            "unreadable verdicts",
            JUDGE_HEALTH,
            planted=(up("unreadable judge"),),
            worries=(
                Above(
                    0.10,
                    (
                        Remedy("judge.reading.ask_again", "1 or more"),
                        Remedy("judge.reading.sampling.max_tokens", "higher, where verdicts are cut off"),
                    ),
                ),
            ),
        ),
    ),
)

TOP_SCORE = 5.0
"""The rubric's maximum: every judge template asks for 0 to 5 (SRLM)."""


def measure(evidence: Evidence) -> list[Measurement]:
    rows = []
    if evidence.pools.judgments:
        for pool, answers in evaluated(evidence):
            rows += _health(evidence, pool, answers)
    if evidence.round_judgments:
        rows += _health(evidence, OWN, join(own_rows(evidence), f"round {evidence.round}"))
    return rows


def _health(evidence: Evidence, pool: str, answers: list[Answer]) -> list[Measurement]:
    # A twin's judgments belong to the answer that was asked about; each verdict counts once.
    verdicts = {judgment.id: judgment for answer in answers for judgment in answer.judgments}
    readable = [(item.score, item.prompt_id) for item in verdicts.values() if item.score is not None]
    scores, prompts = [score for score, _ in readable], [prompt for _, prompt in readable]
    unread = clustered_share(
        [float(item.score is None) for item in verdicts.values()], [item.prompt_id for item in verdicts.values()]
    )
    distinct: dict[str, dict[str, float]] = defaultdict(dict)
    for answer in answers:
        if answer.score is not None:
            distinct[answer.prompt.id].setdefault(answer.response.text, answer.score)
    ties = [
        (float(first == second), prompt)
        for prompt, texts in distinct.items()
        for first, second in combinations(texts.values(), 2)
    ]
    tied = clustered_share([tie for tie, _ in ties], [prompt for _, prompt in ties]) if ties else NOTHING
    unscored = sum(answer.score is None for answer in answers)
    scored = [(answer.score, answer.prompt.id) for answer in answers if answer.score is not None]
    band = clustered_band([score for score, _ in scored], [prompt for _, prompt in scored])
    missing = len(verdicts) - len(readable)
    at_top = clustered_share([float(score >= TOP_SCORE) for score in scores], prompts)
    return [
        row(evidence, "score_entropy", clustered_entropy(scores, prompts), pool=pool, excluded=missing),
        row(evidence, "score_band", band, pool=pool, excluded=unscored),
        row(evidence, "score_at_max", at_top, pool=pool, excluded=missing),
        row(evidence, "tie_rate", tied, pool=pool, excluded=unscored, better="lower"),
        row(evidence, "unreadable_rate", unread, pool=pool, better="lower"),
    ]
