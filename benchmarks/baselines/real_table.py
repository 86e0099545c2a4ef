"""What was measured of a real model's rounds, as Markdown: seconds by stage, what each side did, and how they compare.

Sides are compared only where they did the same work. Prompts, answers and judgments must be equal; tokens and pairs,
which follow from what each side samples, may be apart by `SAME_WORK`, or by two. Steps are shown and not compared: TRL
ends every epoch with one, ours goes through both epochs in one go, so few pairs make fewer.
"""

import statistics
from collections.abc import Mapping
from typing import Any

from baselines.timed import Timed, ratio, turns

OURS = "ours, transformers"
B1, B2, B3 = "B1 one process, generate", "B2 process per stage, best flags", "B3 server and scripts"
STAGES = ("generate", "judge", "reference", "train", "hand-off")
EXACT, NEAR, SHOWN = ("answers", "judgments"), ("answer_tokens", "judge_tokens", "pairs"), ("steps",)
WANTED = {(B1, 3): 2.6, (B1, 11): 3.8, (B3, 3): 2.0, (B3, 11): 2.0}
"""How many times as fast a round should be, by system and N."""

SAME_WORK = 0.15

Kept = Mapping[str, Mapping[str, Any]]
"""System -> what is kept of it: `seconds`, `processor` and `facts`, one for each turn."""


def counts(one: Mapping[str, Any]) -> dict[str, int]:
    """What a system did in all its turns."""
    return {name: sum(fact[name] for fact in one["facts"]) for name in (*EXACT, *NEAR, *SHOWN)}


def differences(kept: Kept) -> list[str]:
    """Where the systems did not do the same work, in words; none where they may be compared."""
    (first, one), *others = kept.items()
    expected, lines = counts(one), []
    for name, other in others:
        if [fact["prompts"] for fact in other["facts"]] != [fact["prompts"] for fact in one["facts"]]:
            lines.append(f"{name} was asked other prompts than {first}")
        done = counts(other)
        for what in (*EXACT, *NEAR):
            room, value = max(SAME_WORK * expected[what], 2) if what in NEAR else 0, done[what]
            if abs(value - expected[what]) > room:
                lines.append(f"{what.replace('_', ' ')}: {name} {value}, {first} {expected[what]}")
    return lines


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} [{min(values):.1f}, {max(values):.1f}]"


def seconds_table(kept: Kept) -> list[str]:
    head = ["system", "round s [min, max]", "CPU s", *(f"{name} s" for name in STAGES), "rest s"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name, one in kept.items():
        told = [fact["stages"] for fact in one["facts"]]
        of_stage = [spread([stages[stage] for stages in told]) if stage in told[0] else "" for stage in STAGES]
        rest = [whole - sum(stages.values()) for whole, stages in zip(one["seconds"], told, strict=True)]
        lines.append([name, spread(one["seconds"]), spread(one["processor"]), *of_stage, spread(rest)])
    return [f"| {' | '.join(cells)} |" for cells in lines]


def counts_table(kept: Kept) -> list[str]:
    head = ["system, all turns", *(name.replace("_", " ") for name in (*EXACT, *NEAR, *SHOWN))]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    lines += [[name, *map(str, counts(one).values())] for name, one in kept.items()]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def ratios(kept: Kept, judgments: int) -> list[str]:
    """How many times as long each of the others takes, or why that is not said."""
    if unequal := differences(kept):
        return ["**Not compared: the sides did not do the same work.**", "", *(f"- {line}" for line in unequal)]
    timed = {name: Timed(None, seconds=one["seconds"], processor=one["processor"]) for name, one in kept.items()}
    lines = []
    for other in (name for name in kept if name != OURS and OURS in kept):
        each, wanted = turns(timed, OURS, other, "seconds"), WANTED.get((other, judgments))
        told = f"- against {other}: {ratio(timed, OURS, other)} times as fast"
        told += f", by turn {', '.join(f'{turn:.2f}' for turn in each)}"
        told += f"; in CPU seconds {ratio(timed, OURS, other, 'processor')}"
        if wanted is not None:
            reached = "yes" if statistics.median(each) >= wanted else "no"
            told += f"; wanted at least {wanted:g}: **{reached}**"
        lines.append(told)
    return lines


def render(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """All entries, each of one N and company of systems."""
    lines = ["# A round of a real model, ours and baselines", ""]
    for name, entry in entries.items():
        kept = entry["systems"]
        load = f"Load of the machine at each turn: {', '.join(f'{one:.1f}' for one in entry['loads'])}."
        lines += [f"## {name}", "", *entry["setting"], load, "", *seconds_table(kept), "", *counts_table(kept), ""]
        lines += [*ratios(kept, entry["judgments"]), ""]
    return "\n".join(lines)
