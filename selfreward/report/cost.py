"""What a run cost: seconds and tokens by stage from the seals, and what served models were asked, from the journal."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from selfreward.report.reading import Reading
from selfreward.report.tables import DASH, Table

SERVED = ("requests", "retries", "no_reply", "prompt_tokens", "completion_tokens")


def cost_tables(reading: Reading) -> list[Table]:
    """Seconds per stage, and a table of served models where there were any."""
    served = served_table(reading)
    return [cost_table(reading), *([served] if served else [])]


def cost_table(reading: Reading) -> Table:
    """Seconds per stage and round, from the seals: where the work was done, not where it was shared."""
    seconds = {number: {seal.artifact: seal.seconds for seal in reading.seals(number)} for number in reading.rounds}
    tokens = {number: sum(seal.tokens for seal in reading.seals(number)) for number in reading.rounds}
    artifacts = list(dict.fromkeys(name for number in reversed(reading.rounds) for name in seconds[number]))
    rows = [
        [name, *(_seconds(seconds[number].get(name)) for number in reading.rounds)]
        for name in artifacts
        if any(seconds[number].get(name, 0) >= 0.05 for number in reading.rounds)
    ]
    rows.append(["all stages", *(_seconds(sum(seconds[number].values())) for number in reading.rounds)])
    rows.append(["tokens sampled", *(f"{tokens[number]:,}" for number in reading.rounds)])
    return Table("Seconds per stage", ["stage", *(f"round {number}" for number in reading.rounds)], rows)


def _seconds(value: float | None) -> str:
    return DASH if value is None else f"{value:,.1f}"


def served_table(reading: Reading) -> Table | None:
    """Requests, tokens and cost of each served model, summed over all the times that the run was started."""
    asked: dict[str, Counter[str]] = {}
    prices: dict[str, float] = {}
    for event in reading.view.events():
        if event.get("event") != "served":
            continue
        report: Mapping[str, Mapping[str, Any]] = event["report"]
        for name, counts in report.items():
            asked.setdefault(name, Counter()).update({key: counts[key] for key in SERVED})
            prices[name] = prices.get(name, 0.0) + counts["cost"]
    if not asked:
        return None
    rows = [[name, *(f"{counts[key]:,}" for key in SERVED), f"{prices[name]:,.4f}"] for name, counts in asked.items()]
    header = ["model", "requests", "retries", "without a reply", "tokens in", "tokens out", "cost"]
    return Table("Served models, at the recipe's prices", header, rows)
