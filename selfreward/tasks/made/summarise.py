"""60 short reports of events that did not happen, put together by rule, to be summarised in two sentences.

`meta.context` is the text, so that numbers and names of a summary that it does not have are counted (groundedness by
rule, in a cohort). The cohort is the report's frame. The last third is held out: with other facts, not other frames.
"""

import random
from importlib.resources import files
from typing import Any

import yaml

from selfreward.records import seed_for
from selfreward.tasks.made.made import Made

TEXTS, MEASURED = 60, 20
ASKED = "Summarise this report in at most two sentences.\n\n{text}"


def rows() -> list[Made]:
    told: dict[str, Any] = yaml.safe_load((files(__package__) / "summarise.yaml").read_text(encoding="utf-8"))
    found: list[Made] = []
    for number in range(TEXTS):
        rng = random.Random(seed_for("summarise", number))
        frame = number % len(told["frames"])
        facts = {name: rng.choice(values) for name, values in told["facts"].items()}
        text = " ".join(sentence.format(**facts) for sentence in told["frames"][frame])
        apart = number >= TEXTS - MEASURED
        found.append(Made(ASKED.format(text=text), text, f"frame {frame + 1}", {"context": text}, held_out=apart))
    return found
