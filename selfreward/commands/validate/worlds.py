"""Evidence of a round in which nothing happened, and of round 0: both are drawn from one policy and one judge.

So changes are 0, two samples cannot be told apart, win rates are .5. A dial (dials.py) changes this round's answers or
scores before the rows are made, and nothing else.
"""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from selfreward.commands.validate.population import SCORES, Population, Said, judgments_of, pool_rows
from selfreward.measuring.evidence import AskedValue, CohortRows, Evidence, HeldOut, PoolRows, ProbeReply
from selfreward.records import Judgment, Labelled, Likelihood
from selfreward.tasks.verifiers.sandbox import SandboxVerifier

Edit = Callable[[list[Said], random.Random], list[Said]]
Rescore = Callable[[Labelled, Sequence[float | None], random.Random], Sequence[float | None]]
QUESTIONS = 60
RIGHT = 0.6
PROBES: tuple[tuple[Literal["padded", "claims", "feedback"], str], ...] = (
    ("padded", "plain"),
    ("padded", "padded"),
    ("claims", "echo"),
    ("claims", "other"),
    ("feedback", "like"),
    ("feedback", "dislike"),
    ("feedback", "neutral"),
)


@dataclass(frozen=True)
class Planted:
    """`edit` changes this round's answers or their scores, `rescore` the scores of a frozen answer.

    `flips`: the share more of right answers that are given up after a challenge; `padding`: the share of padded copies
    that get a point more.
    """

    edit: Edit | None = None
    rescore: Rescore | None = None
    flips: float = 0.0
    padding: float = 0.0


NOTHING_PLANTED = Planted()
FROZEN = (
    "judge",
    "judge_agreement",
    "judge_stability",
    "judge_anchor",
    "judge_padding",
    "judge_sycophancy",
    "self_preference",
)
"""The families that read the frozen answers."""


@dataclass(frozen=True)
class Rounds:
    """Evidence of round 0 and of a later one."""

    initial: Evidence
    now: Evidence


def nothing(rows: PoolRows, number: int) -> Evidence:
    return Evidence(
        round=number,
        policy=f"round {number}",
        pools=rows,
        initial=rows,
        frozen=(),
        frozen_judgments=(),
        likelihoods={},
        round_prompts=(),
        round_responses=(),
        round_judgments=(),
        round_meta=(),
        round_pairs=(),
        round_drops=(),
        training={},
        verifier=SandboxVerifier(),
    )


def same_policy(
    population: Population,
    prompts: int,
    generator: random.Random,
    planted: Planted = NOTHING_PLANTED,
    families: Collection[str] | None = None,
) -> Rounds:
    """Everything is drawn from round 0 of the population; what is planted is in the later round alone.

    The held-out judge is not touched: where an edit changes scores only, it scores the answers as before. `families`
    names those that will be measured, so that what only others read is not made.
    """

    def needed(*readers: str) -> bool:
        return families is None or any(reader in families for reader in readers)

    asked = population.some_prompts(prompts, generator)
    before, fair = (population.draw(0, asked, generator) for _ in range(2))
    after = fair if planted.edit is None else planted.edit(list(fair), generator)
    if [one.text for one in after] != [one.text for one in fair]:
        fair = after
    initial, now = pool_rows(before, generator, "initial"), pool_rows(after, generator, "now")
    start = replace(nothing(initial, 0), asked=_asked(generator))
    later = replace(
        nothing(now, 1),
        initial=initial,
        history=(initial,),
        asked=_asked(generator, planted.flips),
        asked_initial=start.asked,
        cohorts=(CohortRows("letters", now, initial, SandboxVerifier(), True),),
    )
    if needed("drift", "text_drift"):
        texts = likelihoods(initial, before)
        later = replace(later, likelihoods=likelihoods(now, after), text_likelihoods=texts)
    if needed("judge_anchor", "self_preference"):
        later = replace(later, initial_rejudged=again(initial, before, generator))
    if needed("held_out", "judge_anchor"):
        later = replace(later, held_out=another_judge((now, initial), (fair, before), generator))
    if needed(*FROZEN):
        frozen = population.some_frozen(prompts, generator)
        labelled = [frozen_rejudged(population, frozen, generator, None) for _ in range(2)]
        labelled.append(frozen_rejudged(population, frozen, generator, planted.rescore))
        start = replace(start, frozen=frozen, frozen_judgments=labelled[0])
        later = replace(
            later,
            frozen=frozen,
            frozen_judgments=labelled[2],
            frozen_judgments_previous=labelled[1],
            frozen_judgments_initial=labelled[0],
        )
        if needed("judge_padding", "judge_sycophancy"):
            later = replace(later, **_probes(population, frozen, generator, planted.padding))
    return Rounds(start, later)


def frozen_rejudged(
    population: Population, frozen: Sequence[Labelled], generator: random.Random, rescore: Rescore | None
) -> list[Judgment]:
    rows = []
    for one in frozen:
        scores: Sequence[float | None] = generator.choices(population.frozen_scores[0][one.id], k=SCORES)
        rows += judgments_of(one.response, scores if rescore is None else rescore(one, scores, generator))
    return rows


def likelihoods(rows: PoolRows, said: Sequence[Said]) -> dict[str, list[Likelihood]]:
    """Under this round's policy, and lower by the answer's ratio under the two earlier ones."""
    found: dict[str, list[Likelihood]] = {"policy": [], "previous": [], "initial": []}
    for response, one in zip(rows.responses, said, strict=True):
        ratio = one.ratio or (0.0,) * len(one.token_ids)
        for name, side in found.items():
            logprobs = tuple(-1.0 - (0.0 if name == "policy" else shift) for shift in ratio)
            side.append(Likelihood(f"{name}/{response.id}", response.id, name, logprobs))
    return found


def again(rows: PoolRows, said: Sequence[Said], generator: random.Random) -> list[Judgment]:
    """New scores of the same answers, each distinct text once."""
    judged = {row.response_id for row in rows.judgments}
    return [
        judgment
        for response, one in zip(rows.responses, said, strict=True)
        if response.id in judged
        for judgment in judgments_of(response, generator.choices(one.scores, k=SCORES), "/again")
    ]


def another_judge(rounds: Sequence[PoolRows], drawn: Sequence[Sequence[Said]], generator: random.Random) -> HeldOut:
    """Another judge, that happens to be the same: its scores are drawn anew."""
    judgments = [row for rows, said in zip(rounds, drawn, strict=True) for row in again(rows, said, generator)]
    asked = [response.id for rows in rounds for response in rows.responses]
    return HeldOut(trains=False, asked=asked, judgments=judgments)


def _asked(generator: random.Random, flips: float = 0.0) -> list[AskedValue]:
    """What sycophancy probes found: right or wrong after a challenge and in the control arm, equally often."""
    rows = []
    for number in range(QUESTIONS):
        challenged = float(generator.random() < 1 - RIGHT + flips)
        restated = float(generator.random() < 1 - RIGHT)
        found: Mapping[str, tuple[float, bool]] = {
            "are_you_sure_flips": (challenged, True),
            "are_you_sure_excess_flips": (challenged - restated, False),
        }
        for metric, (value, share) in found.items():
            rows.append(AskedValue(f"{metric}/{number}", metric, f"q{number}", f"q{number}", value, share, "lower"))
    return rows


def _probes(
    population: Population, frozen: Sequence[Labelled], generator: random.Random, padding: float
) -> dict[str, Any]:
    """One answer of each frozen prompt in several forms, which all get scores of the one.

    A share `padding` of the padded ones gets a point more.
    """
    first = {row.prompt.id: row for row in reversed(frozen)}
    probes: list[ProbeReply] = []
    judgments: list[Judgment] = []
    for name, row in first.items():
        for question, arm in PROBES:
            response = replace(row.response, id=f"{row.response.id}/{question}/{arm}")
            scores = generator.choices(population.frozen_scores[0][row.id], k=SCORES)
            if arm == "padded" and generator.random() < padding:
                scores = [None if score is None else score + 1 for score in scores]
            probes.append(ProbeReply(question, name, arm, row.prompt, response))
            judgments += judgments_of(response, scores)
    return {"probes": probes, "probe_judgments": judgments}
