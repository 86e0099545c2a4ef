"""What a run is doing, from its files alone: while another process works on it, after that ended, or was killed.

    running        a process holds the run's lock
    finished       the last round is sealed and measured
    stopped        a gate ended it
    failed         an error ended it; the journal has the sentence
    interrupted    neither: it was killed or stopped by hand; the same command goes on

Read without a lock and written nowhere. A run whose recipe cannot be read any more is said to be unreadable, and why.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from selfreward.errors import SelfRewardError
from selfreward.progress.words import duration
from selfreward.recipe import Recipe, measured_rounds
from selfreward.records import Measurement
from selfreward.report.key_metrics import key_rows
from selfreward.report.tables import Table
from selfreward.store.beat import LIVE, Beat, read_beat
from selfreward.store.view import RunView

Word = Literal["running", "finished", "stopped", "failed", "interrupted", "unreadable"]
FRESH_SECONDS = 5.0
"""A beat comes once a second; an older one is told with its age."""


@dataclass(frozen=True)
class RunState:
    """`measured` are the rounds whose measurements are sealed; `beat` is of a stage that is not sealed yet.

    `begun`: when the process that works on it began, where that has told nothing yet. What another one told before it
    was killed is no news of this one.
    """

    view: RunView
    word: Word
    round: int
    rounds: int
    measured: Sequence[int]
    changed: float
    beat: Beat | None = None
    last: str = ""
    said: str = ""
    begun: float | None = None
    gates: Sequence[str] = ()

    @property
    def name(self) -> str:
        return self.view.name

    def measurements(self) -> dict[int, list[Measurement]]:
        return {number: self.view.read(number, "measurements", Measurement) for number in self.measured}

    def key_table(self) -> Table:
        """Rounds across, the few numbers that one looks at first down."""
        header, rows = key_rows(self.measurements())
        return Table("Values with 95 % intervals, report pool; pairs of the training prompts.", header, rows)

    def lines(self, now: float | None = None) -> list[str]:
        """Where the run stands, in a few lines."""
        now = time.time() if now is None else now
        ago = f"last change {duration(max(0.0, now - self.changed))} ago"
        found = [f"{self.word}: round {self.round} of {self.rounds}, {ago}"]
        if self.said:
            found.append(self.said)
        if self.beat:
            found += beat_lines(self.beat, now, running=self.word == "running")
        elif self.begun is not None:
            found.append(f"at work for {duration(max(0.0, now - self.begun))}: models and finished rows are read")
        if not self.beat and self.word in ("running", "failed", "interrupted") and self.last:
            found.append(f"last done: {self.last}")
        return [*found, *self.gates]


def beat_lines(beat: Beat, now: float, *, running: bool) -> list[str]:
    """The stage, how fast it goes and what is left; of a run that is not going on, where it stood."""
    share = f"{beat.done:,}/{beat.total:,} ({beat.done / beat.total:.0%})" if beat.total else f"{beat.done:,}"
    parts = [f"{beat.stage}: {share}", f"{beat.rate:.3g} {'steps' if beat.artifact == 'checkpoint' else 'rows'}/s"]
    if beat.tokens:
        parts.append(f"{beat.tokens:,} tokens, {beat.token_rate:,.0f} tokens/s")
    parts += [beat.note] if beat.note else []
    old = now - beat.time > FRESH_SECONDS
    if running:
        said = f" (told {duration(now - beat.time)} ago)" if old else ""
        rest = beat.later(now)
        left = {"stage": rest.left, "round": rest.round_left, "run": rest.run_left}
        known = [f"{duration(seconds)} of the {what}" for what, seconds in left.items() if seconds is not None]
        return [", ".join(parts) + said, *([f"left: about {', '.join(known)}"] if known else [])]
    left_then = f"; about {duration(beat.run_left)} of the run were left" if beat.run_left is not None else ""
    return [f"it stood at {', '.join(parts)}{left_then}"]


def beat_words(beat: Beat) -> str:
    """The same in a few words, for a list."""
    share = f" {beat.done / beat.total:.0%}" if beat.total else ""
    left = f", about {duration(beat.later().run_left or 0)} of the run left" if beat.run_left is not None else ""
    return f"{beat.stage}{share}{left}"


def run_state(view: RunView) -> RunState:
    """The state of a run now."""
    changed = max((_modified(view.path / name) for name in ("journal.jsonl", LIVE, "recipe.yaml")), default=0.0)
    numbers = view.rounds()
    held = view.is_held()
    try:
        recipe, events = view.recipe(), view.events()
    except SelfRewardError as problem:
        return RunState(view, "unreadable", max(numbers, default=0), 0, (), changed, said=str(problem))
    measured = [number for number in numbers if view.seal(number, "measurements")]
    word, said = _word(recipe, measured, events, held)
    beat = read_beat(view.path)
    if word in ("finished", "stopped") or (beat and view.seal(beat.round, beat.artifact)):
        beat = None
    begun = _begun(events) if word == "running" else None
    if begun is not None and beat is not None and beat.time >= begun:
        begun = None
    return RunState(
        view,
        word,
        max(numbers, default=0),
        recipe.rounds,
        measured,
        changed,
        None if begun else beat,
        _last(events),
        said,
        begun,
        gate_lines(events, numbers),
    )


def runs_in(directory: Path) -> list[RunView]:
    """The runs of a results directory by name, or the one run that `directory` is."""
    if (directory / "recipe.yaml").is_file():
        return [RunView(directory)]
    return [RunView(path.parent) for path in sorted(directory.glob("*/recipe.yaml"))]


def _word(recipe: Recipe, measured: Sequence[int], events: Sequence[dict[str, Any]], held: bool) -> tuple[Word, str]:
    if held:
        return "running", ""
    decided = {event["round"]: event["decision"] for event in events if event.get("event") == "verdict"}
    if measured and decided.get(measured[-1]) == "stop":
        return "stopped", "a gate stopped it"
    if measured and measured[-1] >= measured_rounds(recipe)[-1]:
        return "finished", ""
    ended = [event for event in events if event.get("event") in ("began", "failed")]
    if ended and ended[-1]["event"] == "failed":
        return "failed", str(ended[-1].get("said", ""))
    return "interrupted", "the same command goes on"


def gate_lines(events: Sequence[dict[str, Any]], numbers: Sequence[int]) -> list[str]:
    """What the gates decided after each round, as the journal has it; the last word on a round counts."""
    decided: dict[int, str] = {}
    for event in events:
        if event.get("event") == "verdict" and event["round"] in numbers:
            start = event.get("next_start")
            back = f", back to round {start}" if event["decision"] == "rollback" else ""
            decided[event["round"]] = f"gates after round {event['round']}: {event['decision']}{back}"
    return [decided[number] for number in sorted(decided)]


def _begun(events: Sequence[dict[str, Any]]) -> float | None:
    """When the last process began, while nothing that it made is in the journal."""
    begun = None
    for event in events:
        if event["event"] == "began":
            begun = event.get("time")
        elif event["event"] in ("chunk_started", "chunk_done", "linked", "sealed"):
            begun = None
    return begun


def _last(events: Sequence[dict[str, Any]]) -> str:
    done = [event for event in events if event.get("event") in ("sealed", "linked", "chunk_done")]
    if not done:
        return ""
    event = done[-1]
    chunk = f", chunk {event['chunk'] + 1}" if "chunk" in event else ""
    return f"round {event['round']}: {event['artifact']}{chunk}"


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
