"""Runs and one run in the terminal."""

import time
from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from selfreward.errors import SelfRewardError
from selfreward.progress.words import duration
from selfreward.report.state import RunState, beat_words, run_state
from selfreward.report.tables import DASH
from selfreward.report.terminal import COLOURS, drawn, words
from selfreward.report.verdict_file import Verdict, read_verdict, verdict_of
from selfreward.store.view import RunView

STATES = {"running": "cyan", "finished": "green", "stopped": "yellow", "failed": "red", "unreadable": "red"}


def print_listing(views: Sequence[RunView], out: Console) -> None:
    """One row for each run; only the verdict is folded where the terminal is narrow."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("run", "round", "state", "changed"):
        table.add_column(name, no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for view in views:
        state = run_state(view)
        said = verdict(state)
        tone = COLOURS[said.tone] if said else STATES.get(state.word, "")
        table.add_row(
            words(view.name),
            rounds_of(state),
            words(state.word, style=STATES.get(state.word, "")),
            f"{age(state)} ago",
            words(said_of(state), style=tone),
        )
    out.print(table)


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


def status_parts(state: RunState) -> list[RenderableType]:
    """What `status` shows."""
    head = words(state.name, style="bold underline")
    first, *rest = state.lines()
    parts: list[RenderableType] = [head, words(first, style=STATES.get(state.word, "")), *map(words, rest)]
    if state.measured:
        parts += [words(""), *drawn(state.key_table(), 120)]
    if (found := verdict(state)) is not None:
        parts.append(words(found.headline, style=f"bold {COLOURS[found.tone]}"))
    return parts


def print_status(view: RunView, out: Console) -> None:
    for part in status_parts(run_state(view)):
        out.print(part)


def watch(view: RunView, every: float, out: Console) -> None:
    """Until no process works on the run any more. Without a terminal, a line whenever there is something new."""
    state = run_state(view)
    if out.is_terminal and state.word == "running":
        with Live(Group(*status_parts(state)), console=out, auto_refresh=False) as live:
            while state.word == "running":
                time.sleep(every)
                state = run_state(view)
                live.update(Group(*status_parts(state)), refresh=True)
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
