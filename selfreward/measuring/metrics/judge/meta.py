"""Can the meta-judge be trusted? Its verdicts about the round's judgments (pool "train"); nothing without a meta-judge.

    meta_agreement              share of battles whose two orders give the same outcome, of those with both readable
    meta_first_rate             share of decided verdicts for the first slot; .5 is unbiased
    meta_tie_rate               share of readable verdicts that name no winner
    meta_unreadable_rate        share of verdicts that could not be read
    meta_prefers_higher         share of decided verdicts for the judgment with the higher score, of those that differ
    meta_accuracy               share of readable verdicts that name the truly better judgment (oracle); ties are wrong
    judgment_pair_correct       share of judgment pairs whose chosen judgment is truly better, equals half (oracle)

`excluded` counts what the share leaves out, whatever the reason. Judgments of equal quality have no better one and are
excluded from the accuracy. Agreement here leaves unreadable battles out; the threshold `meta.min_agreement` counts
them as disagreeing. Judgment pairs stand for this round's judgments, so others are excluded.
"""

from collections.abc import Sequence
from typing import Literal

from selfreward.errors import DataError
from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric, down, up
from selfreward.measuring.metrics.answers import OWN, row
from selfreward.measuring.metrics.families import META
from selfreward.measuring.metrics.policy.pairs import label_credit
from selfreward.measuring.metrics.worries import Beyond, Outside, Remedy
from selfreward.measuring.stats.clustered import NOTHING, Estimate, clustered_share
from selfreward.records import Judgment, Measurement, MetaJudgment
from selfreward.tasks.verifiers.protocol import Verifier

ABOUT = About(
    "meta",
    pools=("train",),
    needs="meta.enabled",
    metrics=(
        Metric(
            "meta_agreement",
            "meta-judge, both orders agree",
            META,
            guessed=0.5,
            planted=(down("slot-driven judge", "train"),),
            worries=(
                Beyond(
                    "train",
                    0.6,
                    False,
                    "the meta-judge's two orders often disagree",
                    (Remedy("meta.min_agreement", "higher: such verdicts are not trained on"),),
                ),
            ),
        ),
        Metric(
            "meta_first_rate",
            "meta-judge, first slot wins",
            META,
            guessed=0.5,
            planted=(up("slot-driven judge", "train"),),
            worries=(
                Outside(
                    0.4,
                    0.6,
                    "meta-judge",
                    "it prefers a slot: the first one wins",
                    (Remedy("meta.battles", "agreed: only what holds in both orders", "agreed"),),
                ),
            ),
        ),
        Metric(
            "meta_prefers_higher",
            "meta-judge prefers higher score",
            META,
            guessed=0.5,
            worries=(
                Beyond(
                    "train",
                    0.9,
                    True,
                    "the meta-judge only follows the scores",
                    (Remedy("meta.enabled", "false: it adds nothing to the scores", "False"),),
                ),
            ),
        ),
        Metric("meta_tie_rate", "meta-judge, ties", META),
        Metric("meta_unreadable_rate", "meta-judge, unreadable", META),
        Metric("meta_accuracy", "meta-judge accuracy", META, truth="oracle"),
        Metric("judgment_pair_correct", "judgment pairs right by truth", META, guessed=0.5, truth="oracle"),
    ),
)

BETTER: dict[str, Literal["higher", "lower"]] = {
    "meta_agreement": "higher",
    "meta_tie_rate": "lower",
    "meta_unreadable_rate": "lower",
}


def measure(evidence: Evidence) -> list[Measurement]:
    metas = sorted(evidence.round_meta, key=lambda meta: meta.id)
    judgments = {judgment.id: judgment for judgment in evidence.round_judgments}
    for meta in metas:
        if missing := [name for name in (meta.first_id, meta.second_id) if name not in judgments]:
            raise DataError(
                f"meta-judgment {meta.id} of round {evidence.round}: its judgment {missing[0]} is not among the "
                f"round's {len(judgments)} judgments; the files are not of one run"
            )
    rows = []
    if metas:
        rows += _verdicts(evidence, metas, judgments)
    if evidence.verifier is not None:
        truth = _Quality(evidence, evidence.verifier)
        if metas:
            rows.append(_accuracy(evidence, metas, judgments, truth))
        if any(pair.kind == "judgment" for pair in evidence.round_pairs):
            rows.append(_pairs(evidence, judgments, truth))
    return rows


class _Quality:
    """The true quality of a judgment of this round."""

    def __init__(self, evidence: Evidence, verifier: Verifier) -> None:
        self.verifier = verifier
        self.prompts = {prompt.id: prompt for prompt in evidence.round_prompts}
        self.texts = {response.id: response.text for response in evidence.round_responses}

    def __call__(self, judgment: Judgment) -> float:
        prompt, answer = self.prompts[judgment.prompt_id], self.texts[judgment.response_id]
        return self.verifier.judgment_quality(prompt, answer, judgment.text)


def _share(rows: Sequence[tuple[bool, str]]) -> Estimate:
    return clustered_share([float(hit) for hit, _ in rows], [prompt for _, prompt in rows]) if rows else NOTHING


def _verdicts(evidence: Evidence, metas: Sequence[MetaJudgment], judgments: dict[str, Judgment]) -> list[Measurement]:
    readable = [meta for meta in metas if meta.winner is not None]
    decided = [meta for meta in readable if meta.winner != "tie"]
    higher = []
    for meta in decided:
        first, second = judgments[meta.first_id].score, judgments[meta.second_id].score
        if first is not None and second is not None and first != second:
            higher.append(((first > second) == (meta.winner == "first"), meta.prompt_id))
    agreement, asked = _agreement(metas)
    shares = {
        "meta_agreement": (_share(agreement), asked - len(agreement)),
        "meta_first_rate": (_share([(m.winner == "first", m.prompt_id) for m in decided]), len(metas) - len(decided)),
        "meta_tie_rate": (_share([(m.winner == "tie", m.prompt_id) for m in readable]), len(metas) - len(readable)),
        "meta_unreadable_rate": (_share([(m.winner is None, m.prompt_id) for m in metas]), 0),
        "meta_prefers_higher": (_share(higher), len(metas) - len(higher)),
    }
    return [
        row(evidence, metric, estimate, pool=OWN, excluded=excluded, better=BETTER.get(metric, ""))
        for metric, (estimate, excluded) in shares.items()
    ]


def _agreement(metas: Sequence[MetaJudgment]) -> tuple[list[tuple[bool, str]], int]:
    """For each battle read in both orders whether they agree, and the number of battles asked in both orders."""
    named = {
        (meta.first_id, meta.second_id): {"first": meta.first_id, "second": meta.second_id}.get(
            meta.winner or "", meta.winner
        )
        for meta in metas
    }
    battles = [(m, (m.second_id, m.first_id)) for m in metas if m.first_id < m.second_id]
    both = [(named[m.first_id, m.second_id], named[turned], m.prompt_id) for m, turned in battles if turned in named]
    return [(one == other, prompt) for one, other, prompt in both if one is not None and other is not None], len(both)


def _accuracy(
    evidence: Evidence, metas: Sequence[MetaJudgment], judgments: dict[str, Judgment], quality: _Quality
) -> Measurement:
    right = []
    for meta in metas:
        difference = quality(judgments[meta.first_id]) - quality(judgments[meta.second_id])
        if meta.winner is not None and difference:
            right.append((meta.winner == ("first" if difference > 0 else "second"), meta.prompt_id))
    excluded = len(metas) - len(right)
    return row(evidence, "meta_accuracy", _share(right), pool=OWN, excluded=excluded, better="higher")


def _pairs(evidence: Evidence, judgments: dict[str, Judgment], quality: _Quality) -> Measurement:
    pairs = sorted((pair for pair in evidence.round_pairs if pair.kind == "judgment"), key=lambda pair: pair.id)
    known = [pair for pair in pairs if pair.chosen_id in judgments and pair.rejected_id in judgments]
    credited = [
        label_credit(pair.label, quality(judgments[pair.chosen_id]) - quality(judgments[pair.rejected_id]))
        for pair in known
    ]
    estimate = clustered_share(credited, [pair.prompt_id for pair in known])
    excluded = len(pairs) - len(known)
    return row(evidence, "judgment_pair_correct", estimate, pool=OWN, excluded=excluded, better="higher")
