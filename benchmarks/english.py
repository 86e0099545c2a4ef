"""Two arms of a grid on a real model, side by side: what the labels of their pairs brought.

    python benchmarks/english.py RESULTS --arms verified flipped --seeds 0 1 2

Reads finished runs of `recipes/grids/english.yaml`; the runs of one seed share prompts and the start policy's answers.
Prints, as Markdown, each run by round and the first arm minus the second in each round: on requests of the kinds that
were trained, on unseen kinds, and at equal length. Differences are paired by prompt; the pooled row takes every prompt
of every run as one unit, so it speaks for these runs, and of more runs only as far as they differ as these do.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from selfreward.measuring.metrics.matched import matched_difference
from selfreward.measuring.metrics.policy.truth_at_length import length_levels
from selfreward.measuring.stats.clustered import Estimate, cluster_means, paired_difference
from selfreward.records import Measurement, Prompt, Response
from selfreward.report.tables import number_text
from selfreward.store.view import RunView
from selfreward.tasks.verifiers.protocol import load_verifier

KINDS = {"trained kinds": ("pools", "eval_responses"), "unseen kinds": ("cohorts", "cohort_responses")}
SHOWN = (
    ("true_accuracy", "all"),
    ("true_accuracy_at_length_change", "all"),
    ("cohort_accuracy", "unseen"),
    ("length_tokens", "all"),
    ("truncated_rate", "all"),
    ("judge_mean", "all"),
    ("kl_initial_k1_sequence", "all"),
)


def text(estimate: Estimate | Measurement | None, signed: bool = False) -> str:
    if estimate is None or estimate.value is None:
        return ""
    return number_text(estimate.value, estimate.low, estimate.high, signed=signed)


def answers(run: RunView, round: int, kind: str) -> list[tuple[str, Response, float]]:
    """(prompt, answer, whether it is right) of the report pool."""
    asked, replied = KINDS[kind]
    verifier = load_verifier("ifeval")
    prompts = {one.id: one for one in run.read(0, asked, Prompt) if one.pool == "report"}
    return [
        (one.prompt_id, one, float(verifier.check(prompts[one.prompt_id], one.text).correct))
        for one in run.read(round, replied, Response)
        if one.prompt_id in prompts
    ]


def accuracy(run: RunView, round: int, kind: str) -> dict[str, float]:
    """Each prompt's share of right answers."""
    rows = answers(run, round, kind)
    return cluster_means([right for _, _, right in rows], [prompt for prompt, _, _ in rows])


def at_length(first: Sequence[RunView], second: Sequence[RunView], round: int) -> Estimate:
    """The first arm minus the second within levels of length, over all runs."""
    rows = [
        (f"{place} {prompt}", one, right, arm)
        for arm, runs in ((True, first), (False, second))
        for place, run in enumerate(runs)
        for prompt, one, right in answers(run, round, "trained kinds")
    ]
    return matched_difference(
        [row[2] for row in rows],
        [row[3] for row in rows],
        length_levels([row[1] for row in rows]),
        [r[0] for r in rows],
    )


def by_round(run: RunView, arm: str) -> Iterator[str]:
    for round in measured(run):
        found: Mapping[tuple[str, str], Measurement] = {
            (row.metric, row.cohort): row
            for row in run.read(round, "measurements", Measurement)
            if row.pool == "report"
        }
        values = " | ".join(text(found.get(key)) for key in SHOWN)
        yield f"| {arm} | {run.recipe().seed} | {round} | {values} |"


def contrasts(first: Sequence[RunView], second: Sequence[RunView], round: int) -> Iterator[str]:
    for kind in KINDS:
        sides = [[accuracy(run, round, kind) for run in runs] for runs in (first, second)]
        pooled = [{f"{n} {k}": v for n, one in enumerate(side) for k, v in one.items()} for side in sides]
        for label, after, before in [
            *((f"seed {run.recipe().seed}", a, b) for run, a, b in zip(first, *sides, strict=True)),
            ("all", *pooled),
        ]:
            difference = text(paired_difference(after, before), signed=True)
            yield f"| {round} | {kind} | {label} | {difference} | {len(after)} |"
    length = at_length(first, second, round)
    yield f"| {round} | trained kinds, at equal length | all | {text(length, signed=True)} | {length.n} |"


def measured(run: RunView) -> list[int]:
    """Rounds that were not skipped (`measure.every`)."""
    return [number for number in run.rounds() if run.seal(number, "measurements") is not None]


def measured_by_all(runs: Sequence[RunView]) -> list[int]:
    return sorted(set.intersection(*(set(measured(run)) for run in runs)) - {0})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--arms", nargs=2, default=["verified", "flipped"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--run", default="english.{arm}.SmolLM2-135M-Instruct.{seed}", help="how runs are named")
    given = parser.parse_args()
    first, second = (
        [RunView(given.results / given.run.format(arm=arm, seed=seed)) for seed in given.seeds] for arm in given.arms
    )
    print("| arm | seed | round | accuracy | change at equal length | unseen kinds | tokens | truncated | judge | KL |")
    print("| --- | --- | --- |" + " ---: |" * len(SHOWN))
    for arm, runs in zip(given.arms, (first, second), strict=True):
        for run in runs:
            print("\n".join(by_round(run, arm)))
    print(f"\n| round | {given.arms[0]} minus {given.arms[1]} | runs | difference | prompts |")
    print("| --- | --- | --- | ---: | ---: |")
    for round in measured_by_all([*first, *second]):
        print("\n".join(contrasts(first, second, round)))


if __name__ == "__main__":
    main()
