"""A small shop as an SQLite script: three tables with private columns, and three views that leave those out.

    customers   name, city, joined                                   without e-mail addresses
    products    product, category, price                             without what the shop paid
    orders      order_id, customer, city, product, category, quantity, paid, month

No random numbers: every value follows from its row's number, so that the golden results stay what they are.
"""

CITIES = ("Aln", "Brake", "Corvel", "Dunmar", "Esk", "Farlow", "Garth", "Holm")
CATEGORIES = ("tools", "tea", "paper", "lamps", "seeds", "games")
_FIRST = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana")
_LAST = ("Marsh", "Quill", "Reed", "Stone", "Thorn")
_KINDS = ("small", "plain", "fine", "grand")
_NOUNS = {"tools": "saw", "tea": "tea", "paper": "pad", "lamps": "lamp", "seeds": "seed mix", "games": "puzzle"}
YEARS = (2019, 2020, 2021, 2022, 2023)
MONTHS = tuple(f"2024-{month:02}" for month in range(1, 13))
CUSTOMERS = tuple(f"{first} {last}" for last in _LAST for first in _FIRST)
PRODUCTS = tuple(f"{kind} {_NOUNS[category]}" for category in CATEGORIES for kind in _KINDS)
_ORDERS = 400

TABLES = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, email TEXT, city TEXT, joined INTEGER);
CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT, category TEXT, price REAL, cost REAL);
CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INTEGER, product INTEGER, quantity INTEGER, month TEXT);
"""
VIEWS = """
CREATE VIEW customers AS SELECT name, city, joined FROM customer;
CREATE VIEW products AS SELECT name AS product, category, price FROM product;
CREATE VIEW orders AS
SELECT purchase.id AS order_id, customer.name AS customer, customer.city AS city, product.name AS product,
       product.category AS category, quantity, quantity * price AS paid, month
FROM purchase JOIN customer ON customer.id = purchase.customer JOIN product ON product.id = purchase.product;
"""
COLUMNS = {
    "customers": "name, city, joined (a year)",
    "products": "product, category, price",
    "orders": "order_id, customer, city, product, category, quantity, paid (quantity times price), month (as 2024-03)",
}
"""What a prompt says of each view."""


def script() -> str:
    """The whole database."""
    lines = [TABLES]
    for number, name in enumerate(CUSTOMERS):
        city, joined = CITIES[(number * 5 + number // 8) % 8], YEARS[(number * 3 + number // 7) % 5]
        email = f"{name.split()[0].lower()}{number}@post.example"
        lines.append(f"INSERT INTO customer VALUES ({number}, '{name}', '{email}', '{city}', {joined});")
    for number, name in enumerate(PRODUCTS):
        price = 2 + (number * 37 % 97) / 4
        lines.append(
            f"INSERT INTO product VALUES ({number}, '{name}', '{CATEGORIES[number // 4]}', {price}, {price / 2});"
        )
    for number in range(_ORDERS):
        # The last five customers never order anything.
        buyer = (number * 13 + number // 35) % (len(CUSTOMERS) - 5)
        bought = (number * 11 + number // 9) % len(PRODUCTS)
        quantity, month = 1 + number * 7 % 6, MONTHS[(number * 5 + number // 12) % 12]
        lines.append(f"INSERT INTO purchase VALUES ({number}, {buyer}, {bought}, {quantity}, '{month}');")
    return "\n".join([*lines, VIEWS])
