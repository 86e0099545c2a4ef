"""SQL on SQLite: the reply's query must return the same rows as the golden one (the prompt's `answer`).

`meta.database` is the path of the database, opened read-only; an authorizer lets SELECT, column reads, functions and
recursion through and nothing else, so a query that writes, attaches or changes a setting is refused and is wrong, as is
one that fails. Rows are compared as multisets, or in order where `meta.ordered` is true; columns by position; numbers
to 9 significant digits. A query is stopped when it has one row more than the golden one, and after SECONDS, which
leaves the answer open. SQLite looks at the clock between its steps only, and a single function call can be one step of
many seconds, so the check is confined to a worker process (see `confined.py`), which is ended where nothing else helps.
The query is the last fenced block of the reply, or the whole reply.

`meta.views` names the views or tables that may be read: then both queries run on a copy in memory that has these and
nothing else (sql_views.py). `meta.row_count_tolerance` t lets a reply miss up to t of the golden rows, and bring up to
as many that are none; equal numbers of other rows are as wrong as ever. `meta.database` may be own:NAME, one of `OWN`.
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
from selfreward.tasks.verifiers.sql_views import OWN, copied
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
        database, (views, tolerance) = prompt.meta.get("database"), _asked(prompt)
        if not isinstance(database, str) or not (database in OWN or Path(database).is_file()):
            raise DataError(
                f"{named(prompt)}: meta.database is {database!r}; expected the path of an SQLite file, or "
                f"{', '.join(OWN)}"
            )
        if tolerance and prompt.meta.get("ordered"):
            raise DataError(f"{named(prompt)}: meta.row_count_tolerance is not read with meta.ordered; remove one")
        rows = _golden(database, query, views)
        if isinstance(rows, str):
            raise DataError(f"{named(prompt)}: the golden query cannot be used: {rows}; query: {query[:80]!r}")

    def check(self, prompt: Prompt, text: str) -> Truth:
        query = query_in(text)
        database = prompt.meta.get("database")
        if prompt.answer is None or not isinstance(database, str):
            return left_open("no golden query", query)
        views, tolerance = _asked(prompt)
        golden = _golden(database, prompt.answer, views)
        if isinstance(golden, str):
            return left_open(f"golden query: {golden}", query)
        spare = int(tolerance * len(golden))
        rows = run(database, query, len(golden) + spare, views)
        if isinstance(rows, str):
            return left_open(rows, query) if rows.startswith(_SLOW) else decided(False, query)
        if prompt.meta.get("ordered"):
            return decided(rows == golden, query)
        mine, its = Counter(rows), Counter(golden)
        return decided(max((mine - its).total(), (its - mine).total()) <= spare, query)

    def judgment_quality(self, prompt: Prompt, answer: str, judgment: str) -> float:
        return quality_of_judgment(self.check(prompt, answer), judgment)


_SLOW = "time limit"


def query_in(text: str) -> str:
    fenced = _FENCED.findall(text)
    return str(fenced[-1] if fenced else text).strip()


def _asked(prompt: Prompt) -> tuple[tuple[str, ...] | None, float]:
    """The views that may be read, None for all there is, and the tolerance. Raises DataError for what is neither."""
    views, tolerance = prompt.meta.get("views"), prompt.meta.get("row_count_tolerance", 0)
    if views is not None and not (isinstance(views, list) and views and all(isinstance(one, str) for one in views)):
        raise DataError(f"{named(prompt)}: meta.views is {views!r}; expected a list of names of views or tables")
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance < 1:
        raise DataError(
            f"{named(prompt)}: meta.row_count_tolerance is {tolerance!r}; expected a share from 0 to below 1"
        )
    return tuple(views) if views is not None else None, float(tolerance)


@lru_cache(maxsize=10_000)
def _golden(database: str, query: str, views: tuple[str, ...] | None = None) -> list[Row] | str:
    return run(database, query, MAX_ROWS, views)


def run(database: str, query: str, max_rows: int, views: tuple[str, ...] | None = None) -> list[Row] | str:
    """The rows of a query, or in words why there are none. With `views` it sees copies of these and nothing else."""
    content: bytes | None = None
    if views is not None or database in OWN:
        try:
            content = copied(database, views)
        except (sqlite3.Error, DataError) as problem:
            return f"refused or failed: {problem}"
    end = time.monotonic() + SECONDS
    try:
        with closing(_opened(database, content)) as connection:
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


def _opened(database: str, content: bytes | None) -> sqlite3.Connection:
    if content is None:
        return sqlite3.connect(f"{Path(database).resolve().as_uri()}?mode=ro", uri=True)
    connection = sqlite3.connect(":memory:")
    connection.deserialize(content)
    return connection


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action == sqlite3.SQLITE_FUNCTION and second == "load_extension":
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _comparable(value: Any) -> Any:
    return float(f"{value:.9g}") if isinstance(value, float) else value
