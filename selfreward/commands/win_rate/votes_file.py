"""Files of preferences between two answers, each read as votes: who met whom on which prompt, who won, how long.

    annotations of alpaca_eval   a JSON list (or JSON Lines) of objects with `instruction`, `output_1` and `output_2`,
                                 `generator_1` and `generator_2`, and `preference`: from 1 (the first answer is better)
                                 to 2 (the second is), 0 and 1.5 a tie, null unread. The second model is the one asked
                                 about, the first the baseline
    pairwise votes               JSON Lines, a JSON list or CSV with `model_a`, `model_b` and either `winner` (model_a,
                                 model_b, tie, or empty: unread) or `preference` (chance that a is better, 0 to 1);
                                 optionally `prompt` (or `prompt_id`, `question_id`), and `length_a` and `length_b` in
                                 characters or the texts `response_a` and `response_b`
    comparisons of a run         JSON Lines as a pairwise judge's artifacts are, with the files of the responses that
                                 they name. A pair is read in both orders; where they differ it is a tie

A row that cannot be read is an error that names file, row and key; a vote that nobody gave is kept, without a winner.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfreward.errors import DataError
from selfreward.records import Comparison, Response, from_line
from selfreward.tasks.texts import kind_of, lines_of

FORMS = (
    "expected alpaca_eval annotations (instruction, output_1, output_2, preference), pairwise votes (model_a, model_b, "
    "winner or preference), or a run's comparisons (first_id, second_id, preference)"
)
PROMPTS = ("prompt", "prompt_id", "question_id", "instruction")
WINNERS = {"model_a": 1.0, "a": 1.0, "model_b": 0.0, "b": 0.0, "tie": 0.5, "tie (bothbad)": 0.5, "both": 0.5}
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Vote:
    """`win` is 1 where `model` won and 0 where `against` did, None where nobody says; `characters`: how much longer."""

    prompt: str
    model: str
    against: str
    win: float | None
    characters: int | None
    baseline: bool = False

    def swap(self) -> "Vote":
        """The same vote seen from the other side."""
        characters = None if self.characters is None else -self.characters
        return Vote(self.prompt, self.against, self.model, None if self.win is None else 1 - self.win, characters)


def read_votes(path: Path, responses: Sequence[Path] = ()) -> list[Vote]:
    """All votes of a file. Raises DataError as the module says."""
    rows = [(f"{path}, row {number}", row) for number, row in _rows(path)]
    if not rows:
        raise DataError(f"{path}: no rows in the file; {FORMS}")
    first = rows[0][1]
    if "first_id" in first:
        return _compared(path, responses)
    if responses:
        raise DataError(f"{path}: these rows name no responses, so no file of responses is read; leave it out")
    if "output_1" in first:
        return [_annotated(row, where) for where, row in rows]
    if "model_a" in first:
        return [_voted(row, where, number) for number, (where, row) in enumerate(rows, start=1)]
    raise DataError(f"{rows[0][0]}: its keys are {', '.join(map(repr, list(first)[:8]))}; {FORMS}")


def _rows(path: Path) -> Iterable[tuple[int, Row]]:
    lines = lines_of(path)
    if path.suffix.lower() == ".csv":
        text = "\n".join(line for _, line in lines)
        yield from enumerate(csv.DictReader(io.StringIO(text, newline=""), restval=""), start=1)
        return
    whole = "\n".join(line for _, line in lines)
    if whole.lstrip().startswith("["):
        found = _json(whole, str(path))
        pairs = list(enumerate(found, start=1))
    else:
        pairs = [(number, _json(line, f"{path}, row {number}")) for number, line in lines if line.strip()]
    for number, row in pairs:
        if not isinstance(row, dict):
            raise DataError(f"{path}, row {number}: {kind_of(row)}; expected an object")
        yield number, row


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise DataError(f"{where}: not JSON ({problem}); {FORMS}") from problem


def _annotated(row: Row, where: str) -> Vote:
    texts = [_text(row, name, where) for name in ("output_1", "output_2")]
    win = _number(row, "preference", where, 0.0, 2.0)
    if win is not None and win != 0 and win < 1:
        raise DataError(f"{where}: preference is {win:g}; expected 1 (first is better) to 2 (second is), 0 for a tie")
    known = None if win is None else 0.5 if win == 0 else win - 1
    models = [str(row.get(name) or name) for name in ("generator_2", "generator_1")]
    characters = len(texts[1]) - len(texts[0])
    return Vote(_text(row, "instruction", where), models[0], models[1], known, characters, baseline=True)


def _voted(row: Row, where: str, number: int) -> Vote:
    models = [_text(row, name, where) for name in ("model_a", "model_b")]
    if "winner" in row:
        said = row["winner"]
        if said not in (None, "", *WINNERS):
            raise DataError(f"{where}: winner is {said!r}; expected one of {', '.join(WINNERS)}, or nothing")
        win = WINNERS[said] if said else None
    elif "preference" in row:
        win = _number(row, "preference", where, 0.0, 1.0)
    else:
        raise DataError(f"{where}: neither 'winner' nor 'preference' is there; {FORMS}")
    prompt = next((str(row[name]) for name in PROMPTS if row.get(name) not in (None, "")), f"row {number}")
    lengths = [_length(row, side, where) for side in "ab"]
    characters = None if lengths[0] is None or lengths[1] is None else lengths[0] - lengths[1]
    return Vote(prompt, models[0], models[1], win, characters)


def _length(row: Row, side: str, where: str) -> int | None:
    if f"length_{side}" in row:
        length = _number(row, f"length_{side}", where, 0.0, math.inf)
        return None if length is None else round(length)
    return len(_text(row, f"response_{side}", where)) if f"response_{side}" in row else None


def _text(row: Row, name: str, where: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        said = f"{kind_of(value)}" if name in row else "missing"
        raise DataError(f"{where}: {name} is {said}; expected text")
    return value


def _number(row: Row, name: str, where: str, low: float, high: float) -> float | None:
    """The number, None where it is null, empty or NaN: nobody said."""
    value = row.get(name)
    if value is None or value == "":
        return None
    try:
        number = float("x") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError) as problem:
        raise DataError(f"{where}: {name} is {value!r}; expected a number or nothing") from problem
    if math.isnan(number):
        return None
    if not low <= number <= high:
        raise DataError(f"{where}: {name} is {number:g}; expected {low:g} to {high:g}")
    return number


def _compared(path: Path, responses: Sequence[Path]) -> list[Vote]:
    if not responses:
        raise DataError(f"{path}: a run's comparisons name answers only; name their files with --responses")
    known: dict[str, Response] = {}
    for file in responses:
        for number, line in lines_of(file):
            answer = from_line(Response, line, f"{file}, row {number}")
            known[answer.id] = answer
    rows = [from_line(Comparison, line, f"{path}, row {number}") for number, line in lines_of(path)]
    for number, row in enumerate(rows, start=1):
        for key in ("first_id", "second_id"):
            if getattr(row, key) not in known:
                raise DataError(f"{path}, row {number}: {key} {getattr(row, key)!r} is in none of the response files")
    said = {(row.first_id, row.second_id): row.preference for row in rows}
    votes = []
    for row in rows:
        if row.first_id > row.second_id and (row.second_id, row.first_id) in said:
            continue
        one, other = known[row.first_id], known[row.second_id]
        here, there = row.preference, said.get((row.second_id, row.first_id))
        read = here is not None and there is not None
        sides = [] if not read else [_sign(here), 1 - _sign(there)]
        win = None if not read else sides[0] if sides[0] == sides[1] else 0.5
        votes.append(Vote(row.prompt_id, one.policy, other.policy, win, len(one.text) - len(other.text)))
    return votes


def _sign(preference: float | None) -> float:
    return 0.5 if preference is None or preference == 0.5 else float(preference > 0.5)
