"""The labelling pages, as text: who labels, one row, the end of a pass.

What models and files said is escaped. No page names the run, a model, a round, a score or who gave a label.
"""

from dataclasses import dataclass
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from selfreward.commands.anchors.key import LEVELS, Key, Kind
from selfreward.commands.anchors.page.closing import agreement_lines
from selfreward.commands.anchors.page.desk import LONGEST_COMMENT, Desk, Pass
from selfreward.report.figures import COLOURS, COLOURS_ON_DARK
from selfreward.roles.catalogue import TEMPLATES, version, words


@dataclass(frozen=True, slots=True)
class Choice:
    """A label that can be given: its place in the levels, its words, and the keys that give it."""

    label: int
    words: str
    keys: tuple[str, ...]


CHOICES: dict[Kind, tuple[Choice, ...]] = {
    "score": tuple(Choice(place, level, (level,)) for place, level in enumerate(LEVELS["score"])),
    "pairs": (
        Choice(2, "A is better", ("ArrowLeft", "a")),
        Choice(1, "tie", ("t",)),
        Choice(0, "B is better", ("ArrowRight", "b")),
    ),
}
SHOWN_KEYS = {"ArrowLeft": "←", "ArrowRight": "→"}


class Pages:
    """All pages of one desk. `root` is the path that they lie under, with the token in it."""

    def __init__(self, desk: Desk, root: str) -> None:
        self.desk, self.root = desk, root
        places = ("selfreward.commands.anchors.page", "selfreward.report")
        loader = ChoiceLoader([PackageLoader(place, ".") for place in places])
        self._jinja = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)

    def style(self) -> str:
        # The style sheet and the script hold no text of a run, so nothing in them is to be escaped.
        sheet = self._jinja.overlay(autoescape=False).get_template("label.css.jinja")
        return sheet.render(colours=COLOURS, colours_on_dark=COLOURS_ON_DARK)

    def script(self) -> str:
        return self._jinja.overlay(autoescape=False).get_template("label.js.jinja").render()

    def start(self) -> str:
        """Who labels, what is left, and how far two agree once both are through."""
        people = {name: self.desk.of(name) for name in self.desk.annotators()}
        through = len(people) > 1 and not any(found.left for found in people.values())
        return self._page(
            "start",
            "Labels by people",
            people=people,
            adjudication=self.desk.of(None),
            rows=len(self.desk.key.rows),
            double=sum(row.double for row in self.desk.key.rows),
            agreement=agreement_lines(self.desk) if through else [],
        )

    def row(self, name: str | None, asked: dict[str, str]) -> str:
        """The row to label now, or the end of the pass. `asked` may name one (`at`) or the one before (`after`)."""
        found = self.desk.of(name)
        after, at = asked.get("after"), found.row(asked.get("at", ""))
        row = at or found.after(after)
        back = found.before(row.id, itself=False) if row and (at or not after) else found.before(after, itself=True)
        done, whole = len(found.rows) - found.left, len(found.rows)
        told: dict[str, Any] = {
            "who": name,
            "done": done,
            "whole": whole,
            "back": back,
            "said": self._said(found, asked),
        }
        if row is None:
            return self._page("end", "Everything here has a label" if whole else "Nothing to adjudicate", **told)
        return self._page(
            "row",
            f"Row {found.rows.index(row) + 1} of {whole}",
            row=row,
            current=found.labels.get(row.id),
            closed=row.id in found.closed,
            comment=found.comments.get(row.id, ""),
            given=[self._level(label) for label in found.given[row.id]] if found.given else [],
            choices=CHOICES[self.desk.key.kind],
            shown_keys=SHOWN_KEYS,
            rubrics=_rubrics(self.desk.key),
            longest=LONGEST_COMMENT,
            **told,
        )

    def problem(self, said: str) -> str:
        return self._page("problem", "This cannot be done", said=said)

    def _said(self, found: Pass, asked: dict[str, str]) -> str:
        """What the last press did, for the live region."""
        before = asked.get("after", "")
        if before in found.labels and found.row(before):
            return f"Saved: {self._level(found.labels[before])}."
        return "Taken back." if "undone" in asked else ""

    def _level(self, label: int) -> str:
        return next(one.words for one in CHOICES[self.desk.key.kind] if one.label == label)

    def _page(self, kind: str, title: str, **told: Any) -> str:
        page = self._jinja.get_template("label.html.jinja")
        return page.render(kind=kind, title=title, root=self.root, **told)


def _rubrics(key: Key) -> list[tuple[str, str]]:
    """What the judge was told, by name; without its words where they do not ship or are others by now."""
    names = sorted({name for row in key.rows for name in row.candidate.template.split(", ")})
    shipped = {version("judge", one): one for one in TEMPLATES["judge"]}
    return [(name, words("judge", shipped[name]) if name in shipped else "") for name in names]
