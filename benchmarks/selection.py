"""What the choice of the round and the gates are worth when runs go wrong: oracle regret over grids of sandbox runs.

    python benchmarks/selection.py [--jobs J] [--results DIR] [--out DIR] [--grid GRID ...] [--also GRID ...]

Runs what is owed of the grids (recipes/grids/gentle_to_hot.yaml), then writes selection.md and selection.json. Regret
of a rule on a run is the true accuracy of the best round in hindsight minus that of the round that the rule chooses,
both on the report pool, which no rule reads. The same noise is in every rule's regret (the best of noisy rounds is too
good by a little), so differences between rules are what counts. Intervals are t-intervals over runs; runs of one arm or
seed model are not independent, so an interval over arms and the means by seed model stand beside them. The gates of
recipes/gated.yaml are replayed on the sealed measurements with all rounds planned; in the runs nothing acted, so that
every round could be chosen. `--also` reads the finished runs of grids that other commands make.
"""

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from selection_runs import HELD_OUT, HIGHEST, OWN, RunStudy, measured_run, study_run

from selfreward.commands.ablate import Grid, ablate, load_grid, require_all
from selfreward.measuring.stats.clustered import Estimate, clustered_mean
from selfreward.progress import Progress
from selfreward.recipe import held_out_pools
from selfreward.recipe.read import load_recipe
from selfreward.report.html import markdown_table
from selfreward.report.reading import Reading
from selfreward.report.tables import DASH, Table, number_text
from selfreward.store.results import Store

ROOT = Path(__file__).parent.parent
RULES = {
    OWN: "`gates.best_round`, `select_by: judge`",
    f"{OWN}, gated": "the same, without the rounds that the gates would stop or roll back",
    HELD_OUT: "`gates.best_round`, `select_by: held_out`",
    f"{HELD_OUT}, gated": "the same, without the rounds that the gates would stop or roll back",
    HIGHEST: "of the same candidates the one of the highest gain, not the latest that is as good",
    "last": "always the last round",
    "first": "always the first trained round",
    "start": "always the start policy",
}


SHOWN = (OWN, HELD_OUT, f"{HELD_OUT}, gated")
"""The rules that the table by arm shows."""


def over_runs(values: Sequence[float]) -> Estimate:
    return clustered_mean(values, [str(index) for index in range(len(values))])


def text(estimate: Estimate, *, signed: bool = False) -> str:
    return number_text(estimate.value, estimate.low, estimate.high, signed=signed)


def mean_text(values: Sequence[float]) -> str:
    return number_text(over_runs(values).value)


def shared_rules(runs: Sequence[RunStudy]) -> list[str]:
    """The rules that every run can be judged by: not each has a held-out judge."""
    return [rule for rule in RULES if all(rule in run.regret for run in runs)]


def regret_table(runs: Sequence[RunStudy], caption: str) -> Table:
    """One row per rule; a stated rule minus this one below 0 means that the stated one is better."""
    models = sorted({run.model for run in runs})
    rules = shared_rules(runs)
    stated = [rule for rule in (OWN, HELD_OUT) if rule in rules]
    rows = []
    for rule in rules:
        mean = over_runs([run.regret[rule] for run in runs])
        versus = []
        for mine in stated:
            less = [run.regret[mine] - run.regret[rule] for run in runs]
            over_arms = clustered_mean(less, [run.arm for run in runs])
            same = rule == mine
            versus += [DASH, DASH] if same else [text(found, signed=True) for found in (over_runs(less), over_arms)]
        by_model = ", ".join(
            number_text(over_runs([r.regret[rule] for r in runs if r.model == m]).value) for m in models
        )
        best = f"{sum(run.regret[rule] == 0 for run in runs)} of {len(runs)}"
        rows.append([f"{rule}: {RULES[rule]}", text(mean), *versus, best, by_model])
    compared = [heading for mine in stated for heading in (f"{mine} minus this, over runs", "over arms")]
    header = ["rule", "regret", *compared, "chose the best"]
    return Table(caption, [*header, f"regret by seed model ({', '.join(models)})"], rows)


def short_arm_table(runs: Sequence[RunStudy], caption: str) -> Table:
    rules = shared_rules(runs)
    rows = []
    for arm in dict.fromkeys(run.arm for run in runs):
        mine = [run for run in runs if run.arm == arm]
        rows.append(
            [arm, str(len(mine)), *(number_text(over_runs([r.regret[rule] for r in mine]).value) for rule in rules)]
        )
    return Table(caption, ["arm", "runs", *rules], rows)


def arm_table(runs: Sequence[RunStudy]) -> Table:
    arms: dict[str, list[RunStudy]] = defaultdict(list)
    for run in runs:
        arms[run.arm].append(run)
    rows, shown = [], [rule for rule in SHOWN if rule in shared_rules(runs)]
    for arm, mine in arms.items():
        path = " → ".join(f"{sum(run.truth[n] for run in mine) / len(mine):.3f}" for n in range(len(mine[0].truth)))
        chosen = ["/".join(str(run.chosen[rule]) for run in mine) for rule in shown]
        best = "/".join(str(run.truth.index(max(run.truth))) for run in mine)
        regrets = [mean_text([run.regret[rule] for run in mine]) for rule in (*shown, "last", "first")]
        fell = sum(bool(run.fell) for run in mine)
        gates = Counter(metric for run in mine for metric, rounds in run.fired.items() if rounds)
        fired = ", ".join(f"{metric} {count}" for metric, count in gates.items()) or "none"
        rows.append([arm, str(len(mine)), path, best, *chosen, *regrets, str(fell), fired])
    header = ["arm", "runs", "true accuracy by round", "best in hindsight", *shown]
    header += [f"regret: {shown[0]}", *shown[1:], "last", "first", "fell", "gates"]
    return Table("By arm; rounds of each run in the order of the seed models", header, rows)


def gate_table(runs: Sequence[RunStudy]) -> Table:
    """Whether a gate fired anywhere, in runs whose truth fell and in those where it did not."""
    rows = []
    groups = [[run for run in runs if run.fell], [run for run in runs if not run.fell]]
    for metric in [*runs[0].fired, "any"]:
        cells = []
        for group in groups:
            hits = [run for run in group if any(run.fired.values() if metric == "any" else run.fired[metric])]
            first = [min(n for m, at in run.fired.items() if metric in (m, "any") for n in at) for run in hits]
            in_time = sum(n <= run.fell[0] for n, run in zip(first, hits, strict=True) if run.fell)
            note = f" ({in_time} by the round of the first fall)" if group and group[0].fell else ""
            cells.append(f"{len(hits)} of {len(group)}{note}")
        rows.append([metric, *cells])
    return Table(
        "Gates of recipes/gated.yaml, replayed",
        ["rule", "runs whose truth fell", "runs whose truth never fell"],
        rows,
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--grid", type=Path, nargs="+", default=[ROOT / "recipes" / "grids" / "gentle_to_hot.yaml"])
    options.add_argument("--jobs", type=int, default=1)
    options.add_argument("--results", type=Path, default=Path("results"))
    options.add_argument("--out", type=Path, help="results/tables otherwise")
    options.add_argument("--also", type=Path, nargs="*", default=[])
    asked = options.parse_args()
    store, gates = Store(asked.results), load_recipe(ROOT / "recipes" / "gated.yaml").gates
    grids = [load_grid(path) for path in asked.grid]
    for grid in grids:
        for cell in {cell.arm: cell for cell in grid.cells()}.values():
            if "gate" not in held_out_pools(load_recipe(grid.base, cell.overrides)):
                options.error(
                    f"{grid.name}: in arm {cell.arm} no held-out judge reads the gate pool, as gated.yaml asks"
                )
    for grid in grids:
        require_all(ablate(grid, asked.results, asked.jobs, Progress()))
    runs = [study_run(Reading(store.existing(name)), arm, model, gates) for arm, model, name in cells(grids)]
    others: dict[tuple[str, int], RunStudy] = {}
    for arm, model, name in cells([load_grid(path) for path in asked.also]):
        if not (asked.results / name).exists():
            continue
        reading = Reading(store.existing(name))
        seal = reading.view.seal(reading.rounds[-1], "checkpoint")
        # Grids share arms: one run counts once.
        others.setdefault(
            (str(seal.facts["digest"]) if seal else name, reading.recipe.seed), measured_run(reading, arm, model)
        )
    write(tables(runs, list(others.values())), [*runs, *others.values()], asked.out or asked.results / "tables")


def cells(grids: Sequence[Grid]) -> list[tuple[str, str, str]]:
    """Arm, seed model and name of every run."""
    return [
        (f"{grid.name}: {arm}", model.removeprefix("sandbox:"), name)
        for grid in grids
        for arm, runs in grid.runs().items()
        for (model, _), name in runs.items()
    ]


def tables(runs: Sequence[RunStudy], others: Sequence[RunStudy]) -> list[Table]:
    fallen, steady = [run for run in runs if run.fell], [run for run in runs if not run.fell]
    found = [regret_table(runs, f"Oracle regret in true accuracy, {len(runs)} runs from gentle to hot")]
    found += [regret_table(fallen, f"Of these the {len(fallen)} whose truth fell somewhere")] if fallen else []
    found += [regret_table(steady, f"Of these the {len(steady)} whose truth never fell")] if steady else []
    found += [gate_table(runs), arm_table(runs)]
    if others:
        found.append(regret_table(others, f"Oracle regret in true accuracy, {len(others)} runs of other grids"))
        found.append(short_arm_table(others, "Regret by arm, other grids"))
    return found


def write(found: Sequence[Table], runs: Sequence[RunStudy], out: Path) -> None:
    lines = [line for table in found for line in (*markdown_table(table), "")]
    out.mkdir(parents=True, exist_ok=True)
    (out / "selection.md").write_text("\n".join(lines), encoding="utf-8")
    whole = {"tables": [asdict(table) for table in found], "runs": [asdict(run) for run in runs]}
    (out / "selection.json").write_text(json.dumps(whole, indent=1, ensure_ascii=False), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
