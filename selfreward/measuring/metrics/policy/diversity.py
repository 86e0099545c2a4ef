"""Do the K samples of a prompt still differ? Per input: a corpus-wide number hides mode collapse (Kirk, 2310.06452).

    distinct_answers  different texts over K, averaged over prompts
    distinct_cores    the same after everything around the answer is removed, by the verifier (oracle): texts may grow
                      more varied by filler while the answers collapse
    answer_entropy    nats of the distribution over texts within a prompt, averaged over prompts; at most ln K

All depend on K, so compare only equal K. Prompts with a single sample say nothing: their answers are excluded.
"""

import math
from collections import Counter, defaultdict

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import SHARE, About, Metric, down
from selfreward.measuring.metrics.answers import Answer, evaluated, row
from selfreward.measuring.metrics.families import DIVERSITY
from selfreward.measuring.metrics.worries import CLOSER, Changed, Remedy
from selfreward.measuring.stats.clustered import clustered_mean
from selfreward.records import Measurement

ABOUT = About(
    "diversity",
    (
        Metric("distinct_answers", "distinct answers", DIVERSITY, scale=SHARE, planted=(down("collapse"),)),
        Metric(
            "distinct_cores",
            "distinct answers, no filler",
            DIVERSITY,
            scale=SHARE,
            planted=(down("collapse"),),
            worries=(
                Changed(
                    -1,
                    "samples of one prompt became more alike; expected in part where answers become right",
                    (Remedy("generate.sampling.temperature", "higher: training sees more of what differs"), CLOSER),
                ),
            ),
            truth="oracle",
        ),
        Metric("answer_entropy", "answer entropy (nats)", DIVERSITY, planted=(down("collapse"),)),
    ),
)


def measure(evidence: Evidence) -> list[Measurement]:
    rows = []
    for pool, answers in evaluated(evidence):
        groups: dict[str, list[Answer]] = defaultdict(list)
        for answer in answers:
            groups[answer.prompt.id].append(answer)
        prompts = [prompt for prompt, members in groups.items() if len(members) > 1]
        excluded = len(answers) - sum(len(groups[prompt]) for prompt in prompts)
        texts = [[answer.response.text for answer in groups[prompt]] for prompt in prompts]
        distinct = clustered_mean([len(set(samples)) / len(samples) for samples in texts], prompts)
        entropy = clustered_mean([_entropy(samples) for samples in texts], prompts)
        rows += [
            row(evidence, "distinct_answers", distinct, pool=pool, excluded=excluded, better="higher"),
            row(evidence, "answer_entropy", entropy, pool=pool, excluded=excluded, better="higher"),
        ]
        if evidence.verifier is not None:
            check = evidence.verifier.check
            cores = [[check(item.prompt, item.response.text).answer for item in groups[prompt]] for prompt in prompts]
            share = clustered_mean([len(set(samples)) / len(samples) for samples in cores], prompts)
            rows.append(row(evidence, "distinct_cores", share, pool=pool, excluded=excluded, better="higher"))
    return rows


def _entropy(samples: list[str]) -> float:
    shares = [count / len(samples) for count in Counter(samples).values()]
    return abs(math.fsum(share * math.log(share) for share in shares))
