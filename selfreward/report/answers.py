"""One prompt's answers in one round, with what became of them, and per-prompt values for paired comparisons."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from selfreward.measuring.evidence import PoolRows
from selfreward.measuring.metrics.answers import Answer, join
from selfreward.measuring.stats.clustered import cluster_means
from selfreward.records import Drop, Pair, Prompt, Sample
from selfreward.tasks.verifiers.protocol import Verifier


@dataclass(frozen=True, slots=True)
class PromptRound:
    """All answers to one prompt in one round.

    `fate` maps a response id to chosen, rejected or its advantage; `notes` says in words what became of the prompt
    and its answers. Both are empty for a pool prompt, which is never trained on.
    """

    prompt: Prompt
    round: int
    answers: tuple[Answer, ...]
    fate: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def by_prompt(
    rows: PoolRows,
    where: str,
    *,
    number: int,
    pairs: Sequence[Pair] = (),
    samples: Sequence[Sample] = (),
    drops: Sequence[Drop] = (),
) -> dict[str, PromptRound]:
    """Prompt id → its round, ordered by prompt id; answers are ordered by sample."""
    grouped: dict[str, list[Answer]] = defaultdict(list)
    for answer in join(rows, where):
        grouped[answer.prompt.id].append(answer)
    fate = {one.response_id: f"advantage {one.advantage:+.2f}" for one in samples}
    kinds: dict[str, list[str]] = defaultdict(list)
    for pair in pairs:
        kinds[pair.prompt_id].append(pair.kind + ("" if pair.label == 1 else f", label {pair.label:.2f}"))
        if pair.kind == "answer":
            fate |= {pair.chosen_id: "chosen", pair.rejected_id: "rejected"}
    reasons: dict[str, list[str]] = defaultdict(list)
    for drop in drops:
        detail = f" ({drop.detail})" if drop.detail else ""
        nothing = "no sample" if drop.stage == "samples" else f"no {drop.kind} pair"
        reasons[drop.subject].append(f"{nothing}: {drop.reason}{detail}")
    found = {}
    for prompt_id, answers in grouped.items():
        ids = [answer.response.id for answer in answers]
        notes = [f"became a pair ({kind})" for kind in kinds[prompt_id]]
        notes += [note for subject in (prompt_id, *ids) for note in reasons[subject]]
        found[prompt_id] = PromptRound(
            prompt=answers[0].prompt,
            round=number,
            answers=tuple(answers),
            fate={name: fate[name] for name in ids if name in fate},
            notes=tuple(notes),
        )
    return found


def per_prompt(rows: Iterable[PromptRound], verifier: Verifier | None) -> dict[str, dict[str, float]]:
    """Metric → prompt id → mean over the prompt's answers, defined as in `metrics`.

    A metric that cannot be known is absent; so is, from the judge's metrics, a prompt without a readable verdict.
    """
    values: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for row in rows:
        name, answers = row.prompt.id, row.answers
        values["distinct_answers"].append((name, len({answer.response.text for answer in answers}) / len(answers)))
        truths = [verifier.check(row.prompt, answer.response.text) for answer in answers] if verifier else []
        if truths:
            values["distinct_cores"].append((name, len({truth.answer for truth in truths}) / len(truths)))
        for answer in answers:
            values["length_tokens"].append((name, len(answer.response.token_ids)))
            if answer.score is not None:
                values["judge_mean"].append((name, answer.score))
        for answer, truth in zip(answers, truths, strict=False):
            if truth.open:
                continue
            values["true_accuracy"].append((name, float(truth.correct)))
            values["true_quality"].append((name, truth.quality))
            if answer.score is not None:
                values["judge_minus_truth"].append((name, answer.score - truth.quality))
            if truth.wrong_claim and truth.echoes_claim is not None:
                values["claim_echo"].append((name, float(truth.echoes_claim)))
    return {
        metric: cluster_means([v for _, v in cells], [name for name, _ in cells]) for metric, cells in values.items()
    }
