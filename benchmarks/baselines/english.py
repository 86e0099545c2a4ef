"""What a real model is asked in a round: short English requests.

The requests are about the training topics of the English world, so no evaluation prompt shares its topic. They ask for
one sentence, because an answer that is cut off can be in no pair.
"""

import itertools
import json
from pathlib import Path

from selfreward.tasks.english.requests import topics

ASKED = (
    "Tell me something useful about {}.",
    "What is a common mistake with {}?",
    "Why do people care about {}?",
    "What should a beginner know about {}?",
)
ONE_SENTENCE = "Answer in one short sentence."


def write_prompts(path: Path, count: int, *, held_out: bool = False) -> Path:
    """`count` requests as a file of prompts. Raises SystemExit where there are not as many."""
    known = itertools.product(topics(held_out=held_out), ASKED)
    texts = [f"{asked.format(topic)} {ONE_SENTENCE}" for topic, asked in known]
    if count > len(texts):
        raise SystemExit(f"{count} prompts are wanted and {len(texts)} are there: lower --prompts or --repeats")
    path.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts[:count]), encoding="utf-8")
    return path
