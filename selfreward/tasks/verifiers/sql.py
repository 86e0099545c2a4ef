"""SQL on SQLite: the reply's query must return the same rows as the golden one (the prompt's `answer`).

`meta.database` is the path of the database, opened read-only; an authorizer lets SELECT, column reads, functions and
recursion through and nothing else, so a query that writes, attaches or changes a setting is refused and is wrong, as is
one that fails. Rows are compared as multisets, or in order where `meta.ordered` is true; columns by position; numbers
to 9 significant digits. A query is stopped when it has one row more than the golden one, and after SECONDS, which
leaves the answer open. SQLite looks at the clock between its steps only, and a single function call can be one step of
many seconds, so the check is confined to a worker process (see `confined.py`), which is ended where nothing else helps.
The query is the last fenced block of the reply, or the whole reply.
"""

import re
import sqlite3
import time
from collections import Counter
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

from selfreward.errors import DataError
from selfreward.records import Prompt
from selfreward.tasks.verifiers.confined import ConfinedVerifier
from selfreward.tasks.verifiers.protocol import Truth
from selfreward.tasks.verifiers.truths import decided, left_open, named, quality_of_judgment, require_answer

SECONDS, MAX_ROWS, MAX_BYTES = 2.0, 10_000, 1_000_000
"""Limits of one query: time, rows of a golden result, bytes of one value."""

_STEPS_BETWEEN_LOOKS = 1000
_FENCED = re.compile(r"```[ \t]*(?:sql|sqlite)?[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}

Row = tuple[Any, ...]


def confined() -> ConfinedVerifier:
    # A worker that was ended has the golden query to run again, too.
    return ConfinedVerifier("selfreward.tasks.verifiers.sql:SqlVerifier", seconds=2 * SECONDS + 1)


class SqlVerifier:
    def require(self, prompt: Prompt) -> None:
        query = require_answer(prompt, "the golden query")
        database = prompt.meta.get("database")
        if not isinstance(database, str) or not Path(database).is_file():
            raise DataError(f"{named(prompt)}: meta.database is {database!r}; expected the path of an SQLite file")
        rows = _golden(database, query)
        if isinstance(rows, str):
            raise DataError(f"{named(prompt)}: the golden query cannot be used: {rows}; query: {query[:80]!r}")

    def check(self, prompt: Prompt, text: str) -> Truth:
        query = query_in(text)
        database = prompt.meta.get("database")
        if prompt.answer is None or not isinstance(database, str):
            return left_open("no golden query", query)
        golden = _golden(database, prompt.answer)
        if isinstance(golden, str):
            return left_open(f"golden query: {golden}", query)
        rows = run(database, query, len(golden))
        if isinstance(rows, str):
            return left_open(rows, query) if rows.startswith(_SLOW) else decided(False, query)
        same = rows == golden if prompt.meta.get("ordered") else Counter(rows) == Counter(golden)
        return decided(same, query)

    def judgment_quality(self, prompt: Prompt, answer: str, judgment: str) -> float:
        return quality_of_judgment(self.check(prompt, answer), judgment)


_SLOW = "time limit"


def query_in(text: str) -> str:
    fenced = _FENCED.findall(text)
    return str(fenced[-1] if fenced else text).strip()


@lru_cache(maxsize=10_000)
def _golden(database: str, query: str) -> list[Row] | str:
    return run(database, query, MAX_ROWS)


def run(database: str, query: str, max_rows: int) -> list[Row] | str:
    """The rows of a query, or in words why there are none."""
    end = time.monotonic() + SECONDS
    path = Path(database).resolve().as_uri()
    try:
        with closing(sqlite3.connect(f"{path}?mode=ro", uri=True)) as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_BYTES)
            connection.set_authorizer(_authorize)
            connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS_BETWEEN_LOOKS)
            rows = connection.execute(query).fetchmany(max_rows + 1)
    except (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeError, ValueError) as problem:
        if time.monotonic() > end:
            return f"{_SLOW} of {SECONDS:g} s"
        return f"refused or failed: {problem}"
    if time.monotonic() > end:
        return f"{_SLOW} of {SECONDS:g} s"
    if len(rows) > max_rows:
        return f"more than {max_rows} rows"
    return [tuple(_comparable(value) for value in row) for row in rows]


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action == sqlite3.SQLITE_FUNCTION and second == "load_extension":
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _comparable(value: Any) -> Any:
    return float(f"{value:.9g}") if isinstance(value, float) else value
