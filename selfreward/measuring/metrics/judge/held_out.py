"""Does the policy win against earlier rounds by a judge that this run does not train on (`measure.held_out`)?

    held_out_win_rate_{previous,initial}             chance that an answer of this round beats one of the other round to
                                                     the same prompt, ties half
    held_out_win_rate_lc_minimal_{previous,initial}  the same at equal length, as in win_rate.py: length-controlled
                                                     (minimal), which is not AlpacaEval LC
    self_minus_held_out_win_rate_{previous,initial}  win rate by the loop's own judge minus the held-out one's over the
                                                     very same pairs; low > 0: the loop pleases its judge
    judge_disagreement_{previous,initial}            of the pairs that both judges decide, the share they decide
                                                     differently
    held_out_flip_rate                               pairwise only: of the pairs read in both orders, the share whose
                                                     verdict changes with the order
    held_out_is_training_judge                       1 where this judge is the policy itself, or also scored answers for
                                                     training in this run: then the rates are self-judged ones

Pointwise: every asked answer of this round against every asked one of the other, by mean score. Pairwise: answers with
the same sample number side by side in both orders; a verdict that changes with the order is a tie (as in SRLM and
MT-Bench), whatever its probabilities, and equal texts are a tie that nobody is asked about. The loop's own scores are
those that each round's own judge gave. Excluded: asked answers (pairwise: pairs) without a readable verdict or without
a counterpart; for gap and disagreement also those without a score by the loop's own judge, and for disagreement ties.
Intervals: clustered by prompt, length-controlled by the grouped jackknife.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric, up
from selfreward.measuring.metrics.answers import POOLS, row
from selfreward.measuring.metrics.duels import Duel, asked_answers, duels, flip_share
from selfreward.measuring.metrics.families import HELD_OUT
from selfreward.measuring.metrics.policy.output_drift import earlier_rounds
from selfreward.measuring.metrics.policy.win_rate import length_controlled
from selfreward.measuring.metrics.worries import OTHER_JUDGE, Beyond, Remedy
from selfreward.measuring.stats.clustered import Estimate, clustered_mean, clustered_share
from selfreward.records import Comparison, Measurement

RATE = "held_out_win_rate"
ABOUT = About(
    "held_out",
    needs="measure.held_out",
    metrics=(
        Metric(f"{RATE}_previous", "win rate against previous, held-out judge", HELD_OUT, still=0.5),
        Metric(
            f"{RATE}_initial", "win rate against initial, held-out judge", HELD_OUT, still=0.5, planted=(up("drift"),)
        ),
        *(
            Metric(f"{RATE}_lc_minimal_{to}", f"the same, length-controlled (minimal), {to}", HELD_OUT, still=0.5)
            for to in ("previous", "initial")
        ),
        Metric("self_minus_held_out_win_rate_previous", "own minus held-out win rate, previous", HELD_OUT, still=0.0),
        Metric(
            "self_minus_held_out_win_rate_initial",
            "own minus held-out win rate, initial",
            HELD_OUT,
            still=0.0,
            planted=(up("generous judge"),),
            worries=(
                Beyond(
                    "report",
                    0.05,
                    True,
                    "its own judge sees more gain than another",
                    (Remedy("gates.select_by", "held_out: it chooses the round", "held_out"), OTHER_JUDGE),
                ),
            ),
        ),
        Metric("judge_disagreement_previous", "own and held-out judge disagree, previous", HELD_OUT),
        Metric("judge_disagreement_initial", "own and held-out judge disagree, initial", HELD_OUT),
        Metric("held_out_flip_rate", "held-out judge flips with the order", HELD_OUT, pools=("report",)),
        Metric(
            "held_out_is_training_judge",
            "held-out judge is a training judge",
            HELD_OUT,
            pools=("report",),
            worries=(
                Beyond(
                    "report",
                    0.5,
                    True,
                    "nothing is held out, its win rates are self-judged",
                    (Remedy("measure.held_out.model", "one that scores nothing in training"),),
                ),
            ),
        ),
    ),
)


def measure(evidence: Evidence) -> list[Measurement]:
    held_out = evidence.held_out
    if held_out is None:
        return []
    one = Estimate(float(held_out.trains), None, None, 0)
    rows = [row(evidence, "held_out_is_training_judge", one, pool="report", better="lower")]
    if held_out.comparisons is not None:
        read = {prompt.id for prompt in evidence.pools.prompts if prompt.pool == "report"}
        rows.append(_flips(evidence, [one for one in held_out.comparisons if one.prompt_id in read]))
    if evidence.round == 0:
        return rows
    now = asked_answers(evidence.pools, held_out, f"the pools of round {evidence.round}")
    for name, earlier in earlier_rounds(evidence):
        before = asked_answers(earlier, held_out, f"the pools of the {name} round")
        for pool in POOLS:
            mine = [one for one in now if one.answer.prompt.pool == pool]
            theirs = [one for one in before if one.answer.prompt.pool == pool]
            if mine and theirs:
                fought, excluded = duels(mine, theirs, held_out)
                rows += _rows(evidence, pool, name, fought, excluded)
    return rows


def _rows(evidence: Evidence, pool: str, name: str, fought: Sequence[Duel], excluded: int) -> list[Measurement]:
    by_prompt: dict[str, list[Duel]] = defaultdict(list)
    for duel in fought:
        by_prompt[duel.prompt].append(duel)
    pairs = {
        prompt: (
            np.asarray([duel.held_out for duel in members], dtype=np.float64),
            np.asarray([duel.characters for duel in members], dtype=np.float64),
        )
        for prompt, members in by_prompt.items()
    }
    raw = clustered_share([duel.held_out for duel in fought], [duel.prompt for duel in fought])
    controlled = length_controlled(pairs) if pairs else raw
    known = [(duel.own - duel.held_out, duel.prompt) for duel in fought if duel.own is not None]
    gap = clustered_mean([value for value, _ in known], [prompt for _, prompt in known])
    sides = [(duel.own, duel.held_out, duel.prompt) for duel in fought if duel.own not in (None, 0.5)]
    decided = [(float(own != held), prompt) for own, held, prompt in sides if held != 0.5]
    disagreement = clustered_share([value for value, _ in decided], [prompt for _, prompt in decided])
    missing, ties = excluded + len(fought) - len(known), excluded + len(fought) - len(decided)
    return [
        row(evidence, f"{RATE}_{name}", raw, pool=pool, excluded=excluded, better="higher"),
        row(evidence, f"{RATE}_lc_minimal_{name}", controlled, pool=pool, excluded=excluded, better="higher"),
        row(evidence, f"self_minus_held_out_win_rate_{name}", gap, pool=pool, excluded=missing, better="lower"),
        row(evidence, f"judge_disagreement_{name}", disagreement, pool=pool, excluded=ties, better="lower"),
    ]


def _flips(evidence: Evidence, comparisons: Sequence[Comparison]) -> Measurement:
    rate, excluded = flip_share(comparisons)
    return row(evidence, "held_out_flip_rate", rate, pool="report", excluded=excluded, better="lower")
