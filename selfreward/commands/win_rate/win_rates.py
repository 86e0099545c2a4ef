"""Raw and length-controlled win rates of a file of preferences, one row a model (`selfreward win-rate`).

Raw: mean of 1, 1/2 and 0, Wilson's interval with the design effect of prompts. Where votes are probabilities, a mean
all the same. Length-controlled (minimal): as in metrics/policy/win_rate.py, which on the public annotations of
AlpacaEval 2 comes to what is published there without the difficulties that were fitted for its own prompts
(results/tables/win_rate_leaderboard.md). Votes that nobody gave are left out and counted.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from selfreward.commands.win_rate.system_agreement import system_agreement
from selfreward.commands.win_rate.votes_file import Vote, read_votes
from selfreward.errors import DataError
from selfreward.measuring.metrics.policy.win_rate import length_controlled
from selfreward.measuring.stats.clustered import Estimate, clustered_share
from selfreward.report.tables import DASH, Table, number_text

APART, FAR = 0.1, 0.25


@dataclass(frozen=True, slots=True)
class WinRate:
    """One model. `controlled` is None where a length is unknown; `left_out` counts votes without a winner."""

    model: str
    against: str
    votes: int
    left_out: int
    raw: Estimate
    controlled: Estimate | None


def win_rates(votes: Sequence[Vote]) -> list[WinRate]:
    """Every model against all that it met, best raw rate first; of annotations against a baseline, its models alone."""
    by_model: dict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        if vote.model == vote.against and not vote.baseline:
            continue
        by_model[vote.model].append(vote)
        if not vote.baseline:
            by_model[vote.against].append(vote.swap())
    found = [_rate(model, met) for model, met in by_model.items()]
    return sorted(found, key=lambda rate: (-(rate.raw.value or 0.0), rate.model))


def _rate(model: str, met: Sequence[Vote]) -> WinRate:
    read = [(vote, vote.win) for vote in met if vote.win is not None]
    opponents = sorted({vote.against for vote in met})
    against = opponents[0] if len(opponents) == 1 else f"{len(opponents)} models"
    raw = clustered_share([win for _, win in read], [vote.prompt for vote, _ in read])
    known = [(vote.prompt, win, vote.characters) for vote, win in read if vote.characters is not None]
    controlled = None
    if known and len(known) == len(read):
        by_prompt: dict[str, list[tuple[float, int]]] = defaultdict(list)
        for prompt, win, characters in known:
            by_prompt[prompt].append((win, characters))
        sides = {prompt: np.asarray(rows, dtype=np.float64) for prompt, rows in by_prompt.items()}
        controlled = length_controlled({prompt: (rows[:, 0], rows[:, 1]) for prompt, rows in sides.items()})
    return WinRate(model, against, len(met), len(met) - len(read), raw, controlled)


def win_rate_table(rates: Sequence[WinRate]) -> Table:
    """The rates for people, in percent."""
    header = ["model", "against", "raw", "length-controlled (minimal)", "prompts", "votes", "left out"]
    body = [
        [
            rate.model,
            rate.against,
            _percent(rate.raw),
            DASH if rate.controlled is None else _percent(rate.controlled),
            str(rate.raw.n),
            str(rate.votes),
            str(rate.left_out),
        ]
        for rate in rates
    ]
    return Table("Win rates in percent, ties half, with 95 % intervals over prompts", header, body)


def _percent(estimate: Estimate) -> str:
    parts = (None if part is None else 100 * part for part in (estimate.value, estimate.low, estimate.high))
    return number_text(*parts)


def notes(rates: Sequence[WinRate]) -> list[str]:
    """What to bear in mind: lengths that are not known, and rates that length alone seems to make."""
    said = []
    if any(rate.controlled is None for rate in rates):
        said.append("No length control where a vote has no lengths: give length_a and length_b, or the responses.")
    for rate in rates:
        raw, controlled = rate.raw.value, rate.controlled.value if rate.controlled else None
        if raw is None or controlled is None:
            continue
        room = raw if controlled < raw else 1 - raw
        if abs(raw - controlled) > APART and abs(raw - controlled) > FAR * room:
            said.append(f"{rate.model}: the rate at equal length is {abs(raw - controlled):.0%} away from the raw one.")
    return said


def win_rate_command(
    files: Sequence[Path], responses: Sequence[Path], people: Path | None, out: Path | None
) -> tuple[Table, list[str]]:
    """The table and the notes of all files together; `people` are votes to correlate with; `out` is written as JSON."""
    if out and out.suffix != ".json":
        raise DataError(f"--out {out}: expected a name that ends in .json")
    rates = win_rates([vote for file in files for vote in read_votes(file, responses)])
    said = notes(rates)
    if people:
        said.append(beside_people(rates, win_rates(read_votes(people))))
    if out:
        out.write_text(json.dumps([asdict(rate) for rate in rates], indent=1, ensure_ascii=False) + "\n", "utf-8")
    return win_rate_table(rates), said


def beside_people(rates: Sequence[WinRate], people: Sequence[WinRate]) -> str:
    """In words: how the raw rates of the models go with those that people's votes give them."""
    sides = [{rate.model: rate.raw.value for rate in side if rate.raw.value is not None} for side in (rates, people)]
    found = system_agreement(*sides)
    r, rho, tau = (number_text(one.value, one.low, one.high) for one in (found.pearson, found.spearman, found.kendall))
    return (
        f"With people's raw win rates over {found.pearson.n} models: r {r}, Spearman {rho}, Kendall {tau}, mean "
        f"difference {found.mean_difference:.1%}."
    )
