"""200 questions about a shop (shop.py), each of a template, with the query that answers it.

A reply is one SQLite query in a fenced block and a sentence on what it does: the verifier runs the query on copies of
the three views and nothing else (verifiers/sql.py), a judge may read the explanation. Cohorts are the templates' kinds.
All templates are trained on, none of the questions that are measured. No golden result is empty: a query that finds
nothing would be right for many wrong reasons.
"""

import sqlite3
from contextlib import closing
from itertools import product
from typing import NamedTuple

from selfreward.records import stable_id
from selfreward.tasks.made.made import Made
from selfreward.tasks.made.shop import CATEGORIES, CITIES, COLUMNS, CUSTOMERS, MONTHS, PRODUCTS, YEARS, script

QUESTIONS = 200
MEASURED = (1, 5, 8)
"""Of every ten questions of a template, in an order by hash, those that are measured: so small templates are, too."""
VALUES: dict[str, tuple[object, ...]] = {
    "city": CITIES,
    "category": CATEGORIES,
    "customer": CUSTOMERS,
    "product": PRODUCTS,
    "month": MONTHS,
    "year": YEARS,
    "amount": (5, 10, 15, 20),
    "total": (480, 540, 580, 620),
    "count": (2, 3, 4, 5),
}


class Template(NamedTuple):
    cohort: str
    question: str
    query: str
    ordered: bool = False


_BOUGHT = "SELECT DISTINCT customer FROM orders WHERE"
TEMPLATES = (
    Template("count", "How many customers live in {city}?", "SELECT count(*) FROM customers WHERE city = '{city}'"),
    Template("filter", "Which customers live in {city}?", "SELECT name FROM customers WHERE city = '{city}'"),
    Template("filter", "Which customers joined in {year}?", "SELECT name FROM customers WHERE joined = {year}"),
    Template(
        "filter",
        "What are the products in the category {category}, each with its price?",
        "SELECT product, price FROM products WHERE category = '{category}'",
    ),
    Template(
        "filter", "Which products cost more than {amount}?", "SELECT product FROM products WHERE price > {amount}"
    ),
    Template(
        "count",
        "What is the average price of the products in the category {category}?",
        "SELECT avg(price) FROM products WHERE category = '{category}'",
    ),
    Template(
        "nested",
        "Which product in the category {category} has the highest price?",
        "SELECT product FROM products WHERE category = '{category}' AND price = "
        "(SELECT max(price) FROM products WHERE category = '{category}')",
    ),
    Template(
        "count", "How many orders did {customer} place?", "SELECT count(*) FROM orders WHERE customer = '{customer}'"
    ),
    Template(
        "count",
        "What did all orders from {city} pay together?",
        "SELECT sum(paid) FROM orders WHERE city = '{city}'",
    ),
    Template(
        "count",
        "What is the total quantity of {product} that was ordered?",
        "SELECT sum(quantity) FROM orders WHERE product = '{product}'",
    ),
    Template("count", "How many orders were placed in {month}?", "SELECT count(*) FROM orders WHERE month = '{month}'"),
    Template(
        "group",
        "For each city with orders in {month}, what was paid in that month?",
        "SELECT city, sum(paid) FROM orders WHERE month = '{month}' GROUP BY city",
    ),
    Template("filter", "Which customers ordered {product}? Name each once.", f"{_BOUGHT} product = '{{product}}'"),
    Template(
        "group",
        "For each category, how many orders have a quantity of at least {count}? Leave out categories without one.",
        "SELECT category, count(*) FROM orders WHERE quantity >= {count} GROUP BY category",
    ),
    Template(
        "nested",
        "Which customers from {city} never ordered anything in the category {category}?",
        "SELECT name FROM customers WHERE city = '{city}' AND name NOT IN "
        "(SELECT customer FROM orders WHERE category = '{category}')",
    ),
    Template(
        "group",
        "Which customers paid more than {total} in total?",
        "SELECT customer FROM orders GROUP BY customer HAVING sum(paid) > {total}",
    ),
    Template(
        "nested",
        "What did customers who joined in {year} pay for an order on average?",
        "SELECT avg(paid) FROM orders JOIN customers ON customers.name = orders.customer WHERE joined = {year}",
    ),
    Template(
        "order",
        "List the products in the category {category}, the cheapest first.",
        "SELECT product FROM products WHERE category = '{category}' ORDER BY price",
        ordered=True,
    ),
    Template(
        "nested",
        "Which customers from {city} placed an order in {month}? Name each once.",
        f"{_BOUGHT} city = '{{city}}' AND month = '{{month}}'",
    ),
)

ASKED = """A shop's database has these views, and nothing else may be read:
{views}
Question: {question}
Reply with one SQLite query in a fenced block, and after it one sentence that says what the query does."""


def rows() -> list[Made]:
    """The questions, in turn of each template, so that none outweighs the others by its number of values."""
    views = "\n".join(f"- {name}: {columns}" for name, columns in COLUMNS.items())
    queues = [sorted(_filled(template), key=lambda pair: stable_id("sql", pair[0])) for template in TEMPLATES]
    with closing(sqlite3.connect(":memory:")) as shop:
        shop.executescript(script())
        queues = [[pair for pair in queue if shop.execute(pair[1]).fetchone()] for queue in queues]
    found: list[Made] = []
    place = 0
    while len(found) < QUESTIONS:
        for template, queue in zip(TEMPLATES, queues, strict=True):
            if place < len(queue) and len(found) < QUESTIONS:
                question, query = queue[place]
                meta: dict[str, object] = {"database": "own:shop", "views": sorted(COLUMNS)}
                if template.ordered:
                    meta["ordered"] = True
                text = ASKED.format(views=views, question=question)
                # Of each template every third or so, so that small ones are measured too.
                found.append(
                    Made(text, question, template.cohort, meta, answer=query, held_out=place % 10 in (1, 5, 8))
                )
        place += 1
    return found


def _filled(template: Template) -> list[tuple[str, str]]:
    """Question and query with every combination of the values that the template names."""
    names = [name for name in VALUES if f"{{{name}}}" in template.question]
    found = []
    for values in product(*(VALUES[name] for name in names)):
        told = dict(zip(names, values, strict=True))
        found.append((template.question.format(**told), template.query.format(**told)))
    return found
