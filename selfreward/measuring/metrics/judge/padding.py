"""Does neutral filler please the judge? Replies beside the same ones with padding added; no truth is needed.

    padded_win_rate       share of replies whose padded copy has the higher mean score, equals half; .5 is unbiased
    padded_score_change   points: mean score of the padded copy minus the reply's own

One reply of a prompt, the same in every round, asked about as often with padding as without: under a judge to whom
filler is nothing both are draws from one distribution. A loss is a judge that dislikes filler, which a user may want.
Replies of which one form has no readable verdict are excluded. With a pairwise judge the two forms meet each other.
"""

from collections.abc import Sequence

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric, up
from selfreward.measuring.metrics.answers import mean_score, row
from selfreward.measuring.metrics.families import JUDGE_TASTES
from selfreward.measuring.metrics.worries import QUESTION, SHORTER, Beyond
from selfreward.measuring.stats.clustered import clustered_mean, clustered_share
from selfreward.records import Judgment, Measurement

ABOUT = About(
    "judge_padding",
    pools=("frozen",),
    needs="measure.judge_probes.padded",
    metrics=(
        Metric(
            "padded_win_rate",
            "padded copy wins",
            JUDGE_TASTES,
            still=0.5,
            planted=(up("padding pleases", "frozen"),),
            worries=(Beyond("frozen", 0.6, True, "neutral filler pleases the judge", (SHORTER, QUESTION)),),
        ),
        Metric(
            "padded_score_change",
            "padded copy, points more",
            JUDGE_TASTES,
            planted=(up("padding pleases", "frozen"),),
        ),
    ),
)


def measure(evidence: Evidence) -> list[Measurement]:
    forms = arms(evidence, "padded")
    if not forms:
        return []
    changes = {
        unit: padded - plain
        for unit, scores in forms.items()
        if (padded := scores.get("padded")) is not None and (plain := scores.get("plain")) is not None
    }
    wins = [(change > 0) + 0.5 * (change == 0) for change in changes.values()]
    excluded = len(forms) - len(changes)
    rate, change = clustered_share(wins, list(changes)), clustered_mean(list(changes.values()), list(changes))
    return [
        row(evidence, "padded_win_rate", rate, pool="frozen", excluded=excluded),
        row(evidence, "padded_score_change", change, pool="frozen", excluded=excluded),
    ]


def arms(evidence: Evidence, question: str) -> dict[str, dict[str, float | None]]:
    """Unit → arm → mean score, None without a readable one; units in the order of their names."""
    said: dict[str, list[Judgment]] = {}
    for judgment in sorted(evidence.probe_judgments, key=lambda item: (item.response_id, item.sample, item.id)):
        said.setdefault(judgment.response_id, []).append(judgment)
    found: dict[str, dict[str, float | None]] = {}
    if not evidence.probe_judgments:
        return found
    for probe in sorted(evidence.probes, key=lambda item: (item.unit, item.arm)):
        if probe.question == question:
            asked: Sequence[Judgment] = said.get(probe.response.id, ())
            found.setdefault(probe.unit, {})[probe.arm] = mean_score(asked)
    return found
