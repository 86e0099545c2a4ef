"""Do the samples agree, and is what they agree on right? What votes as a reward do (TTRL 2504.16084, ScPO 2411.04109).

    majority_share    share of a prompt's samples that give its most frequent answer, over prompts
    majority_correct  share of prompts whose most frequent final answer is right, the mean over those of equal votes
                      (oracle)
    majority_excess   share of the samples that end in that answer, less whether it is right (oracle): above 0 they
                      agree more than they are right

Where the majority is the reward, agreement rises by what is trained, whether it is right or not. Truth rises with it as
far as the majority was right before; then it stands still or falls while agreement goes on to 1, which is the collapse
(2505.21444; that every such reward ends so is 2603.08660's claim, unverified here).

The first number needs no truth: an answer is the final one of final_answer.py, or the whole text where that finds none.
The others read the final answer as the verifier does, which is what votes count. A sample without an answer agrees
with none and counts as a sample. Excluded: answers to prompts with fewer than two, and what a verifier leaves open.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import SHARE, About, Metric, up
from selfreward.measuring.metrics.answers import Answer, evaluated, row
from selfreward.measuring.metrics.families import DIVERSITY
from selfreward.measuring.stats.clustered import clustered_mean
from selfreward.records import Measurement
from selfreward.tasks.verifiers.final_answer import final_answer
from selfreward.tasks.verifiers.protocol import Truth, Verifier

ABOUT = About(
    "majority",
    (
        Metric("majority_share", "samples that agree", DIVERSITY, scale=SHARE, planted=(up("collapse"),)),
        Metric("majority_correct", "most frequent answer right", DIVERSITY, scale=SHARE, truth="oracle"),
        Metric("majority_excess", "agreement above truth", DIVERSITY, scale=(-1.0, 1.0), truth="oracle"),
    ),
    after="answer_entropy",
)


def measure(evidence: Evidence) -> list[Measurement]:
    rows = []
    for pool, answers in evaluated(evidence):
        groups: defaultdict[str, list[Answer]] = defaultdict(list)
        for answer in answers:
            groups[answer.prompt.id].append(answer)
        said = {prompt: [_said(one) for one in members] for prompt, members in groups.items()}
        shares = {prompt: agreement(texts) for prompt, texts in said.items() if sum(map(bool, texts)) > 1}
        excluded = len(answers) - sum(len(said[prompt]) for prompt in shares)
        estimate = clustered_mean(list(shares.values()), list(shares))
        rows.append(row(evidence, "majority_share", estimate, pool=pool, excluded=excluded))
        if evidence.verifier is not None:
            rows += _true(evidence, evidence.verifier, pool, groups)
    return rows


def _said(answer: Answer) -> str:
    return final_answer(answer.response.text) or answer.response.text.strip()


def _true(
    evidence: Evidence, verifier: Verifier, pool: str, groups: Mapping[str, Sequence[Answer]]
) -> list[Measurement]:
    """How often the majority is right, and by how much more it agrees."""
    known: dict[str, tuple[float, float]] = {}
    for prompt, members in groups.items():
        truths = [verifier.check(one.prompt, one.response.text) for one in members]
        read = [(truth.answer, truth) for truth in truths]
        if sum(bool(final) for final, _ in read) > 1 and (right := majority_right(read)) is not None:
            known[prompt] = agreement([final for final, _ in read]), right
    excluded = sum(len(members) for prompt, members in groups.items() if prompt not in known)
    correct = clustered_mean([right for _, right in known.values()], list(known))
    excess = clustered_mean([share - right for share, right in known.values()], list(known))
    return [
        row(evidence, "majority_correct", correct, pool=pool, excluded=excluded, better="higher"),
        row(evidence, "majority_excess", excess, pool=pool, excluded=excluded, better="lower"),
    ]


def agreement(finals: Sequence[str]) -> float:
    """The share of the most frequent final answer among all samples of a prompt; "" is none."""
    return max(Counter(final for final in finals if final).values(), default=0) / len(finals)


def majority_right(read: Sequence[tuple[str, Truth]]) -> float | None:
    """Whether the most frequent final answer is right, the mean over equals; None where the verifier leaves it open."""
    votes = Counter(final for final, _ in read if final)
    most = max(votes.values())
    values = []
    for final in (final for final, count in votes.items() if count == most):
        truths = [truth for said, truth in read if said == final and not truth.open]
        if not truths:
            return None
        values.append(sum(truth.correct for truth in truths) / len(truths))
    return sum(values) / len(values)
