"""What each metric means, in the words of the file that measures it: for a tooltip, and for a list at the end.

The definitions stand in the docstrings of `measuring/metrics/`, as lines `name  meaning`, a name standing for several
(`kl_{previous,initial}_k3`, `pass_at_k`, `ead` for `ead_per_input`). A metric without such a line has the question that
its file opens with; one that nobody told about, as somebody's own, has none.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

from selfreward.measuring.metrics import abouts
from selfreward.report.catalogue import family_of, words

NAME = r"[a-z][a-z0-9_]*(?:[{][^}]*[}][a-z0-9_]*)*"
ENTRY = re.compile(rf"^ *(?P<names>{NAME}(?:, _?[a-z0-9_]+)*) {{2,}}(?P<said>\S.*)$")


@dataclass(frozen=True, slots=True)
class Term:
    """A metric for people. `anchor` is its place in the glossary."""

    metric: str
    name: str
    family: str
    meaning: str

    @property
    def anchor(self) -> str:
        return f"term-{self.metric}"


def term(metric: str) -> Term:
    return Term(metric, words(metric), family_of(metric).name, _meanings().get(metric, ""))


@cache
def _meanings() -> dict[str, str]:
    """Metric → meaning."""
    found = {}
    for module, about in abouts().items():
        text = sys.modules[module].__doc__ or ""
        told = dict(definitions(text))
        for metric in about.metrics:
            said = told.get(metric.name) or told.get(_general(metric.name, told))
            found[metric.name] = said or text.partition("\n")[0]
    return found


def definitions(text: str) -> Iterator[tuple[str, str]]:
    """(name, meaning) of every line that defines one, with the lines that go on with it."""
    lines = text.splitlines()
    for place, line in enumerate(lines):
        entry = ENTRY.match(line)
        if entry is None:
            continue
        said, column = [entry["said"]], entry.start("said")
        for more in lines[place + 1 :]:
            if not more.strip() or len(more) - len(more.lstrip()) < column:
                break
            said.append(more.strip())
        meaning = " ".join(said).replace("`", "")
        for name in _names(entry["names"]):
            yield name, meaning


def _names(spec: str) -> Iterator[str]:
    """The names that a spelling such as `a_{b,c}, _d` stands for."""
    first = ""
    for one in re.split(r", (?![^{]*[}])", spec):
        parts = [part.split(",") for part in re.split(r"[{}]", one)]
        for name in map("".join, product(*parts)):
            yield name if not name.startswith("_") else first.rsplit("_", 1)[0] + name
            first = first or name


def _general(name: str, told: dict[str, str]) -> str:
    """The defined name that a metric is a case of: the same with other numbers, or the longest that begins it."""
    plain = re.sub(r"_(\d+|k)(?=_|$)", "_#", name)
    same = [one for one in told if re.sub(r"_(\d+|k)(?=_|$)", "_#", one) == plain]
    begins = sorted((one for one in told if name.startswith(f"{one}_")), key=len)
    return (same or begins[::-1] or [""])[0]
