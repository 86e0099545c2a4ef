"""A run's verdict beside it, so that a list of runs says it at once: `verdict.json`, written at the end of the run.

It names the sealed measurements that it was read from. Once the run has others, it counts as none, and the verdict is
made anew from the run's rows (verdict.py), which takes seconds.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from selfreward import __version__
from selfreward.store.files import on_disk, write_durably
from selfreward.store.view import RunView

FILE = "verdict.json"
Tone = Literal["good", "mixed", "bad", "open"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`headline` is the one sentence; `details` are the numbers behind it; `tone` colours it."""

    headline: str
    details: tuple[str, ...]
    tone: Tone


def write_verdict(view: RunView) -> Verdict:
    """Judge the run as it stands and write what was found beside it."""
    from selfreward.report.reading import Reading
    from selfreward.report.verdict import judge_run

    found = judge_run(Reading(view))
    text = json.dumps({**asdict(found), "of": _of(view)}, indent=1, ensure_ascii=False)
    with on_disk(view.path):
        write_durably(view.path / FILE, f"{text}\n".encode())
    return found


def read_verdict(view: RunView) -> Verdict | None:
    """The verdict that was written, where the run has not been measured further since."""
    try:
        told = json.loads((view.path / FILE).read_bytes())
        found = Verdict(told["headline"], tuple(told["details"]), told["tone"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if told.get("of") == _of(view) else None


def verdict_of(view: RunView) -> Verdict:
    """As written, or made now; nothing is written here."""
    if (found := read_verdict(view)) is not None:
        return found
    from selfreward.report.reading import Reading
    from selfreward.report.verdict import judge_run

    return judge_run(Reading(view))


def _of(view: RunView) -> dict[str, Any]:
    """What a verdict depends on: this version's rules, the gates, and every round's measurements."""
    sealed = {str(number): seal.digest for number in view.rounds() if (seal := view.seal(number, "measurements"))}
    return {"version": __version__, "measurements": sealed, "gates": repr(view.recipe().gates)}
