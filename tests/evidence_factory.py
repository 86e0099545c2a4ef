"""Evidence with a planted truth: prompts of the sandbox, and replies whose true quality is chosen by hand."""

import dataclasses
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice, permutations

from selfreward.measuring.evidence import Evidence, HeldOut, PoolRows, ProbeReply
from selfreward.measuring.metrics import measure_all
from selfreward.records import Drop, Judgment, Likelihood, Measurement, Message, MetaJudgment, Pair, Prompt, Response
from selfreward.tasks.verifiers.sandbox import SandboxVerifier

LETTERS = ("abcdefgh", "abcdefghij", "abcdefghijklmnoqrstuvwxyz")
"""Without p, which a worthless reply says."""

FILLER = ("", "sure : ", "here you go : ", "good question ! ", "happy to help : ")
Scores = Callable[[Response, float], Sequence[float | None]]


def prompts(count: int, pool: str = "report", cohort: str = "repeat", wrong_claim: bool = False) -> list[Prompt]:
    """Distinct tasks `repeat W X Y Z` of four different letters; a wrong claim has two of them exchanged."""
    made = []
    alphabet = next(letters for letters in LETTERS if math.perm(len(letters), 4) >= count)
    for letters in islice(permutations(alphabet, 4), count):
        claim = f" ; we think it is {reply_items(letters, 3)}" if wrong_claim else ""
        text = f"repeat {' '.join(letters)}{claim}"
        made.append(Prompt(f"{pool}:{text}", (Message("user", text),), pool, "sandbox", cohort))
    return made


def reply_items(letters: Sequence[str], quality: int) -> str:
    """Core words of a reply to `repeat W X Y Z` that the rubric gives `quality` points."""
    w, x, y, z = letters
    return {0: "", 1: "p", 2: x, 3: f"{x} {w} {z} {y}", 4: f"{w} {x} {z} {y}", 5: f"{w} {x} {y} {z}"}[quality]


def reply(prompt: Prompt, quality: int, filler: int = 0) -> str:
    """A reply of this true quality; another `filler` is another text with the same answer."""
    return (FILLER[filler] + reply_items(prompt.text.split()[1:5], quality)).strip()


def response(prompt: Prompt, sample: int, text: str, finish: str = "stop", tokens: int | None = None) -> Response:
    ids = tuple(range(len(text.split()) + 1 if tokens is None else tokens))
    return Response(f"{prompt.id}/{sample}", prompt.id, sample, "policy", text, "", ids, finish, 0, "plain")


def judgments(answer: Response, scores: Iterable[float | None]) -> list[Judgment]:
    """One judgment per score; None is an unreadable one. The text gives the score and nothing else."""
    return [
        Judgment(
            id=f"{answer.id}/judgment-{sample}",
            response_id=answer.id,
            prompt_id=answer.prompt_id,
            sample=sample,
            judge="policy",
            text="" if score is None else f"; Score: {score:.0f}",
            token_ids=(1,),
            finish_reason="stop",
            seed=0,
            template="sandbox",
            score=score,
            unreadable="no verdict" if score is None else None,
        )
        for sample, score in enumerate(scores)
    ]


def rows(qualities: Mapping[Prompt, Sequence[int]], scores: Scores | None = None, filler: int = 0) -> PoolRows:
    """Answers of the given qualities; `scores(response, quality)` is what the judge says of each."""
    answers = [
        (response(prompt, sample, reply(prompt, quality, filler)), float(quality))
        for prompt, levels in qualities.items()
        for sample, quality in enumerate(levels)
    ]
    judged = [
        judgment for answer, quality in answers if scores for judgment in judgments(answer, scores(answer, quality))
    ]
    return PoolRows(list(qualities), [answer for answer, _ in answers], judged)


def truthful(_: Response, quality: float) -> list[float]:
    """A judge that is right three times."""
    return [quality] * 3


NO_ROWS = PoolRows((), (), ())


def evidence(
    pools: PoolRows = NO_ROWS,
    *,
    initial: PoolRows = NO_ROWS,
    own: PoolRows = NO_ROWS,
    number: int = 1,
    likelihoods: Mapping[str, Sequence[Likelihood]] | None = None,
    meta: Sequence[MetaJudgment] = (),
    pairs: Sequence[Pair] = (),
    drops: Sequence[Drop] = (),
    training: Mapping[str, float] | None = None,
) -> Evidence:
    return Evidence(
        round=number,
        policy="policy",
        pools=pools,
        initial=initial,
        frozen=(),
        frozen_judgments=(),
        likelihoods=likelihoods or {},
        round_prompts=own.prompts,
        round_responses=own.responses,
        round_judgments=own.judgments,
        round_meta=meta,
        round_pairs=pairs,
        round_drops=drops,
        training=training or {},
        verifier=SandboxVerifier(),
    )


def blind(given: Evidence) -> Evidence:
    """The same evidence as a user without any truth has it: no verifier, and frozen answers without labels."""
    return dataclasses.replace(given, verifier=None, frozen=())


def measured(given: Evidence, pool: str = "report") -> dict[str, Measurement]:
    """The rows over all cohorts of one pool by metric."""
    return {row.metric: row for row in measure_all(given) if row.pool == pool and row.cohort == "all"}


def pair(chosen: Response, rejected: Response, label: float = 1.0) -> Pair:
    return Pair(
        id=f"{chosen.id}>{rejected.id}",
        kind="answer",
        prompt_id=chosen.prompt_id,
        chosen_id=chosen.id,
        rejected_id=rejected.id,
        prompt_token_ids=(1,),
        chosen_token_ids=chosen.token_ids,
        rejected_token_ids=rejected.token_ids,
        chosen_score=5.0,
        rejected_score=0.0,
        source="judge",
        label=label,
    )


def judgment_pair(chosen: Judgment, rejected: Judgment) -> Pair:
    return Pair(
        id=f"{chosen.id}>{rejected.id}",
        kind="judgment",
        prompt_id=chosen.prompt_id,
        chosen_id=chosen.id,
        rejected_id=rejected.id,
        prompt_token_ids=(1,),
        chosen_token_ids=chosen.token_ids,
        rejected_token_ids=rejected.token_ids,
        chosen_score=1.0,
        rejected_score=-1.0,
        source="meta_judge",
    )


def meta_judgment(first: Judgment, second: Judgment, winner: str | None) -> MetaJudgment:
    return MetaJudgment(
        id=f"{first.id}|{second.id}",
        prompt_id=first.prompt_id,
        response_id=first.response_id,
        first_id=first.id,
        second_id=second.id,
        judge="policy",
        text="",
        finish_reason="stop",
        seed=0,
        template="sandbox",
        winner=winner,
        unreadable="no verdict" if winner is None else None,
    )


def varied(count, seed=0, pool="report"):
    """Prompts with six answers of random quality each."""
    rng = random.Random(seed)
    return {prompt: [rng.randrange(6) for _ in range(6)] for prompt in prompts(count, pool)}


def noisy(seed, spread=1):
    """A judge that errs by up to `spread` points, either way."""
    rng = random.Random(seed)
    return lambda _, quality: [min(5.0, max(0.0, quality + rng.randint(-spread, spread))) for _ in range(3)]


def guessing(seed):
    """A judge without any information."""
    rng = random.Random(seed)
    return lambda *_: [float(rng.randrange(6)) for _ in range(3)]


def holds(row, value):
    return row.low <= value <= row.high


def battles(verdict, count=60, scores=(5.0, 3.0)):
    """Both orders of one battle per answer of true quality 5. `verdict(first, second, rng)` names the winner."""
    rng = random.Random(0)
    own = rows({prompt: [5] for prompt in prompts(count, "train")}, lambda *_: scores)
    metas = []
    for one, other in zip(own.judgments[::2], own.judgments[1::2], strict=True):
        metas += [meta_judgment(a, b, verdict(a, b, rng)) for a, b in ((one, other), (other, one))]
    return own, metas


def probed(given, question, score, units=60, arms=("plain", "padded"), source="file"):
    """The evidence with probe replies of `units` prompts; `score(arm, unit)` are the judge's verdicts on one reply."""
    replies, said = [], []
    for unit, prompt in enumerate(prompts(units, "frozen")):
        for arm in arms:
            asked = dataclasses.replace(prompt, source=source)
            answer = dataclasses.replace(response(prompt, 0, arm), id=f"{question}/{prompt.id}/{arm}")
            replies.append(ProbeReply(question, prompt.id, arm, asked, answer))
            said += judgments(answer, score(arm, unit))
    return dataclasses.replace(given, probes=[*given.probes, *replies], probe_judgments=[*given.probe_judgments, *said])


def held_out(*sides, score, trains=False):
    """A held-out judge that was asked about all answers of these pool rows; `score(response)` are its verdicts."""
    answers = [answer for side in sides for answer in side.responses]
    said = [judgment for answer in answers for judgment in judgments(answer, score(answer))]
    return HeldOut(trains, [answer.id for answer in answers], said)


def renamed(given: PoolRows, name: str) -> PoolRows:
    """The same rows with other response and judgment ids, as another round has them."""
    return PoolRows(
        given.prompts,
        [dataclasses.replace(answer, id=f"{name}/{answer.id}") for answer in given.responses],
        [
            dataclasses.replace(one, id=f"{name}/{one.id}", response_id=f"{name}/{one.response_id}")
            for one in given.judgments
        ],
    )
