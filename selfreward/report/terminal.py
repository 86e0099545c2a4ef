"""The report in a terminal: the verdict, what fired, and tables. 120 plain columns where there is no terminal."""

import errno
import os
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from selfreward.progress.words import visible
from selfreward.report.alarms import alarms
from selfreward.report.alike import recipe_differences, shared_rounds
from selfreward.report.compare import HOLM, compare, compare_with_first, comparison_table, comparison_words
from selfreward.report.cost import cost_tables
from selfreward.report.fitted import GAP, fitted
from selfreward.report.forces_table import panel
from selfreward.report.gate_verdicts import gate_report
from selfreward.report.lineage import lineage_table
from selfreward.report.reading import Reading
from selfreward.report.state import run_state
from selfreward.report.tables import Table, pairs_table, side_table, summary_table
from selfreward.report.verdict import judge_run
from selfreward.store.view import RunView

PLAIN_WIDTH = 120
COLOURS = {"good": "green", "mixed": "yellow", "bad": "red", "open": "default"}


class Output(Console):
    """A console that leaves a closed pipe to the command (exits.py), which is no failure there."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def console() -> Console:
    """Standard output, as wide as the terminal or as PLAIN_WIDTH."""
    out = Output(highlight=False)
    return out if out.is_terminal else Output(highlight=False, width=PLAIN_WIDTH)


def words(text: str, style: str = "") -> Text:
    """Text for the console as it was said: no markup, and no control character that a terminal would obey."""
    return Text(visible(text), style=style)


def print_report(runs: Sequence[RunView], out: Console) -> None:
    """Every run: verdict, alarms, then its tables; several runs are compared with the first at their last rounds.

    Raises DataError, before anything is printed, where the runs have different pools.
    """
    readings = [Reading(view) for view in runs]
    comparison = compare_with_first(readings)
    for reading in readings:
        verdict = judge_run(reading)
        out.print(words(f"\n{reading.name}", style="bold underline"))
        out.print(words(verdict.headline, style=f"bold {COLOURS[verdict.tone]}"))
        for sentence in verdict.details:
            out.print(words(sentence))
        forces = panel(reading)
        if forces.sentence:
            out.print(words(forces.sentence))
        for alarm in alarms(reading):
            keys = ", ".join(remedy.key for remedy in alarm.remedies)
            tried = f" Against it: {keys}." if keys else ""
            out.print(words(f"alarm: {alarm.name} {alarm.evidence}{tried}", style="yellow"))
        gates = gate_report(reading)
        print_table(summary_table(reading), out)
        if forces.table.rows:
            print_table(forces.table, out)
        if (side := side_table(reading)).rows:
            print_table(side, out)
        if gates.table.rows:
            print_table(gates.table, out)
        out.print(words(f"{gates.error_level} {gates.problem}".strip()))
        for table in (pairs_table(reading), lineage_table(reading, gates), *cost_tables(reading)):
            print_table(table, out)
    if comparison:
        for table in comparison.tables:
            print_table(table, out)
        out.print(words(comparison.note))


def print_comparison(first: RunView, second: RunView, out: Console) -> None:
    """The keys that differ, what the runs share, then second minus first at every common round and at the last ones.

    Raises DataError where the pools differ.
    """
    a, b = Reading(first), Reading(second)
    rows = compare(a, b)
    keys = recipe_differences(a, b)
    out.print(words(f"\n{comparison_words(rows, a, b)}", style="bold"))
    for state in (run_state(first), run_state(second)):
        if state.word != "finished":
            out.print(
                words(f"{state.name} is {state.word}, in round {state.round} of {state.rounds}. {state.said}".strip())
            )
    if keys.rows:
        print_table(keys, out)
    else:
        out.print(words("\nTheir recipes have the same values."))
    for sentence in shared_rounds(a, b):
        out.print(words(sentence))
    table = comparison_table(rows, a.name, b.name)
    if not table.rows:
        return
    print_table(table, out)
    out.print(
        words(
            f"{HOLM} One run each: they speak for prompts, not for other run seeds; `selfreward ablate` is for those. "
            "Resolvable: the effect that such a comparison finds in 80 % of the cases."
        )
    )


def print_table(table: Table, out: Console) -> None:
    """A table; where it is too wide its cells are folded, and what is still too wide goes into blocks of columns."""
    for part in drawn(table, out.width):
        out.print(part)


def drawn(table: Table, width: int) -> list[Text | RichTable]:
    """The caption, then the table's blocks."""
    parts: list[Text | RichTable] = [words(f"\n{table.caption}", style="italic")]
    for block in fitted(table, width):
        # One blank of each gap is the box's own, between columns.
        made = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1) if block.gap == GAP else (0, 1, 0, 0))
        for index, title in enumerate(block.header):
            made.add_column(words(title), justify="right" if index else "left", no_wrap=True)
        for row in block.rows:
            made.add_row(*map(words, row))
        parts.append(made)
    return parts
