"""Our length-controlled (minimal) win rates beside the ones that AlpacaEval 2 publishes, from its own annotations.

    python benchmarks/win_rate_leaderboard.py ANNOTATIONS LEADERBOARD.csv [--out FILE.md]

ANNOTATIONS holds `<model>/weighted_alpaca_eval_gpt4_turbo/annotations.json` (the folder `results` of the repository
tatsu-lab/alpaca_eval); the leaderboard is its `weighted_alpaca_eval_gpt4_turbo_leaderboard.csv`. What is published is
fitted with difficulties of its 805 instructions, which ours does without; the ridge was chosen on simulated data
(win_rate_ridge.py). Models without a row in the leaderboard are left out and named; so is the baseline itself, of which
every answer meets its own copy.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from selfreward.commands.win_rate.votes_file import read_votes
from selfreward.commands.win_rate.win_rates import WinRate, win_rates
from selfreward.report.html import markdown_table
from selfreward.report.tables import Table

ANNOTATOR = "weighted_alpaca_eval_gpt4_turbo"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("leaderboard", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with arguments.leaderboard.open(encoding="utf-8", newline="") as file:
        published = {row[""]: row for row in csv.DictReader(file)}
    rates: dict[str, WinRate] = {}
    without = []
    for path in sorted(arguments.annotations.glob(f"*/{ANNOTATOR}/annotations.json")):
        name, (rate,) = path.parts[-3], win_rates(read_votes(path))
        if name not in published or rate.model == rate.against:
            without.append(name)
        else:
            rates[name] = rate
    text = report(rates, published, without)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


def report(rates: dict[str, WinRate], published: dict[str, dict[str, str]], without: list[str]) -> str:
    """The summary, then one row a model."""
    theirs = np.asarray([float(published[name]["length_controlled_winrate"]) for name in rates])
    raw = np.asarray([100 * (rate.raw.value or 0.0) for rate in rates.values()])
    kept = [rate.controlled for rate in rates.values()]
    ours, low, high = (
        np.asarray([100 * getattr(one, part) for one in kept if one is not None]) for part in ("value", "low", "high")
    )
    rows = []
    for label, found in (("length-controlled (minimal)", ours), ("raw", raw)):
        apart = np.abs(found - theirs)
        correlation = np.corrcoef(found, theirs)[0, 1]
        rows.append([label, str(len(found)), f"{correlation:.4f}", f"{apart.mean():.2f}", f"{apart.max():.2f}"])
    summary = Table("", ["against the published LC", "models", "r", "mean difference", "largest"], rows)
    order = sorted(range(len(theirs)), key=lambda index: -theirs[index])
    names = list(rates)
    each = [
        [
            names[index],
            f"{theirs[index]:.1f}",
            f"{ours[index]:.1f} [{low[index]:.1f}, {high[index]:.1f}]",
            f"{raw[index]:.1f}",
            str(rates[names[index]].raw.n),
        ]
        for index in order
    ]
    held = float(((low <= theirs) & (theirs <= high)).mean())
    lines = [
        "# Length-controlled win rates beside the published ones",
        "",
        "`python benchmarks/win_rate_leaderboard.py`: public annotations of AlpacaEval 2 "
        f"({ANNOTATOR}), in points of percent. "
        "The ridge on the slope was chosen on simulated data (`benchmarks/win_rate_ridge.py`).",
        "",
        *markdown_table(summary)[2:],
        "",
        f"The published value lies in our 95 % interval for {held:.0%} of the models. "
        f"Left out (not in the leaderboard, or the baseline itself): {', '.join(without) or 'none'}.",
        "",
        *markdown_table(Table("", ["model", "published LC", "ours", "raw", "prompts"], each))[2:],
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
