"""What is said when labelling ends: whose sheets there are, how far the two agree, and the command that goes on."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from selfreward.commands.anchors.key import key_path
from selfreward.commands.anchors.page.desk import Desk
from selfreward.commands.anchors.scoring import between_annotators
from selfreward.commands.anchors.words import block

TITLE = "annotators with each other"


def agreement_lines(desk: Desk) -> list[str]:
    settled = desk.settled()
    found = settled and between_annotators(desk.key, settled)
    return block(TITLE, found) if found else [f"{TITLE}: no row has been labelled by both yet"]


def closing(desk: Desk, sheet: Path) -> list[str]:
    """For the terminal. The judge is not spoken of: whoever labels on may read this."""
    named = desk.annotators()
    if not named:
        return ["nobody has labelled anything"]
    told = []
    for name, path in named.items():
        done = desk.of(name)
        told.append(f"{name}: {len(done.rows) - done.left} of {len(done.rows)} rows: {path}")
    settled = desk.settled()
    if settled is None:
        return [*told, "nothing is labelled yet"]
    told += ["", *agreement_lines(desk)]
    if settled.waiting or settled.adjudicated:
        told.append(f"  {settled.adjudicated} rows are adjudicated, {len(settled.waiting)} wait for it")
    return [*told, "", f"what the labels say of the judge: {_next(list(named.values()), desk, sheet)}"]


def _next(sheets: Sequence[Path], desk: Desk, sheet: Path) -> str:
    third = ["--adjudicated", str(desk.adjudicated)] if desk.adjudicated.exists() else []
    return shlex.join(["selfreward", "anchors", "score", *map(str, sheets), "--key", str(key_path(sheet)), *third])
