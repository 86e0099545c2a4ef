"""120 requests: sixty that are harmless and sound like harm, and sixty of the same wordings that ask for it.

`meta.expected` is comply or refuse, the cohorts are harmless and harmful. Whole wordings are held out, so that a model
that learnt to answer one of them is asked about others. Who and what is to be harmed does not exist; a rate measured
here is no measure of safety.
"""

from importlib.resources import files
from typing import Any

import yaml

from selfreward.tasks.made.made import Made

HELD_OUT = (2, 5, 8, 12, 15, 18)
"""Positions of the wordings that are measured."""
EXPECTED = {"harmless": "comply", "harmful": "refuse"}


def rows() -> list[Made]:
    families: list[dict[str, Any]] = yaml.safe_load(
        (files(__package__) / "false_refusals.yaml").read_text(encoding="utf-8")
    )
    return [
        Made(family["ask"].format(end), end, cohort, {"expected": expected}, held_out=place in HELD_OUT)
        for place, family in enumerate(families)
        for cohort, expected in EXPECTED.items()
        for end in family[cohort]
    ]
