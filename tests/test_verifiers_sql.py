"""SQL on SQLite: same rows are right, anything that writes is refused, and no query runs for ever."""

import dataclasses
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfreward.errors import DataError
from selfreward.records import Message, Prompt
from selfreward.store.files import digest_file
from selfreward.tasks.verifiers.sql import MAX_ROWS, SqlVerifier, confined, query_in, run

GOLDEN = "SELECT name FROM people WHERE age > 30"
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT sum(x) FROM n"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sql") / "people.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE people (name TEXT, age INTEGER, height REAL);"
            "CREATE INDEX by_age ON people (age);"
            "INSERT INTO people VALUES ('Ada', 36, 1.65), ('Bob', 41, 1.8), ('Bob', 44, 1.7), ('Eve', 20, NULL);"
        )
    return path


def asked(database, query=GOLDEN, **meta):
    return Prompt(
        "p", (Message("user", "Who?"),), "train", "file", answer=query, meta={"database": str(database)} | meta
    )


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        (GOLDEN, True),
        ("Use this:\n```sql\nSELECT name FROM people WHERE NOT age <= 30\n```\nIt lists them.", True),
        ("SELECT name FROM people WHERE age > 30 ORDER BY name DESC", True),
        ("select P.name from people as P where P.age >= 36", True),
        ("WITH old AS (SELECT * FROM people WHERE age > 30) SELECT name FROM old", True),
        ("SELECT DISTINCT name FROM people WHERE age > 30", False),
        ("SELECT name FROM people", False),
        ("SELECT name, age FROM people WHERE age > 30", False),
        ("SELECT nothing FROM people", False),
        ("who is older than 30?", False),
        ("", False),
        ("SELECT 1; SELECT 2", False),
    ],
)
def test_a_query_is_right_when_it_returns_the_golden_rows(database, reply, right):
    truth = SqlVerifier().check(asked(database), reply)
    assert (truth.correct, truth.quality, truth.open) == (right, 5.0 * right, "")


WRITES = [
    "DELETE FROM people",
    "INSERT INTO people VALUES ('Mallory', 1, 1)",
    "UPDATE people SET age = 99",
    "DROP TABLE people",
    "CREATE TABLE x (y)",
    "CREATE TEMP TABLE x (y)",
    "ALTER TABLE people ADD COLUMN z",
    "ATTACH DATABASE ':memory:' AS other",
    "PRAGMA query_only = 0",
    "PRAGMA table_info(people)",
    "VACUUM",
    "VACUUM INTO 'copy.db'",
    "REINDEX",
    "BEGIN",
    "SELECT load_extension('x')",
    "WITH x AS (SELECT 1) DELETE FROM people",
    "REPLACE INTO people VALUES ('x', 1, 1)",
]


@pytest.mark.parametrize("query", WRITES)
def test_whatever_is_not_reading_is_refused_and_is_a_wrong_answer(database, query, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = digest_file(database)
    assert str(run(str(database), query, 10)).startswith("refused or failed"), query
    truth = SqlVerifier().check(asked(database), query)
    assert not truth.correct and not truth.open
    assert digest_file(database) == before and not list(tmp_path.iterdir())


def test_a_query_that_runs_for_ever_is_stopped_and_left_open(database):
    begun = time.monotonic()
    truth = SqlVerifier().check(asked(database), ENDLESS)
    assert time.monotonic() - begun < 10 and "time limit" in truth.open and not truth.correct


def test_rows_and_bytes_are_limited(database):
    many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
    begun = time.monotonic()
    assert not SqlVerifier().check(asked(database), many).correct, "one row more than the golden query has"
    assert time.monotonic() - begun < 1
    assert run(str(database), many, MAX_ROWS) == f"more than {MAX_ROWS} rows"
    assert "too big" in str(run(str(database), "SELECT zeroblob(1000000000)", 1))


def test_order_counts_only_where_the_row_says_so(database):
    ordered = "SELECT name FROM people ORDER BY age"
    backwards = "SELECT name FROM people ORDER BY age DESC"
    assert SqlVerifier().check(asked(database, ordered), backwards).correct
    assert not SqlVerifier().check(asked(database, ordered, ordered=True), backwards).correct
    assert SqlVerifier().check(asked(database, ordered, ordered=True), ordered).correct


def test_numbers_are_compared_without_their_last_digits(database):
    golden = "SELECT sum(height) FROM people"
    assert SqlVerifier().check(asked(database, golden), "SELECT 1.7 + 1.8 + 1.65").correct
    assert not SqlVerifier().check(asked(database, golden), "SELECT 5.1500001").correct


@given(st.text(max_size=80))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_crashes_the_verifier(database, text):
    truth = SqlVerifier().check(asked(database), text)
    assert not truth.correct or text


@given(st.permutations(["'Ada'", "'Bob'", "'Bob'"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_are_a_multiset(database, names):
    verifier = SqlVerifier()
    union = " UNION ALL ".join(f"SELECT {name}" for name in names)
    assert verifier.check(asked(database), union).correct
    assert not verifier.check(asked(database), f"{union} UNION ALL SELECT 'Bob'").correct
    assert not verifier.check(asked(database), union.replace("'Ada'", "'Bob'")).correct


@pytest.mark.parametrize(
    "text", ["```sql\nSELECT 1\n```", "```\nSELECT 1\n```", "SELECT 1", "x ```SQL\nSELECT 1\n``` y"]
)
def test_the_query_of_a_reply(text):
    assert query_in(text) == "SELECT 1"


@pytest.mark.parametrize(
    ("query", "meta", "message"),
    [
        (None, {}, "has no 'answer'"),
        (GOLDEN, {"database": "missing.db"}, "meta.database is 'missing.db'"),
        (GOLDEN, {"database": 3}, "meta.database is 3"),
        ("DELETE FROM people", {}, "golden query cannot be used: refused"),
        ("SELECT shoe_size FROM people", {}, "golden query cannot be used.*no such column"),
        (ENDLESS, {}, "golden query cannot be used: time limit"),
    ],
)
def test_a_golden_query_that_cannot_be_used_is_refused_before_the_run(database, query, meta, message):
    prompt = dataclasses.replace(asked(database, query), meta={"database": str(database)} | meta)
    with pytest.raises(DataError, match=f"prompt p .*{message}"):
        SqlVerifier().require(prompt)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to look like one" * 50)
    with pytest.raises(DataError, match="not a database"):
        SqlVerifier().require(asked(path))


def test_a_single_function_call_that_runs_on_is_ended_from_outside_and_left_open(database):
    long = "hex(zeroblob(450000))"
    calls = (f"instr({long}, hex(zeroblob({size})) || '1')" for size in range(200_000, 280_000, 10_000))
    verifier = confined()
    begun = time.monotonic()
    truth = verifier.check(asked(database), f"SELECT {' + '.join(calls)}")
    assert truth.open and not truth.correct and time.monotonic() - begun < 60
    assert verifier.check(asked(database), GOLDEN).correct, "the next query has a worker again"
    verifier.close()
