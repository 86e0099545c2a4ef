"""Could more samples solve it? Unbiased pass@k where a verifier exists (oracle); a fall at large k is lost diversity.

    pass_at_k   1 - C(n - c, k) / C(n, k) per prompt with n samples of which c are right, averaged over prompts
                (Chen et al. 2107.03374); k = 1, 2, 4, ... below the smallest n, and that n itself

Answers that the verifier left open are no samples: they are excluded, and with them prompts that have none left. pass@1
rising while pass@n falls is a policy that sharpens what it could already do.
"""

import math
from collections import defaultdict

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric, down
from selfreward.measuring.metrics.answers import evaluated, row
from selfreward.measuring.metrics.families import COVERAGE
from selfreward.measuring.stats.clustered import clustered_mean, clustered_share
from selfreward.records import Measurement

ABOUT = About(
    "coverage",
    tuple(
        Metric(f"pass_at_{k}", f"pass@{k}", COVERAGE, truth="oracle", planted=(down("collapse"),) if k == 6 else ())
        for k in (1, 2, 3, 4, 6)
    ),
)


def measure(evidence: Evidence) -> list[Measurement]:
    verifier = evidence.verifier
    if verifier is None:
        return []
    rows = []
    for pool, answers in evaluated(evidence):
        right: dict[str, list[bool]] = defaultdict(list)
        for answer in answers:
            truth = verifier.check(answer.prompt, answer.response.text)
            if not truth.open:
                right[answer.prompt.id].append(truth.correct)
        if not right:
            continue
        excluded = len(answers) - sum(map(len, right.values()))
        most = min(map(len, right.values()))
        for k in sorted({2**power for power in range(most.bit_length()) if 2**power < most} | {most}):
            values = [pass_at(k, len(found), sum(found)) for found in right.values()]
            whole = all(value in (0.0, 1.0) for value in values)
            estimate = (clustered_share if whole else clustered_mean)(values, list(right))
            rows.append(row(evidence, f"pass_at_{k}", estimate, pool=pool, excluded=excluded, better="higher"))
    return rows


def pass_at(k: int, samples: int, right: int) -> float:
    """The chance that k of the samples, drawn without putting back, hold a right one."""
    return 1.0 - math.comb(samples - right, k) / math.comb(samples, k)
