"""Prompts from the user's data (tables.py: files, saved data sets, the hub), and one source split into pools.

Each row is one of the forms of row_forms.py, most simply an object with `prompt` or `messages`. `id` and `cohort` are
optional strings, `answer` is the gold answer (a string or a number) and `meta` an object for the verifier; other keys
are the file's own business and are not read. A row that cannot be used is an error that names file and row.

Of a source of any size only the prompts that a run needs are kept: a first reading takes three numbers of each row, a
second one the chosen rows.
"""

import dataclasses
import itertools
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfreward.errors import DataError
from selfreward.recipe import ColumnsRecipe, FileSource
from selfreward.records import Message, Pool, Prompt, stable_id
from selfreward.tasks.row_forms import FORM, Form
from selfreward.tasks.tables import open_table, parse_line
from selfreward.tasks.texts import quoted


def read_prompts(path: str | Path, pool: Pool, columns: ColumnsRecipe | None = None) -> list[Prompt]:
    """All prompts of a file, in its order. Raises DataError for a file or row that cannot be used, or no row at all."""
    file = PromptFile(FileSource(str(path), columns=columns or ColumnsRecipe()), pool)
    keys = file.numbers(lambda _: "0")
    return file.prompts(keys.kept())


def read_question(line: str, where: str) -> tuple[dict[str, Any], tuple[Message, ...]]:
    """The object of a line of JSON Lines, and the messages that its `prompt` or `messages` stand for."""
    row, messages, _ = Form().question(parse_line(line, where), where)
    return row, messages


@dataclass
class Numbers:
    """Of each row: the hashes of its text and of its id, and the key that it is drawn by. 64 bits each.

    Two of a million texts share 64 bits by chance once in forty million files.
    """

    texts: "array[int]" = field(default_factory=lambda: array("Q"))
    ids: "array[int]" = field(default_factory=lambda: array("Q"))
    keys: "array[int]" = field(default_factory=lambda: array("Q"))

    def kept(self) -> list[int]:
        """The positions of the rows whose text is no repeat of an earlier one's."""
        import numpy

        return sorted(numpy.unique(numpy.frombuffer(self.texts, numpy.uint64), return_index=True)[1].tolist())

    def least(self, count: int) -> list[int]:
        """The `count` of them whose keys are least, the least first."""
        import numpy

        kept = numpy.array(self.kept())
        order = numpy.argsort(numpy.frombuffer(self.keys, numpy.uint64)[kept], kind="stable")
        return list(map(int, kept[order[:count]]))


@dataclass(frozen=True)
class PromptFile:
    """The prompts of one source, of which as many are taken as are needed."""

    source: FileSource
    pool: Pool

    def numbers(self, key: Callable[[Prompt], str]) -> Numbers:
        """The first reading. Raises DataError for a row that cannot be used, and for repeats where they are refused."""
        table, form, numbers = open_table(self.source.path), Form(self.source), Numbers()
        for number, row in enumerate(table.rows(), start=1):
            prompt = form.prompt(row, self.pool, table.where(number))
            numbers.texts.append(_number("text", *(turn.content.strip() for turn in prompt.messages)))
            numbers.ids.append(_number("id", prompt.id))
            numbers.keys.append(int(key(prompt), 16))
        if not numbers.keys:
            raise DataError(f"{table.name}: no prompt in the file; {FORM} on each {table.word}")
        if self.source.repeated == "refuse" and (twice := _repeat(numbers.texts, range(len(numbers.texts)))):
            text = quoted(self.prompts(twice)[1].text)
            raise DataError(
                f"{table.where(twice[1] + 1)}: the same prompt as {table.word} {twice[0] + 1} ({text}); remove one of "
                "the two, or set repeated of the source to drop"
            )
        if twice := _repeat(numbers.ids, numbers.kept()):
            raise DataError(
                f"{table.where(twice[1] + 1)}: id {self.prompts(twice)[1].id!r} is already that of {table.word} "
                f"{twice[0] + 1}; ids must differ"
            )
        return numbers

    def prompts(self, positions: Sequence[int]) -> list[Prompt]:
        """The second reading: the prompts at these positions, in this order."""
        wanted, found = set(positions), {}
        table, form = open_table(self.source.path), Form(self.source)
        for position, row in enumerate(itertools.islice(table.rows(), max(wanted, default=-1) + 1)):
            if position in wanted:
                found[position] = form.prompt(row, self.pool, table.where(position + 1))
        return [found[position] for position in positions]

    def least(self, key: Callable[[Prompt], str], count: int) -> tuple[list[Prompt], int]:
        """The `count` prompts whose `key` (16 hex digits) is least, the least first, and how many there are in all."""
        numbers = self.numbers(key)
        return self.prompts(numbers.least(count)), len(numbers.kept())


def draw_training(source: FileSource, seed: int, count: int) -> tuple[list[Prompt], int]:
    """The first `count` training prompts in the order that seed and ids give, and how many there are.

    Going on for more rounds keeps the earlier rounds' prompts.
    """
    return PromptFile(source, "train").least(lambda prompt: stable_id(seed, prompt.id), count)


def draw_pools(source: FileSource, sizes: Mapping[Pool, int]) -> dict[Pool, list[Prompt]]:
    """What `split_prompts` makes of the whole source, without the rest, of which one prompt is left."""
    file = PromptFile(source, "report")
    numbers = file.numbers(text_hash)
    return split_prompts(file.prompts(sorted(numbers.least(sum(sizes.values()) + 1))), sizes)


def _number(*parts: object) -> int:
    return int(stable_id(*parts), 16)


def _repeat(values: "array[int]", positions: Sequence[int]) -> tuple[int, int] | None:
    """The first two of these positions that hold one value."""
    import numpy

    found = numpy.frombuffer(values, numpy.uint64)[numpy.array(positions)]
    _, first, inverse = numpy.unique(found, return_index=True, return_inverse=True)
    later = numpy.nonzero(first[inverse] != numpy.arange(len(found)))[0]
    if not len(later):
        return None
    return positions[int(first[inverse][later[0]])], positions[int(later[0])]


def split_prompts(prompts: Sequence[Prompt], sizes: Mapping[Pool, int]) -> dict[Pool, list[Prompt]]:
    """Disjoint pools from one list: `sizes` says how many each gets, and "train" gets the rest.

    Prompts are dealt in the order of a hash of their text. So the split depends on neither the file's order nor its
    ids, and the pools are alike in expectation. Pools come back in the order of `prompts`.
    """
    needed = sum(sizes.values())
    if needed >= len(prompts):
        wanted = ", ".join(f"{pool} {size}" for pool, size in sizes.items())
        raise DataError(
            f"{len(prompts)} prompts cannot be split into {wanted} and a rest to train on; expected more than "
            f"{needed}: give more prompts, or a smaller measure.gate, measure.selection or measure.report"
        )
    if len({prompt.messages for prompt in prompts}) != len(prompts):
        raise DataError("the prompts to be split hold duplicates; the same prompt could land in two pools")
    order = sorted(range(len(prompts)), key=lambda index: (text_hash(prompts[index]), index))
    pool_of: dict[int, Pool] = {}
    dealt = iter(order)
    for pool, size in sizes.items():
        pool_of.update((next(dealt), pool) for _ in range(size))
    pools: dict[Pool, list[Prompt]] = {pool: [] for pool in (*sizes, "train")}
    for index, prompt in enumerate(prompts):
        pool = pool_of.get(index, "train")
        pools[pool].append(dataclasses.replace(prompt, pool=pool))
    return pools


def text_hash(prompt: Prompt) -> str:
    return stable_id("split", [(turn.role, turn.content) for turn in prompt.messages])
