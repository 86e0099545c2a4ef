"""What was trained on? The round's pairs and what was dropped (pool "train"); nothing at round 0.

In a round of a policy gradient, which has samples instead, only `prompts_dropped` (`policy_gradient.py` has the rest).

    pairs_kept, judgment_pairs_kept        counts; `excluded` is the number dropped, `n` the round's prompts
    step_pairs_kept                        likewise, of steps of answers
    pairs_dropped, judgment_pairs_dropped  counts per reason (the cohort); likewise `prompts_dropped`, and of critiques
                                           and revisions `revision_dropped`
    chosen_logprob_shift                   mean change in training of log p(chosen), nats per answer; `n` counts pairs
    rejected_logprob_shift                 likewise; both falling together is likelihood displacement
    pair_correct                           share of answer pairs with the truly better one chosen, ties half (oracle)
    chosen_passes                          share of answer pairs whose chosen answer is correct by the verifier (oracle)
    internal_agreement                     share of the judge's preferences with which the policy's implicit reward
                                           agrees, of those that no other filter dropped; where this one drops any
    chosen_minus_rejected_tokens           mean difference in sampled tokens of answer pairs

Counts and the trainer's own means have no interval. `pair_correct` credited P(chosen is better) = the pair's label, so
telling a pair the other way round changes nothing. Pairs about answers that this round did not sample, or
that the verifier leaves open, are excluded.
"""

from collections import Counter
from collections.abc import Sequence

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric
from selfreward.measuring.metrics.answers import OWN, row
from selfreward.measuring.metrics.families import PAIRS
from selfreward.measuring.stats.clustered import Estimate, clustered_mean, clustered_share
from selfreward.recipe.train import Learns
from selfreward.records import Measurement, Pair
from selfreward.tasks.verifiers.protocol import Verifier

_SHOWN: tuple[Learns, ...] = ("pairs", "chosen", "demonstrations")
_NOT_SAMPLES: tuple[Learns, ...] = (*_SHOWN, "nothing")

ABOUT = About(
    "pairs",
    pools=("train",),
    metrics=(
        Metric("pairs_kept", "answer pairs kept", PAIRS, learns=_NOT_SAMPLES),
        Metric("judgment_pairs_kept", "judgment pairs kept", PAIRS),
        Metric("step_pairs_kept", "step pairs kept", PAIRS, learns=("pairs",)),
        Metric("pair_correct", "pairs right by truth", PAIRS, guessed=0.5, truth="oracle"),
        Metric("chosen_passes", "chosen answers that the verifier accepts", PAIRS, truth="oracle"),
        Metric("internal_agreement", "judge and implicit reward agree", PAIRS),
        Metric("chosen_logprob_shift", "shift of log p(chosen)", PAIRS, learns=_SHOWN),
        Metric("rejected_logprob_shift", "shift of log p(rejected)", PAIRS, learns=("pairs",)),
        Metric(
            "chosen_minus_rejected_tokens", "chosen minus rejected, tokens", PAIRS, guessed=0.0, learns=_NOT_SAMPLES
        ),
        # Counts by reason, which have a table of their own.
        *(
            Metric(f"{kind}_dropped", plotted=False, by_cohort="only")
            for kind in ("pairs", "judgment_pairs", "prompts", "revision")
        ),
    ),
)


def measure(evidence: Evidence) -> list[Measurement]:
    if not evidence.round_prompts:
        return []
    answers = sorted((pair for pair in evidence.round_pairs if pair.kind == "answer"), key=lambda pair: pair.id)
    rows = [*_counts(evidence), *_shifts(evidence)]
    disagreed = [drop.subject for drop in evidence.round_drops if drop.reason == "readings disagree"]
    if disagreed:
        # Mixed-in pairs and what a verifier decided were asked of nobody.
        agreed = [pair.prompt_id for pair in answers if pair.source.startswith("self")]
        shares = [*(1.0 for _ in agreed), *(0.0 for _ in disagreed)]
        estimate = clustered_share(shares, [*agreed, *disagreed])
        rows.append(row(evidence, "internal_agreement", estimate, pool=OWN))
    if answers:
        prompts = [pair.prompt_id for pair in answers]
        gaps = [len(pair.chosen_token_ids) - len(pair.rejected_token_ids) for pair in answers]
        rows.append(row(evidence, "chosen_minus_rejected_tokens", clustered_mean(gaps, prompts), pool=OWN))
        if evidence.verifier is not None:
            rows += [_correct(evidence, answers, evidence.verifier), _passes(evidence, answers, evidence.verifier)]
    return rows


def _counts(evidence: Evidence) -> list[Measurement]:
    prompts = len(evidence.round_prompts)
    weighed = bool(evidence.round_rewards)
    kept = Counter(str(pair.kind) for pair in evidence.round_pairs)
    of_pairs = [drop for drop in evidence.round_drops if drop.stage != "samples"]
    drops = [("prompts" if drop.stage == "prompts" else drop.kind, drop.reason) for drop in of_pairs]
    dropped = Counter(kind for kind, _ in drops)
    metrics = {"answer": "pairs", "judgment": "judgment_pairs", "step": "step_pairs"}
    rows = []
    for kind, name in metrics.items():
        if (kind == "answer" and not weighed) or kept[kind] or dropped[kind] or evidence.round_meta:
            count = Estimate(float(kept[kind]), None, None, prompts)
            rows.append(row(evidence, f"{name}_kept", count, pool=OWN, excluded=dropped[kind]))
    for (kind, reason), number in sorted(Counter(drops).items()):
        count = Estimate(float(number), None, None, prompts)
        rows.append(row(evidence, f"{metrics.get(kind, kind)}_dropped", count, pool=OWN, cohort=reason))
    return rows


def _shifts(evidence: Evidence) -> list[Measurement]:
    pairs = len(evidence.round_pairs)
    return [
        row(evidence, name, Estimate(evidence.training[name], None, None, pairs), pool=OWN)
        for name in ("chosen_logprob_shift", "rejected_logprob_shift")
        if name in evidence.training
    ]


def _correct(evidence: Evidence, pairs: Sequence[Pair], verifier: Verifier) -> Measurement:
    prompts = {prompt.id: prompt for prompt in evidence.round_prompts}
    texts = {answer.id: answer.text for answer in (*evidence.round_responses, *evidence.round_revised)}
    known = [pair for pair in pairs if pair.chosen_id in texts and pair.rejected_id in texts]
    credited, decided = [], []
    for pair in known:
        chosen = verifier.check(prompts[pair.prompt_id], texts[pair.chosen_id])
        rejected = verifier.check(prompts[pair.prompt_id], texts[pair.rejected_id])
        if not chosen.open and not rejected.open:
            credited.append(label_credit(pair.label, chosen.quality - rejected.quality))
            decided.append(pair.prompt_id)
    estimate = clustered_share(credited, decided)
    excluded = len(pairs) - len(decided)
    return row(evidence, "pair_correct", estimate, pool=OWN, excluded=excluded, better="higher")


def _passes(evidence: Evidence, pairs: Sequence[Pair], verifier: Verifier) -> Measurement:
    prompts = {prompt.id: prompt for prompt in evidence.round_prompts}
    texts = {answer.id: answer.text for answer in (*evidence.round_responses, *evidence.round_revised)}
    known = [pair for pair in pairs if pair.chosen_id in texts]
    truths = [(verifier.check(prompts[pair.prompt_id], texts[pair.chosen_id]), pair.prompt_id) for pair in known]
    decided = [(float(truth.correct), prompt) for truth, prompt in truths if not truth.open]
    estimate = clustered_share([passes for passes, _ in decided], [prompt for _, prompt in decided])
    excluded = len(pairs) - len(decided)
    return row(evidence, "chosen_passes", estimate, pool=OWN, excluded=excluded, better="higher")


def label_credit(label: float, difference: float) -> float:
    """The part of a pair's label that lies on the truly better side, half where both sides are equally good."""
    if difference == 0:
        return 0.5
    return label if difference > 0 else 1.0 - label
