"""A database of its own for a query that may read some views only: their rows are copied, and nothing else is there.

An authorizer alone cannot tell it: SQLite says of a read in which view it happened, and a query can name a subquery of
its own like an allowed view (`WITH orders AS (SELECT * FROM secret) SELECT * FROM orders`). What is not in the database
cannot be read. Columns keep their affinity and their collation, so that comparisons mean the same. A view of more than
MOST_ROWS rows is refused.

A view's collations are written nowhere, so they are seen in what its texts equal; in a column without any text they
mean nothing. One that SQLite does not bring is refused, as a comparison with its column is.
"""

import importlib
import sqlite3
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from selfreward.errors import DataError

MOST_ROWS = 100_000
OWN = {"own:shop": "selfreward.tasks.made.shop:script"}
"""Name of a database that ships -> "module:attribute" of the function that gives its script."""

_OTHER = "{{c}} = {0}({{c}}) AND CAST({0}({{c}}) AS BLOB) <> CAST({{c}} AS BLOB)"
_SEEN = (f"({_OTHER.format('lower')} OR {_OTHER.format('upper')})", "{c} = {c} || ' '")
"""What only a column of NOCASE, and only one of RTRIM, makes true of a text."""


def copied(database: str, views: tuple[str, ...] | None) -> bytes:
    """The content of a database with copies of `views` alone; of all of it where that is None.

    Raises sqlite3.Error for a view that is not there, DataError for one that is too large.
    """
    changed = 0 if database in OWN else Path(database).stat().st_mtime_ns
    return _copied(database, views, changed)


@lru_cache(maxsize=64)
def _copied(database: str, views: tuple[str, ...] | None, changed: int) -> bytes:
    with closing(_source(database)) as source:
        if views is None:
            return source.serialize()
        with closing(sqlite3.connect(":memory:")) as copy:
            for view in views:
                _copy(source, copy, view)
            copy.commit()
            return copy.serialize()


def _source(database: str) -> sqlite3.Connection:
    if database not in OWN:
        return sqlite3.connect(f"{Path(database).resolve().as_uri()}?mode=ro", uri=True)
    module, attribute = OWN[database].split(":")
    connection = sqlite3.connect(":memory:")
    connection.executescript(getattr(importlib.import_module(module), attribute)())
    return connection


def _copy(source: sqlite3.Connection, copy: sqlite3.Connection, view: str) -> None:
    quoted = '"' + view.replace('"', '""') + '"'
    # In the source's temporary space, which a read-only database has too: so SQLite itself says the columns' types.
    source.execute("DROP TABLE IF EXISTS temp.selfreward_copy")
    source.execute(f"CREATE TEMP TABLE selfreward_copy AS SELECT * FROM main.{quoted} LIMIT {MOST_ROWS + 1}")
    columns = source.execute("SELECT name, type FROM pragma_table_info('selfreward_copy', 'temp')").fetchall()
    rows = source.execute("SELECT * FROM temp.selfreward_copy").fetchall()
    if len(rows) > MOST_ROWS:
        raise DataError(f"the view {view!r} has more than {MOST_ROWS} rows; expected a smaller one, it is copied")
    told = ", ".join(
        '"' + name.replace('"', '""') + f'" {kind} COLLATE {collation}'
        for (name, kind), collation in zip(columns, _collations(source, quoted, len(columns)), strict=True)
    )
    copy.execute(f"CREATE TABLE {quoted} ({told})")
    copy.executemany(f"INSERT INTO {quoted} VALUES ({', '.join('?' * len(columns))})", rows)


def _collations(source: sqlite3.Connection, quoted: str, columns: int) -> list[str]:
    """Which of SQLite's own collations each column of a view compares by."""
    names = [f"c{number}" for number in range(columns)]
    seen = ", ".join(f"max(typeof({name}) = 'text' AND {test.format(c=name)})" for name in names for test in _SEEN)
    found = source.execute(f"WITH shown({', '.join(names)}) AS (SELECT * FROM main.{quoted}) SELECT {seen} FROM shown")
    (row,) = found.fetchall()
    pairs = zip(row[::2], row[1::2], strict=True)
    return ["NOCASE" if nocase else "RTRIM" if rtrim else "BINARY" for nocase, rtrim in pairs]
