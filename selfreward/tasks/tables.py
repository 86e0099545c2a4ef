"""The user's data as rows, whatever it is kept in: files, a saved data set, or one on the hub.

    PATH.jsonl, any other ending     JSON Lines
    PATH.json                        a list of objects, or JSON Lines
    PATH.csv, PATH.tsv               with a header; every cell is text, an empty one is not there
    PATH.parquet                     one file
    a directory                      what `datasets` saved with save_to_disk; of several splits `train`
    hub:ORG/NAME[:CONFIG][:SPLIT]    on the hub or in its cache; one part alone is a configuration if one is called so

Rows come one at a time and may be asked for again, so that a million of them need little memory. Columnar formats give
every row every column: a null there is a key that the row does not have.
"""

import csv
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from selfreward.engines.hub import HUB, hub_error, hub_problems
from selfreward.errors import DataError
from selfreward.tasks.texts import quoted, require_regular, stream_lines

BATCH = 1000
"""Rows of a columnar file that are in memory at once."""


@dataclass(frozen=True)
class Table:
    """`rows()` begins anew at each call; the n-th row is number n, from 1."""

    name: str
    rows: Callable[[], Iterator[Any]]
    word: Literal["line", "row"] = "row"

    def where(self, number: int) -> str:
        """How an error names a row."""
        return f"{self.name}:{number}" if self.word == "line" else f"{self.name}, row {number}"


def open_table(reference: str | Path) -> Table:
    """The rows that `reference` names. Raises DataError that says what to do, here or while they are read."""
    name = str(reference)
    if name.startswith(HUB):
        return _saved(name, _from_hub(name))
    path = Path(name)
    if path.is_dir():
        return _saved(name, _from_disk(path))
    require_regular(path)
    ending = path.suffix.lower()
    if ending == ".parquet":
        return Table(name, lambda: _parquet(path))
    if ending in (".csv", ".tsv"):
        return Table(name, lambda: _separated(path, "\t" if ending == ".tsv" else ","))
    if ending == ".json" and _begins_with(path, "["):
        return Table(name, lambda: _listed(path))
    return Table(name, lambda: _json_lines(path), word="line")


def _json_lines(path: Path) -> Iterator[Any]:
    for number, line in stream_lines(path):
        yield parse_line(line, f"{path}:{number}")


def parse_line(line: str, where: str) -> Any:
    """The value of one line of JSON Lines."""
    if not line.strip():
        raise DataError(f"{where}: the line is empty; expected a JSON object, remove the line")
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as problem:
        # Not only malformed JSON: a number of thousands of digits, or brackets nested thousands deep.
        raise DataError(
            f"{where}: not JSON ({problem}): {quoted(line)}; expected a JSON object on each line"
        ) from problem


def _begins_with(path: Path, character: str) -> bool:
    first = next(stream_lines(path), (1, ""))[1]
    return first.lstrip().startswith(character)


def _listed(path: Path) -> Iterator[Any]:
    try:
        rows = json.loads("\n".join(line for _, line in stream_lines(path)))
    except (ValueError, RecursionError) as problem:
        raise DataError(f"{path}: not JSON ({problem}); expected a list of objects, or one object a line") from problem
    return iter(rows)


def _separated(path: Path, separator: str) -> Iterator[Any]:
    csv.field_size_limit(sys.maxsize)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=separator, strict=True)
            for number, row in enumerate(reader, start=1):
                if None in row or None in row.values():
                    found = "more" if None in row else "fewer"
                    raise DataError(f"{path}, row {number}: {found} cells than the header has columns; quote the cells")
                yield {key: cell for key, cell in row.items() if cell}
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror}); expected a CSV file") from problem
    except UnicodeDecodeError as problem:
        raise DataError(f"{path}: not UTF-8; save the file as UTF-8") from problem
    except csv.Error as problem:
        raise DataError(f"{path}: not CSV ({problem}); quote cells that hold quotes or line ends") from problem


def _parquet(path: Path) -> Iterator[Any]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH):
                yield from map(_present, batch.to_pylist())
    except (OSError, pyarrow.ArrowException) as problem:
        raise DataError(f"{path}: cannot be read as parquet ({problem}); write or copy it again") from problem


def _saved(name: str, dataset: Any) -> Table:
    """A data set of `datasets`, whose table is on disk and is read in batches."""

    def rows() -> Iterator[Any]:
        batches = dataset.with_format("arrow").iter(batch_size=BATCH)
        return map(_present, itertools.chain.from_iterable(batch.to_pylist() for batch in batches))

    return Table(name, rows)


def _from_disk(path: Path) -> Any:
    if not any((path / name).is_file() for name in ("state.json", "dataset_dict.json")):
        raise DataError(
            f"{path}: cannot be read, it is a directory without a saved data set; expected one that "
            "datasets' save_to_disk() wrote, or name a file in it"
        )
    from datasets import load_from_disk

    try:
        return _one_split(load_from_disk(path), str(path), f"{path}/SPLIT")
    except (OSError, ValueError, KeyError) as problem:
        raise DataError(f"{path}: cannot be read as a saved data set ({problem}); save it again") from problem


def _from_hub(name: str) -> Any:
    from datasets import get_dataset_config_names, load_dataset
    from datasets.exceptions import DatasetsError

    repository, *parts = name.removeprefix(HUB).split(":")
    if repository.count("/") > 1 or not repository or len(parts) > 2:
        raise DataError(f"{name!r}: expected hub:ORG/NAME, hub:ORG/NAME:SPLIT or hub:ORG/NAME:CONFIG:SPLIT")
    try:
        if len(parts) == 1 and parts[0] not in get_dataset_config_names(repository):
            parts = ["", *parts]
        config, split = ([part or None for part in parts] + [None, None])[:2]
        loaded = load_dataset(repository, config, split=split)
    except (*hub_problems(), RuntimeError, DatasetsError) as problem:
        raise hub_error("dataset", repository, problem) from problem
    return loaded if split else _one_split(loaded, name, f"hub:{repository}:{config or ''}:SPLIT")


def _one_split(loaded: Any, name: str, instead: str) -> Any:
    """A data set itself; of several splits the one called train, or the only one."""
    if not isinstance(loaded, dict):
        return loaded
    if "train" in loaded or len(loaded) == 1:
        return loaded["train"] if "train" in loaded else next(iter(loaded.values()))
    raise DataError(f"{name}: has the splits {', '.join(loaded)}; name one as {instead}")


def _present(value: Any) -> Any:
    """The value without what is null, at any depth."""
    if isinstance(value, dict):
        return {name: _present(one) for name, one in value.items() if one is not None}
    return [_present(one) for one in value] if isinstance(value, list) else value
