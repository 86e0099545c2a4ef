"""Runs and one run in the terminal."""

import time
from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from selfreward.errors import SelfRewardError
from selfreward.progress.words import duration
from selfreward.report.state import RunState, beat_words, run_state
from selfreward.report.tables import DASH
from selfreward.report.terminal import COLOURS, drawn, words
from selfreward.report.verdict_file import Verdict, read_verdict, verdict_of
from selfreward.store.view import RunView

STATES = {"running": "cyan", "finished": "green", "stopped": "yellow", "failed": "red", "unreadable": "red"}
PATIENCE = 15.0
"""Seconds for a process that is going on with a run to say so: it has much to import first."""
VERDICT = 36
"""Characters that a column of verdicts needs."""


def print_listing(views: Sequence[RunView], out: Console) -> None:
    """One row for each run. Where a verdict would be folded into a thin column, it stands below its run instead."""
    rows = [_row(view) for view in views]
    heads = [Text(name, style="bold") for name in ("run", "round", "state", "changed")]
    widths = [max(len(row[place]) for row in (heads, *rows)) for place in range(len(heads))]
    if out.width - sum(widths) - 3 * len(widths) - 2 < VERDICT:
        for *cells, said in rows:
            line = Text("  ").join(_filled(cell, width) for cell, width in zip(cells, widths, strict=True))
            out.print(line, soft_wrap=True)
            out.print(Padding(said, (0, 0, 0, 4), expand=False))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        table.add_column(head, no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for row in rows:
        table.add_row(*row)
    out.print(table)


def _row(view: RunView) -> tuple[Text, ...]:
    state = run_state(view)
    said = verdict(state)
    return (
        words(view.name),
        words(rounds_of(state)),
        words(state.word, style=STATES.get(state.word, "")),
        words(f"{age(state)} ago"),
        words(said_of(state), style=COLOURS[said.tone] if said else STATES.get(state.word, "")),
    )


def _filled(cell: Text, width: int) -> Text:
    cell.pad_right(width - len(cell))
    return cell


def rounds_of(state: RunState) -> str:
    """The last round of a run that is over; of one that is not, the round that it is in."""
    if not state.rounds:
        return DASH
    return f"{'' if state.word == 'finished' else 'in '}{state.round}/{state.rounds}"


def age(state: RunState, now: float | None = None) -> str:
    """How long ago a file of it changed: days, where they are many."""
    seconds = max(0.0, (time.time() if now is None else now) - state.changed)
    return f"{seconds / 86400:.0f} days" if seconds > 2 * 86400 else duration(seconds)


def said_of(state: RunState) -> str:
    """The verdict of a run that is over; else what is known instead."""
    if state.said and state.word in ("failed", "unreadable"):
        return state.said
    if state.word == "running" and state.beat:
        return beat_words(state.beat)
    found = verdict(state)
    return found.headline if found else DASH


def verdict(state: RunState) -> Verdict | None:
    """The verdict so far: of a run that goes on only if it was written, for it would be another in a minute."""
    if not state.measured:
        return None
    try:
        return read_verdict(state.view) if state.word == "running" else verdict_of(state.view)
    except SelfRewardError:
        return None


def status_parts(state: RunState, width: int) -> list[RenderableType]:
    """What `status` shows, in `width` columns."""
    head = words(state.name, style="bold underline")
    first, *rest = state.lines()
    parts: list[RenderableType] = [head, words(first, style=STATES.get(state.word, "")), *map(words, rest)]
    if state.measured:
        parts += [words(""), *drawn(state.key_table(), width)]
    if (found := verdict(state)) is not None:
        parts.append(words(found.headline, style=f"bold {COLOURS[found.tone]}"))
    return parts


def print_status(view: RunView, out: Console) -> None:
    for part in status_parts(run_state(view), out.width):
        out.print(part)


def watch(view: RunView, every: float, out: Console, patience: float = PATIENCE) -> None:
    """Until no process works on the run any more. Without a terminal, a line whenever there is something new."""
    state = run_state(view)
    if state.word in ("interrupted", "failed"):
        state = _taken_up(state, every, out, patience)
    if out.is_terminal and state.word == "running":
        with Live(Group(*status_parts(state, out.width)), console=out, auto_refresh=False) as live:
            while state.word == "running":
                time.sleep(every)
                state = run_state(view)
                live.update(Group(*status_parts(state, out.width)), refresh=True)
        return
    told = ""
    while state.word == "running":
        stage = state.lines()[1:2]
        if stage and stage[0] != told:
            told = stage[0]
            out.print(words(told), soft_wrap=True)
        time.sleep(every)
        state = run_state(view)
    print_status(view, out)


def _taken_up(state: RunState, every: float, out: Console, patience: float) -> RunState:
    """The state once a process works on the run again, or after `patience` seconds."""
    out.print(words(f"{state.name}: {state.word}; {patience:.0f} s are waited for a process that takes it up"))
    until = time.monotonic() + patience
    while state.word in ("interrupted", "failed") and time.monotonic() < until:
        time.sleep(min(every, 0.5))
        state = run_state(state.view)
    return state
