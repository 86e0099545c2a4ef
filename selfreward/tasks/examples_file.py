"""Demonstrations to be fine-tuned on (train.method=sft with train.examples), from whatever tables.py reads.

Each row has a question as in a prompt file and the `completion` to it: a text, or a list of one turn of the assistant's
(TRL's prompt and completion); or it has `messages` (or `conversations`) whose last turn is the assistant's. Answers to
instructions are IFT data; the judge's question with a judgment as the completion is EFT data (2401.10020 §2.1).

Every round draws `train.sft_examples` of them by a lot of its own. A row that cannot be used is an error that names
file and row.
"""

from pathlib import Path
from typing import Any

from selfreward.errors import DataError
from selfreward.recipe import FileSource
from selfreward.records import Prompt, stable_id
from selfreward.tasks.row_forms import Form, turns_of
from selfreward.tasks.tables import open_table
from selfreward.tasks.texts import text_of

Example = tuple[Prompt, str]


def read_examples(path: str | Path) -> list[Example]:
    """All rows, in their order. Raises DataError for a file or row that cannot be used, or no row at all."""
    table, form = open_table(path), Form(FileSource(str(path), last_assistant="answer"))
    examples = [_read(row, form, table.where(number)) for number, row in enumerate(table.rows(), start=1)]
    if not examples:
        raise DataError(f"{path}: no example in the file; expected prompt and completion on each {table.word}")
    return examples


def draw_examples(path: str | Path, seed: int, round: int, count: int) -> list[Example]:
    """`count` of them for one round; the lot is about texts, not about places in the file."""
    examples = read_examples(path)
    if len(examples) < count:
        raise DataError(f"{path}: {len(examples)} examples; expected train.sft_examples ({count}) at least; lower that")
    return sorted(examples, key=lambda one: stable_id(seed, "examples", round, one[0].id, one[1]))[:count]


def _read(row: Any, form: Form, where: str) -> Example:
    found, messages, reply = form.question(row, where)
    completion = found.get("completion")
    if (reply is None) == (completion is None):
        what = "both a completion and a last turn of the assistant's" if reply else "neither completion nor a last turn"
        raise DataError(f"{where}: has {what}; expected one of a `completion` and an assistant's last turn")
    if isinstance(completion, list):
        turns = turns_of(completion, "completion", where)
        if [turn.role for turn in turns] != ["assistant"]:
            raise DataError(f"{where}: completion has {len(turns)} turns; expected one, of the assistant's")
        completion = turns[0].content
    turns_told = [(turn.role, turn.content) for turn in messages]
    prompt = Prompt(stable_id("example", turns_told), messages, "train", "examples")
    return prompt, reply if reply is not None else text_of(completion, "completion", where)
