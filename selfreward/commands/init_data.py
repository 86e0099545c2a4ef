"""The user's prompts: dealt to a training file and an evaluation file, and what verifier their answers suit.

A row goes by the hash of its text, so that equal files are dealt alike. Lines of JSON are copied as they stand; rows
of tables (CSV, parquet, what `datasets` saved) become such lines.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from selfreward.errors import DataError, RecipeError
from selfreward.recipe import ColumnsRecipe, FileSource
from selfreward.records import Prompt, stable_id
from selfreward.tasks.pairs_file import ExternalPair, read_pairs
from selfreward.tasks.prompts_file import read_prompts
from selfreward.tasks.row_forms import Form
from selfreward.tasks.tables import open_table
from selfreward.tasks.texts import lines_of
from selfreward.tasks.verifiers.protocol import load_verifier

EVALUATED = 0.4
LEAST = 24
"""Rows: fewer leave pools of which no interval says anything."""

LARGEST = {"gate": 100, "selection": 100, "report": 300}
CANDIDATES = ("ifeval", "json_schema", "numeric", "exact")
"""Verifiers that are tried on rows with answers, the stricter ones first."""


@dataclass(frozen=True, slots=True)
class Dealt:
    """Two files and what goes into them, the pools' sizes, and the verifier that can check what is measured, if any."""

    training: Path
    evaluation: Path
    train: int
    pools: dict[str, int]
    verifier: str
    answered: int
    prompts: Sequence[Prompt]
    texts: Mapping[Path, str]
    pairs: bool = False
    """The training file holds pairs, on which alone is trained."""

    def words(self) -> str:
        """What was dealt, and whether anything says what is right."""
        dealt = f"{self.train} rows to train on, {sum(self.pools.values())} to measure"
        if self.pairs:
            return dealt
        brought = f"{self.answered} of {len(self.prompts)} rows bring something to check"
        if self.verifier == "none":
            return f"{dealt}; {brought}: too few, or of no one kind, so no verifier says what is right"
        return f"{dealt}; {brought}, measured by verifier {self.verifier}"

    def write(self) -> None:
        for path, text in self.texts.items():
            path.write_text(text, encoding="utf-8")


def deal(data: Path, recipe: Path, columns: ColumnsRecipe | None = None) -> Dealt:
    """What goes into `<recipe>.train.jsonl` and `<recipe>.eval.jsonl`. Raises DataError for rows that no run takes.

    Rows whose `columns` have names of their own are dealt under ours, so that the recipe need not name them again.
    Where only some rows bring something to check, and they are enough, those are measured: a truth is worth more there
    than in training, where the judge is asked about the others.
    """
    prompts = read_prompts(data, "train", columns)
    if len(prompts) < LEAST:
        raise DataError(
            f"{data}: {len(prompts)} prompts; expected at least {LEAST} to train on some and measure others"
        )
    order = sorted(range(len(prompts)), key=lambda index: stable_id("init", prompts[index].text))
    wanted = min(int(EVALUATED * len(prompts)), sum(LARGEST.values()) + 1)
    checkable = [index for index in order if prompts[index].answer is not None or prompts[index].meta]
    measured = checkable if len(checkable) >= wanted else order
    evaluated = set(measured[:wanted])
    lines = _lines(data, columns)
    files = _files(recipe)
    texts = {
        path: "".join(f"{lines[index]}\n" for index in sorted(kept))
        for path, kept in zip(files, (set(order) - evaluated, evaluated), strict=True)
    }
    verifier = suited([prompts[index] for index in measured])
    return Dealt(*files, len(prompts) - wanted, _pools(wanted), verifier, len(checkable), prompts, texts)


def deal_pairs(data: Path, recipe: Path) -> Dealt:
    """Pairs to train on in `<recipe>.train.jsonl`, in TRL's form, and other prompts of theirs to measure on."""
    pairs = read_pairs(data)
    prompts = list({pair.prompt.id: pair.prompt for pair in pairs}.values())
    if len(prompts) < LEAST:
        raise DataError(
            f"{data}: pairs about {len(prompts)} prompts; expected at least {LEAST} to train on some and measure others"
        )
    order = sorted(prompts, key=lambda prompt: stable_id("init", prompt.text))
    evaluated = order[: min(int(EVALUATED * len(prompts)), sum(LARGEST.values()) + 1)]
    held_out = {prompt.id for prompt in evaluated}
    kept = [pair for pair in pairs if pair.prompt.id not in held_out]
    training, evaluation = _files(recipe)
    texts = {
        training: "".join(json.dumps(_pair_row(pair)) + "\n" for pair in kept),
        evaluation: "".join(json.dumps({"messages": _turns(prompt)}) + "\n" for prompt in evaluated),
    }
    return Dealt(training, evaluation, len(kept), _pools(len(evaluated)), "none", 0, prompts, texts, pairs=True)


def _pair_row(pair: ExternalPair) -> dict[str, Any]:
    sides = {name: getattr(pair, name) for name in ("chosen", "rejected")}
    return {
        "prompt": _turns(pair.prompt),
        **{name: [{"role": "assistant", "content": text}] for name, text in sides.items()},
        **{name: getattr(pair, name) for name in ("source", "label", "weight")},
    }


def _turns(prompt: Prompt) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in prompt.messages]


def _files(recipe: Path) -> tuple[Path, Path]:
    """Where the training and the evaluation rows go. Raises DataError for a file that is there."""
    files = recipe.with_suffix(".train.jsonl"), recipe.with_suffix(".eval.jsonl")
    for path in files:
        if path.exists():
            raise DataError(f"{path}: exists; choose another --out or remove it")
    return files


def _pools(wanted: int) -> dict[str, int]:
    """Sizes of the pools. One row more than they take: what is dealt to nobody is the rest."""
    share = (wanted - 1) / sum(LARGEST.values())
    return {name: max(2, int(share * size)) for name, size in LARGEST.items()}


def columns_of(named: Sequence[str]) -> ColumnsRecipe | None:
    """`answer=solution` and the like, as a recipe says it. Raises RecipeError for a name that no row has."""
    known = [field.name for field in fields(ColumnsRecipe)]
    found = {}
    for text in named:
        name, _, column = text.partition("=")
        if name not in known or not column:
            raise RecipeError(f"--column {text!r}: expected NAME=COLUMN, where NAME is one of {', '.join(known)}")
        found[name] = column
    return ColumnsRecipe(**found) if found else None


def _lines(data: Path, columns: ColumnsRecipe | None) -> list[str]:
    table = open_table(data)
    if columns is not None:
        form = Form(FileSource(str(data), columns=columns))
        renamed = (form.renamed(row, f"{data}, row {number}") for number, row in enumerate(table.rows(), 1))
        return [json.dumps(row, default=str) for row in renamed]
    if table.word == "line":
        return [line for _, line in lines_of(data)]
    # A date or another value that JSON does not have is in a column that nothing reads.
    return [json.dumps(row, default=str) for row in table.rows()]


def suited(prompts: Sequence[Prompt]) -> str:
    """The first verifier that takes every row, or none."""
    for name in CANDIDATES:
        if all(_takes(name, prompt) for prompt in prompts):
            return name
    return "none"


def _takes(name: str, prompt: Prompt) -> bool:
    if name in ("numeric", "exact") and prompt.answer is None:
        return False
    wanted = {"ifeval": "instruction_id_list", "json_schema": "schema"}.get(name)
    if wanted is not None and (not prompt.meta or wanted not in prompt.meta):
        return False
    try:
        load_verifier(name).require(prompt)
    except DataError:
        return False
    return True
