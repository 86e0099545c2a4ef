"""Questions to a database: every golden query is right, planted queries are told apart, and no attack is right."""

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from selfreward.errors import DataError, RecipeError
from selfreward.recipe.read import load_recipe
from selfreward.records import Message, Prompt
from selfreward.store.files import digest_file
from selfreward.tasks.made.shop import COLUMNS, script
from selfreward.tasks.made.source import made_prompts, made_rows
from selfreward.tasks.open_source import open_source
from selfreward.tasks.verifiers.sql import SqlVerifier, run
from selfreward.tasks.verifiers.sql_views import MOST_ROWS, copied

VIEWS = tuple(sorted(COLUMNS))
RECIPE = Path(__file__).parent.parent / "recipes" / "text_to_sql.yaml"
GIVEN = ["pairs.mix.external=null", "pairs.mix.external_share=0"]


def asked(query: str, **meta: object) -> Prompt:
    told = {"database": "own:shop", "views": list(VIEWS)} | meta
    return Prompt("p", (Message("user", "Who?"),), "train", "text_to_sql", answer=query, meta=told)


def everything() -> list[Prompt]:
    return [prompt for apart in (False, True) for prompt in made_prompts("text_to_sql", held_out=apart, pool="train")]


def test_every_golden_query_runs_and_is_its_own_right_answer() -> None:
    verifier, found = SqlVerifier(), everything()
    assert len(found) == len({prompt.id for prompt in found}) == 200
    for prompt in found:
        verifier.require(prompt)
        assert prompt.answer is not None
        assert verifier.check(prompt, f"```sql\n{prompt.answer}\n```\nIt looks the rows up.").correct
        rows = run("own:shop", prompt.answer, 1000, VIEWS)
        assert not isinstance(rows, str) and rows and rows != [(None,)], "a query that finds nothing would be right"


def test_a_constant_query_is_right_for_few_questions() -> None:
    """What may be guessed: the rows of most questions are their own."""
    results = [str(run("own:shop", str(prompt.answer), 1000, VIEWS)) for prompt in everything()]
    assert max(map(results.count, set(results))) <= 12


def test_questions_are_split_and_every_cohort_is_measured() -> None:
    train, held_out = (made_prompts("text_to_sql", held_out=apart, pool="train") for apart in (False, True))
    assert not {one.text for one in train} & {one.text for one in held_out}
    assert {one.cohort for one in train} == {one.cohort for one in held_out}


def test_no_prompt_names_what_is_private() -> None:
    for prompt in everything():
        assert not any(word in prompt.text for word in ("email", "e-mail", "purchase"))
        assert prompt.answer is not None and prompt.answer not in prompt.text


RIGHT = [
    "SELECT name FROM customers WHERE city = 'Esk'",
    "select C.name from customers C where C.city in ('Esk')",
    "SELECT name FROM customers WHERE city LIKE 'esk' ORDER BY joined",
    "WITH there AS (SELECT * FROM customers WHERE city = 'Esk') SELECT name FROM there",
    "SELECT name FROM (SELECT name, city FROM customers) WHERE city = 'Esk'",
    "SELECT name FROM customers EXCEPT SELECT name FROM customers WHERE city <> 'Esk'",
    "SELECT name FROM customers c WHERE EXISTS (SELECT 1 FROM customers d WHERE d.name = c.name AND d.city = 'Esk')",
    "SELECT min(name) FROM customers WHERE city = 'Esk' GROUP BY name",
    "SELECT upper(substr(name, 1, 1)) || substr(name, 2) FROM customers WHERE city = 'Esk'",
    "SELECT customers.name FROM customers JOIN (SELECT 'Esk' AS there) ON city = there",
    'SELECT "name" FROM "customers" WHERE "city" = \'Esk\' -- those who live there',
    "SELECT name FROM customers WHERE instr(city, 'Esk') = 1;",
]
WRONG = [
    "SELECT name FROM customers WHERE city = 'Holm'",
    "SELECT name FROM customers",
    "SELECT name, city FROM customers WHERE city = 'Esk'",
    "SELECT DISTINCT city FROM customers WHERE city = 'Esk'",
    "SELECT count(*) FROM customers WHERE city = 'Esk'",
    "SELECT customer FROM orders WHERE city = 'Esk'",
    "SELECT name FROM customers WHERE city = 'Esk' LIMIT 1",
    "SELECT name FROM customers WHERE city = 'Esk' UNION ALL SELECT 'Ada Marsh'",
    "SELECT lower(name) FROM customers WHERE city = 'Esk'",
    "SELECT name FROM customers WHERE city = Esk",
    "SELECT NULL FROM customers WHERE city = 'Esk'",
    "The customers are Ada and Ben.",
]
ATTACKS = [
    "SELECT email FROM customer",
    "SELECT name FROM customer WHERE city = 'Esk'",
    "SELECT name FROM main.customer WHERE city = 'Esk'",
    "WITH customers AS (SELECT * FROM customer WHERE city = 'Esk') SELECT name FROM customers",
    "WITH orders AS (SELECT email FROM customer) SELECT * FROM orders",
    "SELECT (SELECT email FROM customer LIMIT 1) FROM customers",
    "SELECT cost FROM product",
    "SELECT count(*) FROM purchase",
    "SELECT sql FROM sqlite_master",
    "SELECT * FROM sqlite_schema",
    "SELECT * FROM pragma_table_info('customers')",
    "SELECT * FROM pragma_database_list",
    "PRAGMA table_info(customers)",
    "PRAGMA writable_schema = 1",
    "ATTACH DATABASE 'copy.db' AS other",
    "ATTACH ':memory:' AS other",
    "DETACH main",
    "INSERT INTO customers VALUES ('Mallory', 'Esk', 2020)",
    "UPDATE customers SET city = 'Esk'",
    "DELETE FROM customers",
    "DROP TABLE customers",
    "CREATE TABLE mine (x)",
    "CREATE TEMP VIEW customers AS SELECT 1",
    "ALTER TABLE customers RENAME TO mine",
    "REPLACE INTO customers VALUES ('Mallory', 'Esk', 2020)",
    "WITH x AS (SELECT 1) DELETE FROM customers",
    "VACUUM INTO 'copy.db'",
    "BEGIN EXCLUSIVE",
    "SELECT load_extension('./evil')",
    "SELECT readfile('/etc/hostname')",
    "SELECT writefile('copy.db', 'x')",
    "SELECT name FROM customers WHERE city = 'Esk'; DROP TABLE customers",
    "SELECT zeroblob(900000000)",
    "SELECT a.name FROM customers a, customers b, customers c, customers d",
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n",
]
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT sum(x) FROM n"


@pytest.mark.parametrize(("replies", "right"), [(RIGHT, True), (WRONG, False), (ATTACKS, False)])
def test_planted_queries_are_told_apart(
    replies: list[str], right: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    verifier, prompt = SqlVerifier(), asked("SELECT name FROM customers WHERE city = 'Esk'")
    for query in replies:
        for reply in (query, f"Here it is:\n```sql\n{query}\n```\nIt names those who live there."):
            truth = verifier.check(prompt, reply)
            assert truth.correct == right and not truth.open, query
    assert verifier.check(prompt, RIGHT[0]).correct, "no attack changed what the next query sees"
    assert not list(tmp_path.iterdir())


def test_a_recursion_without_end_is_stopped_and_left_open() -> None:
    truth = SqlVerifier().check(asked("SELECT name FROM customers WHERE city = 'Esk'"), ENDLESS)
    assert "time limit" in truth.open and not truth.correct


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script())
    return path


def test_a_file_of_ones_own_is_read_through_its_views_and_not_written(file: Path) -> None:
    before = digest_file(file)
    verifier = SqlVerifier()
    for query in (RIGHT[0], ATTACKS[1]):
        open_to_all = verifier.check(asked(RIGHT[0], database=str(file), views=None), query)
        through_views = verifier.check(asked(RIGHT[0], database=str(file)), query)
        assert open_to_all.correct and through_views.correct == (query == RIGHT[0])
    assert digest_file(file) == before and not list(file.parent.glob("*-journal"))


@pytest.mark.parametrize("shown", ["towns", "named", "joined"])
def test_a_copy_compares_as_the_database_does(tmp_path: Path, shown: str) -> None:
    path = tmp_path / "towns.db"
    with closing(sqlite3.connect(path)) as made:
        made.executescript(
            "CREATE TABLE towns(name TEXT COLLATE NOCASE, code TEXT, note TEXT COLLATE RTRIM, people INTEGER);"
            "INSERT INTO towns VALUES ('Paris', 'FR', 'big ', 1), ('42', '7', '', 2), (NULL, NULL, NULL, NULL);"
            "CREATE VIEW named AS SELECT name, upper(code) AS code, note, people FROM towns ORDER BY people LIMIT 9;"
            "CREATE VIEW joined AS SELECT a.name, b.code, a.note, b.people FROM towns a JOIN towns b USING (people)"
            " UNION ALL SELECT name, code, note, people FROM towns WHERE people > 5;"
        )
    asked_for = ["name = 'paris'", "name = 'PARIS '", "code = 'fr'", "note = 'big'", "note = 'BIG'", "people = '1'"]
    for condition in asked_for:
        query = f"SELECT people FROM {shown} WHERE {condition}"
        assert run(str(path), query, 9, (shown,)) == run(str(path), query, 9), condition
    query = f"SELECT people FROM {shown} WHERE name = 'paris'"
    golden = asked(query, database=str(path), views=[shown])
    assert run(str(path), query, 9, (shown,)) == [(1,)]
    assert SqlVerifier().check(golden, query).correct
    assert not SqlVerifier().check(golden, query.replace("paris", "london")).correct


def test_a_copy_has_the_rows_and_the_types_of_its_views_and_nothing_else(file: Path) -> None:
    with closing(sqlite3.connect(":memory:")) as copy, closing(sqlite3.connect(file)) as shop:
        copy.deserialize(copied(str(file), ("orders",)))
        query = "SELECT *, typeof(paid), quantity = '3' FROM orders ORDER BY order_id"
        assert copy.execute(query).fetchall() == shop.execute(query).fetchall()
        assert copy.execute("SELECT name FROM sqlite_master").fetchall() == [("orders",)]


def test_a_copy_follows_the_file_and_a_large_view_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (1);")
        first = run(str(path), "SELECT x FROM t", 9, ("t",))
        connection.execute("INSERT INTO t VALUES (2)")
        connection.commit()
        assert (first, run(str(path), "SELECT x FROM t", 9, ("t",))) == ([(1,)], [(1,), (2,)])
        many = f"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT {MOST_ROWS + 1}) SELECT x FROM n"
        connection.execute(f"CREATE VIEW many AS {many}")
        connection.commit()
    assert "more than" in str(run(str(path), "SELECT 1", 9, ("many",)))
    assert "no such table" in str(run(str(path), "SELECT 1", 9, ("missing",)))


FOUR = "SELECT product FROM products WHERE category = 'tea'"


@pytest.mark.parametrize(
    ("reply", "tolerance", "right"),
    [
        (FOUR, 0.25, True),
        (f"{FOUR} LIMIT 3", 0.25, True),
        (f"{FOUR} UNION ALL SELECT 'plain saw'", 0.25, True),
        (f"{FOUR} LIMIT 3", 0.2, False),
        (f"{FOUR} LIMIT 2", 0.25, False),
        ("SELECT product FROM products WHERE category = 'lamps'", 0.25, False),  # as many rows, and none of them right
        ("SELECT product FROM products", 0.25, False),
        (f"{FOUR} LIMIT 3", 0, False),
    ],
)
def test_a_tolerance_counts_rows_that_are_missing_or_too_many(reply: str, tolerance: float, right: bool) -> None:
    assert SqlVerifier().check(asked(FOUR, row_count_tolerance=tolerance), reply).correct == right


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"views": "orders"}, "meta.views is 'orders'"),
        ({"views": []}, "expected a list of names"),
        ({"views": ["nothing"]}, "golden query cannot be used.*no such table"),
        ({"views": ["orders"]}, "golden query cannot be used.*no such table: customers"),
        ({"database": "own:bank"}, "own:shop"),
        ({"row_count_tolerance": 1}, "a share from 0 to below 1"),
        ({"row_count_tolerance": "a"}, "a share from 0 to below 1"),
        ({"row_count_tolerance": 0.1, "ordered": True}, "not read with meta.ordered"),
    ],
)
def test_what_cannot_be_verified_is_refused_before_the_run(meta: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        SqlVerifier().require(asked(RIGHT[0], **meta))


def test_the_recipe_has_prompts_for_its_rounds_and_pools() -> None:
    recipe = load_recipe(RECIPE, GIVEN)
    source = open_source(recipe)
    rounds = [source.training(number, recipe.prompts.per_round) for number in (1, 2)]
    pools = source.pools()
    assert not {one.id for one in rounds[0]} & {one.id for one in rounds[1]}
    assert not {one.text for part in rounds for one in part} & {one.text for one in pools}
    assert len(pools) == len({one.id for one in pools}) == 58 and {one.pool for one in pools} > {"gate", "report"}
    with pytest.raises(DataError, match="142 prompts; round 3 wants 71"):
        source.training(3, recipe.prompts.per_round)
    other = open_source(load_recipe(RECIPE, [*GIVEN, "seed=1"]))
    assert other.training(1, 71) != rounds[0] and other.pools() == pools
    with pytest.raises(RecipeError, match="expected sql or none"):
        open_source(dataclasses.replace(recipe, measure=dataclasses.replace(recipe.measure, verifier="numeric")))
    with pytest.raises(DataError, match=r"lower measure\.report"):
        open_source(load_recipe(RECIPE, [*GIVEN, "measure.report=41"])).pools()


def test_the_rows_are_the_same_whoever_asks() -> None:
    assert made_rows("text_to_sql") == made_rows("text_to_sql")
    assert all(dict(row.meta)["database"] == "own:shop" for row in made_rows("text_to_sql")), "no path stands on a row"
