"""The pages of `selfreward view`, as text: the runs, one run, its report, its prompts, one prompt.

What models and files said is escaped; only our own SVG is marked as safe. A page is made anew at each request; what was
read of a run is kept until another of its artifacts is sealed.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from selfreward.commands.see.listing import age, rounds_of, said_of, verdict
from selfreward.errors import DataError
from selfreward.records import Prompt
from selfreward.report.charts import Chart, metric_chart
from selfreward.report.figures import COLOURS, COLOURS_ON_DARK
from selfreward.report.html import report_page
from selfreward.report.key_metrics import KEYS
from selfreward.report.reading import Key, Reading
from selfreward.report.show import facts, find_prompt, prompt_rounds
from selfreward.report.state import RunState, run_state, runs_in
from selfreward.store.view import RunView

KEPT = 4
"""Runs whose rows are kept in memory."""
PAGE = 50
"""Prompts on a page."""

Made = TypeVar("Made")


class Pages:
    """All pages about the runs in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        loader = ChoiceLoader([PackageLoader("selfreward.commands.see", "."), PackageLoader("selfreward.report", ".")])
        self._jinja = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
        self._jinja.filters["path"] = lambda text: quote(text, safe="")
        self._kept: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self._lock = threading.RLock()

    def view(self, name: str) -> RunView:
        """The run of that name. A name is looked up among those that are there and never becomes a path.

        Raises DataError where there is none.
        """
        for view in runs_in(self.directory):
            if view.name == name:
                return view
        raise DataError(f"no run {name!r} in {self.directory}")

    def style(self) -> str:
        # The style sheet holds no text of a run, so nothing in it is to be escaped.
        sheet = self._jinja.overlay(autoescape=False).get_template("view.css.jinja")
        return sheet.render(colours=COLOURS, colours_on_dark=COLOURS_ON_DARK)

    def script(self) -> str:
        return self._jinja.overlay(autoescape=False).get_template("view.js.jinja").render()

    def runs(self) -> str:
        states = [run_state(view) for view in runs_in(self.directory)]
        rows = [(state, rounds_of(state), age(state), self._said(state)) for state in states]
        return self._page("runs", f"Runs in {self.directory}", rows=rows)

    def run(self, name: str) -> str:
        state = run_state(self.view(name))
        return self._page(
            "run",
            name,
            state=state,
            lines=state.lines(),
            verdict=self._verdict(state),
            table=state.key_table() if state.measured else None,
            charts=self._charts(state),
        )

    def report(self, name: str) -> str:
        """The report as `selfreward report` would write it now."""
        view = self.view(name)
        return self._once(view, "report", lambda: report_page(view))

    def prompts(self, name: str, pool: str, query: str, number: int) -> str:
        """One page of the prompts of a pool (`report`, `gate`, `selection`, or the number of a training round)."""
        reading = self._reading(name)
        places: list[str] = [*dict.fromkeys(prompt.pool for prompt in reading.pools.values())]
        places += [f"round {trained}" for trained in reading.rounds[1:] if reading.prompts_of(trained)]
        pool = next((place for place in (pool, "report", *places) if place in places), "")
        found = [prompt for prompt in _of(reading, pool) if query.casefold() in _text(prompt).casefold()]
        last = max(0, (len(found) - 1) // PAGE)
        number = min(max(0, number), last)
        rows = [(prompt, list(self._rounds(reading, prompt))) for prompt in found[number * PAGE : (number + 1) * PAGE]]
        about = {"places": places, "pool": pool, "query": query, "number": number, "last": last, "count": len(found)}
        return self._page("prompts", f"Prompts of {name}", run=name, rows=rows, text=_text, **about)

    def prompt(self, name: str, prompt_id: str) -> str:
        """One prompt with all that is known about it; what `selfreward show` prints."""
        reading = self._reading(name)
        prompt, number = find_prompt(reading, prompt_id)
        rounds = list(prompt_rounds(reading, prompt, number))
        return self._page("prompt", f"A prompt of {name}", run=name, prompt=prompt, rounds=rounds, facts=facts)

    def problem(self, said: str) -> str:
        return self._page("problem", "This cannot be shown", said=said)

    def _page(self, kind: str, title: str, **told: Any) -> str:
        return self._jinja.get_template("view.html.jinja").render(kind=kind, title=title, **told)

    def _verdict(self, state: RunState) -> Any:
        return self._once(state.view, "verdict", lambda: verdict(state), state.word == "running")

    def _said(self, state: RunState) -> str:
        found = self._verdict(state)
        return said_of(state) if state.said or state.beat or found is None else found.headline

    def _charts(self, state: RunState) -> list[Chart]:
        if not state.measured:
            return []
        reading = self._reading(state.name)
        found = [metric_chart([reading], Key(metric, pool)) for metric, pool in KEYS]
        return [chart for chart in found if chart]

    def _reading(self, name: str) -> Reading:
        view = self.view(name)
        return self._once(view, "reading", lambda: Reading(view))

    def _once(self, view: RunView, what: str, make: Callable[[], Made], *more: Any) -> Made:
        """Made once for as long as the run has no other seals."""
        seals = tuple(seal.digest for number in view.rounds() for seal in view.seals(number))
        key = (view.path, what, seals, *more)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = make()
                large = [one for one in self._kept if one[1] != "verdict"]
                for old in large[: max(0, len(large) - 2 * KEPT)]:
                    del self._kept[old]
            return self._kept[key]

    def _rounds(self, reading: Reading, prompt: Prompt) -> Iterator[Mapping[str, Any]]:
        """For the list: the share of right answers and the judge's mean of each round."""
        number = None if prompt.pool != "train" else find_prompt(reading, prompt.id)[1]
        for row in prompt_rounds(reading, prompt, number):
            scores = [answer["score"] for answer in row["answers"] if answer["score"] is not None]
            truths = [answer["correct"] for answer in row["answers"] if answer["correct"] is not None]
            yield {
                "round": row["round"],
                "score": sum(scores) / len(scores) if scores else None,
                "right": sum(truths) if truths else None,
                "answers": len(row["answers"]),
            }


def _of(reading: Reading, pool: str) -> list[Prompt]:
    if pool.startswith("round "):
        return list(reading.prompts_of(int(pool.removeprefix("round "))))
    return [prompt for prompt in reading.pools.values() if prompt.pool == pool]


def _text(prompt: Prompt) -> str:
    """All turns, where there are several."""
    if len(prompt.messages) == 1:
        return prompt.text
    return "\n".join(f"{turn.role}: {turn.content}" for turn in prompt.messages)
