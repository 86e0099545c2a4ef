"""The prompts that travel inside the HTML: at most 300, spread evenly over runs, rounds and cohorts.

Those that are `wanted` come first (the prompts that changed). Half of the others (if there are as many) are prompts of
the report pool, which every round answers, half are training prompts with their fate. Texts are cut, and then prompts
left out, until everything fits `BUDGET` characters; a report must open fast, so what is large is compressed.
`selfreward show` prints any prompt whole, `selfreward view` has all of them.
"""

import base64
import gzip
import json
from collections.abc import Collection, Sequence
from typing import Any

from selfreward.measuring.metrics.answers import Answer
from selfreward.records import stable_id
from selfreward.report.answers import PromptRound
from selfreward.report.reading import Reading
from selfreward.tasks.verifiers.protocol import Verifier

MOST_PROMPTS = 300
LONGEST_TEXT = 1500
BUDGET = 6_000_000
PACK_ABOVE = 200_000
"""Characters of JSON beyond which it is compressed; a browser of the last years opens it by itself."""
# Run, round (None for a pool prompt, which has all of them), prompt id, cohort.
Item = tuple[Reading, int | None, str, str]


def embedded_prompts(readings: Sequence[Reading], wanted: Collection[tuple[str, str]] = ()) -> list[dict[str, Any]]:
    """Plain data of the sampled prompts, which depends on ids only, so that equal runs give equal reports.

    `wanted` holds (run, prompt id).
    """
    pools: list[Item] = []
    training: list[Item] = []
    for reading in readings:
        pools += [
            (reading, None, prompt.id, prompt.cohort) for prompt in reading.pools.values() if prompt.pool == "report"
        ]
        for trained in reading.rounds[1:]:
            rows = reading.train_answers(trained)
            training += [(reading, trained, name, row.prompt.cohort) for name, row in rows.items()]
    picked = [item for item in (*pools, *training) if (item[0].name, item[2]) in wanted][:MOST_PROMPTS]
    pools, training = ([item for item in items if (item[0].name, item[2]) not in wanted] for items in (pools, training))
    left = MOST_PROMPTS - len(picked)
    picked += _spread(pools, max(left // 2, left - len(training)))
    picked += _spread(training, MOST_PROMPTS - len(picked))
    entries: list[dict[str, Any]] = []
    size = 0
    for reading, number, name, _ in picked:
        entry = _entry(reading, number, name)
        size += len(json.dumps(entry))
        if size > BUDGET:
            break
        entries.append(entry)
    return entries


def _spread(items: list[Item], most: int) -> list[Item]:
    """Take turns between (run, round, cohort); pool prompts are the same ones in every run. Order is by hashed id."""
    strata: dict[tuple[str, int, str], list[Item]] = {}
    for item in sorted(items, key=lambda item: stable_id("browser", item[2])):
        strata.setdefault((item[3], item[1] or 0, item[0].name), []).append(item)
    turns = [strata[key] for key in sorted(strata)]
    picked = [
        stratum[turn] for turn in range(max(map(len, turns), default=0)) for stratum in turns if turn < len(stratum)
    ]
    return picked[:most]


def _entry(reading: Reading, number: int | None, name: str) -> dict[str, Any]:
    rounds = [number] if number is not None else reading.rounds
    rows = [(reading.train_answers if number is not None else reading.pool_answers)(n).get(name) for n in rounds]
    present = [row for row in rows if row is not None]
    prompt = present[0].prompt if present else reading.pools[name]
    turns = [f"{message.role}: {message.content}" for message in prompt.messages]
    return {
        "run": reading.name,
        "id": name,
        "pool": prompt.pool,
        "cohort": prompt.cohort,
        "text": _cut(prompt.text if len(turns) == 1 else "\n".join(turns)),
        "rounds": [round_data(row, reading.verifier, LONGEST_TEXT) for row in present],
    }


def round_data(row: PromptRound, verifier: Verifier | None, longest: int | None = None) -> dict[str, Any]:
    """One prompt in one round as plain data; `show` prints the same."""
    return {
        "round": row.round,
        "fates": list(row.notes),
        "answers": [_answer(answer, row, verifier, longest) for answer in row.answers],
    }


def _answer(answer: Answer, row: PromptRound, verifier: Verifier | None, longest: int | None) -> dict[str, Any]:
    truth = verifier.check(row.prompt, answer.response.text) if verifier else None
    return {
        "text": _cut(answer.response.text, longest),
        "score": answer.score,
        "scores": [judgment.score for judgment in answer.judgments if judgment.score is not None],
        "unreadable": [judgment.unreadable for judgment in answer.judgments if judgment.unreadable is not None],
        "quality": truth.quality if truth else None,
        "correct": truth.correct if truth else None,
        "fate": row.fate.get(answer.response.id, ""),
        "finish_reason": answer.response.finish_reason,
        "tokens": len(answer.response.token_ids),
    }


def _cut(text: str, longest: int | None = LONGEST_TEXT) -> str:
    return text if longest is None or len(text) <= longest else f"{text[:longest]}… (cut)"


def script_safe(data: Any) -> str:
    """JSON that cannot end the script element it stands in, whatever a model wrote, and holds no stray line ends."""
    escapes: dict[str, str | int | None] = {name: f"\\u{ord(name):04x}" for name in "<>&\u2028\u2029"}
    return json.dumps(data, ensure_ascii=False).translate(str.maketrans(escapes))


def packed(data: Any) -> str:
    """The JSON compressed (gzip, base64), the same for the same data."""
    return base64.b64encode(gzip.compress(json.dumps(data, ensure_ascii=False).encode(), mtime=0)).decode()
