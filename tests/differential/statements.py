"""Random statements over the demonstration's schema: what applications write, and what routers get wrong.

A statement is its text with %-free literals, or a text with $n and its values for the extended protocol.
"""

import re
from dataclasses import dataclass

COLUMNS = {"customers": ("id", "name", "country", "balance", "created"),
           "orders": ("customer_id", "id", "amount", "note", "created"), "countries": ("code", "name")}


@dataclass
class Statement:
    sql: str
    values: tuple = ()
    ordered: bool = False     # the order of the rows is part of the answer
    count_only: bool = False  # which rows come is left open by SQL: only their number is compared
    writes: bool = False
    extended: bool = False    # by the extended protocol, even without values
    types: tuple = ()         # OIDs of the types of the values; without: bigint


class Generator:
    """Draws statements from a random.Random."""

    def __init__(self, random):
        self.random = random

    def draw(self):
        kinds = [(self.read, 6), (self.join, 3), (self.aggregate, 2), (self.compound, 2), (self.report, 4), (self.insert, 3), (self.update, 3),
                 (self.delete, 2), (self.odd, 2)]
        statement = self.random.choices([k for k, _ in kinds], [w for _, w in kinds])[0]()
        return self.bind(statement) if self.random.random() < 0.4 and not statement.sql.startswith("COPY") else statement

    # Pieces

    def key(self):
        return self.random.choice([self.random.randint(1, 1000)] * 6 + [0, -1, 1001, 2**31, 2**40])

    def literal(self, key):
        """One of the spellings of an integer."""
        return self.random.choice([f"{key}"] * 4 + [f"'{key}'", f"{key}::bigint", f"'{key}'::int8", f"({key})", f"CAST({key} AS bigint)",
                                                    f"{key}.0", f"{key} + 0", f"(SELECT {key})", f"' {key} '", f"{key}::numeric"])

    def key_condition(self, column):
        pick, keys = self.random.random(), [self.key() for _ in range(3)]
        if pick < 0.5:
            return f"{column} = {self.literal(keys[0])}"
        if pick < 0.7:
            return f"{column} IN ({', '.join(self.literal(k) for k in keys)})"
        return self.random.choice([
            f"{self.literal(keys[0])} = {column}", f"{column} = ANY (ARRAY[{keys[0]}, {keys[1]}]::bigint[])",
            f"{column} = ANY ('{{{keys[0]}, {keys[1]}, NULL}}')", f"{column} = ANY ('{{{keys[0]},\"{keys[2]}\"}}'::bigint[])",
            f"{column} = ANY ('{{}}'::int[])", f"{column} = ANY ('{{{{{keys[0]}}},{{{keys[1]}}}}}'::bigint[])", f"{column} <> ALL ('{{{keys[0]}}}')",
            f"({column}, 1) = ({keys[0]}, 1)", f"{column} IN ({keys[0]}, NULL)", f"{column} = {keys[0]} OR {column} = {keys[1]}",
            f"NOT {column} <> {keys[0]}", f"{column} IS NOT DISTINCT FROM {keys[0]}", f"{column} BETWEEN {keys[0]} AND {keys[0]}",
            f"{column} = {keys[0]} AND {column} = {keys[1]}", f"{column} IN (SELECT {keys[0]})", f"{column} = NULL",
            f"CASE WHEN {column} = {keys[0]} THEN true ELSE false END", f"coalesce({column}, 0) = {keys[0]}",
            f"{column} + 0 = {keys[0]}", f"{column}::text = '{keys[0]}'", f"{column} = {keys[0]}::float8",
            f"({column}) IN (({keys[0]}), ({keys[1]}))", f"{column} = '{keys[0]}' AND true"])

    def other_condition(self, prefix=""):
        return self.random.choice([
            f"{prefix}created > '2024-03-01'", "true", "NOT false", f"{prefix}created IS NOT NULL",
            f"{prefix}created < DATE '2024-12-01' AND 1 = 1"])

    def condition(self, column, prefix=""):
        parts = [self.key_condition(column)] if self.random.random() < 0.8 else []
        if self.random.random() < 0.4 or not parts:
            parts.append(self.other_condition(prefix))
        self.random.shuffle(parts)
        joined = self.random.choice([" AND "] * 5 + [" OR "]).join(f"({p})" for p in parts)
        return f"NOT ({joined})" if self.random.random() < 0.05 else joined

    # Statements

    def read(self):
        table, key = self.random.choice([("customers", "id"), ("orders", "customer_id")])
        columns = self.random.choice(["*", ", ".join(self.random.sample(COLUMNS[table], 3)), f"{key}, 1 AS one, upper(created::text)"])
        sql = f"SELECT {columns} FROM {table}"
        if self.random.random() < 0.95:
            sql += f" WHERE {self.condition(key)}"
        unique = "id" if table == "customers" else "customer_id, id"
        pick = self.random.random()
        if pick < 0.15:
            return Statement(f"{sql} ORDER BY {self.random.choice(['', 'created DESC, ', 'created NULLS FIRST, '])}{unique}", ordered=True)
        if pick < 0.25:
            return Statement(f"{sql} ORDER BY {unique} LIMIT {self.random.randint(0, 5)} OFFSET {self.random.randint(0, 3)}", ordered=True)
        if pick < 0.3:
            return Statement(f"{sql} LIMIT {self.random.randint(0, 4)}", count_only=True)
        if pick < 0.33:
            return Statement(f"{sql} FOR {self.random.choice(['UPDATE', 'NO KEY UPDATE', 'SHARE', f'UPDATE OF {table} SKIP LOCKED'])}", writes=True)
        return Statement(sql)

    def join(self):
        condition = self.condition(self.random.choice(["c.id", "o.customer_id"]), "c.")
        on = self.random.choice(["o.customer_id = c.id"] * 4 + ["o.customer_id = c.id + 1", "o.note = c.name", f"o.customer_id = {self.key()}"])
        kind = self.random.choice(["JOIN"] * 3 + ["LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
        if kind == "FULL JOIN":
            on = "o.customer_id = c.id"
        return Statement(self.random.choice([
            f"SELECT c.id, o.id, o.amount FROM customers c {kind} orders o ON {on} WHERE {condition}",
            f"SELECT c.id, o.amount FROM customers c, orders o WHERE {on} AND {condition}",
            f"SELECT c.id, n.name FROM customers c {kind.replace('FULL', 'LEFT')} countries n ON n.code = c.country WHERE {condition.replace('o.customer_id', 'c.id')}",
            f"SELECT c.name FROM customers c WHERE {condition.replace('o.customer_id', 'c.id')} AND EXISTS (SELECT FROM orders o WHERE {on})",
            f"SELECT c.name, (SELECT sum(o.amount) FROM orders o WHERE {on}) FROM customers c WHERE {condition.replace('o.customer_id', 'c.id')}",
            f"SELECT c.id, l.amount FROM customers c CROSS JOIN LATERAL (SELECT amount FROM orders o WHERE {on} ORDER BY id LIMIT 2) l WHERE {condition.replace('o.customer_id', 'c.id')}"]))

    def aggregate(self):
        where = self.condition("customer_id")
        what = self.random.choice(["count(*)", "sum(amount)", "avg(amount)", "min(note), max(note)", "count(DISTINCT amount)",
                                   "coalesce(sum(amount), 0)", "round(avg(amount), 2)", "sum(amount) / count(*)", "max(created)",
                                   "bool_and(amount > 1)", "string_agg(note, ',' ORDER BY id)", "count(*) FILTER (WHERE amount > 100)"])
        return Statement(self.random.choice([
            f"SELECT {what} FROM orders WHERE {where}", f"SELECT {what} FROM orders",
            f"SELECT customer_id, {what} FROM orders WHERE {where} GROUP BY customer_id",
            f"SELECT amount, count(*) FROM orders WHERE {where} GROUP BY 1 HAVING count(*) > 1",
            f"SELECT DISTINCT amount FROM orders WHERE {where}", f"SELECT count(*) OVER (), amount FROM orders WHERE {where}",
            f"SELECT rank() OVER (ORDER BY amount, id), id FROM orders WHERE {where}",
            f"SELECT n.name, count(*) FROM customers c JOIN countries n ON n.code = c.country WHERE c.id = {self.key()} GROUP BY n.name"]))

    def compound(self):
        a, b = (f"SELECT id, name FROM customers WHERE {self.condition('id')}" for _ in range(2))
        word = self.random.choice(["UNION", "UNION ALL", "INTERSECT", "EXCEPT"])
        return Statement(self.random.choice([
            f"{a} {word} {b}", f"WITH x AS ({a}) SELECT count(*) FROM x", f"WITH x AS ({a}), y AS ({b}) SELECT * FROM x JOIN y USING (id)",
            f"SELECT * FROM ({a}) AS x WHERE id = {self.key()}", f"SELECT id FROM customers WHERE id IN (SELECT id FROM ({a}) AS x)",
            f"SELECT * FROM ({a}) AS x ORDER BY id LIMIT 2", f"{a} {word} SELECT 1::bigint, 'one'"]))

    def table(self, name):
        """One of the spellings of a table in FROM, its columns under the table's own name."""
        return self.random.choice([name] * 3 + [f"public.{name}", f'"public"."{name}"', f"ONLY {name}", f"public.{name} *", f"ONLY public.{name}"])

    def report(self):
        customers, orders = self.table("customers"), self.table("orders")
        where, kind = self.condition("customers.id", "customers."), self.random.choice(["JOIN", "LEFT JOIN", "RIGHT JOIN"])
        on = self.random.choice(["orders.customer_id = customers.id"] * 3 + ["orders.customer_id = customers.id + 1", "orders.note = customers.name"])
        joined = f"{customers} {kind} {orders} ON {on}"
        what = self.random.choice(["count(*)", "sum(amount)", "count(DISTINCT orders.note)", "max(orders.created)", "count(orders)", "array_agg(orders.amount ORDER BY orders.id)"])
        group = self.random.choice(["customers.id", "1", "who", "customers.id, country", "customers.id, orders.note"])
        having = self.random.choice(["", f" HAVING {what} IS NOT NULL", " HAVING count(*) > 2"])
        with_name = self.random.choice(["orders", "customers", "x", "countries"])
        return self.random.choice([
            Statement(f"SELECT customers.id AS who, customers.name, upper(country), {what} FROM {joined} WHERE {where} GROUP BY {group}{having}"),
            Statement(f"SELECT customers.id AS who, name || country, {what} FROM {joined} GROUP BY {group}{having} ORDER BY {what} DESC NULLS LAST, 1, 2"
                      + self.random.choice(["", " LIMIT 3", " OFFSET 2"]), ordered=group != "customers.id, orders.note"),
            Statement(f"WITH {with_name} AS (SELECT id, name FROM {customers} WHERE {where.replace('customers.', '')}) SELECT count(*), max(name) FROM {with_name}"),
            Statement(f"WITH {with_name} AS (SELECT * FROM {orders} WHERE amount > 100) SELECT count(*) FROM {with_name} JOIN {customers} ON customers.id = {with_name}.customer_id"
                      if with_name not in ("customers", "countries") else "SELECT 2"),
            Statement(f"SELECT row_to_json(customers), customers IS NULL, orders IS NOT NULL FROM {joined} WHERE {where}"),
            Statement(f"SELECT json_agg(orders ORDER BY orders.id) FROM {orders} WHERE {self.condition('customer_id')}"),
            Statement(f"COPY (SELECT id, name, balance FROM {customers} WHERE {where} ORDER BY id) TO STDOUT" + self.random.choice(["", " CSV HEADER", " (FORMAT binary)"]),
                      ordered=True),
            Statement(f"SELECT public.customers.id, customers.name FROM public.customers WHERE {where} ORDER BY public.customers.id LIMIT 5", ordered=True),
            Statement(f"SELECT country, grouping(country), {what} FROM {joined} GROUP BY ROLLUP (country)"),
            Statement(f"SELECT DISTINCT ON (country) country, customers.id FROM {customers} WHERE {where} ORDER BY country, customers.id DESC", ordered=True),
            Statement(f"SELECT customers.id, sum(amount) OVER (PARTITION BY country ORDER BY customers.id, orders.id) FROM {joined} WHERE {where}"),
            Statement(f"SELECT id FROM {customers} WHERE id IN (SELECT customer_id FROM {orders} WHERE amount > 400) AND {where}"),
            Statement(f"SELECT id FROM {customers} WHERE id NOT IN (SELECT customer_id FROM {orders} WHERE customer_id < 500) UNION TABLE none"
                      .replace("TABLE none", "SELECT customer_id FROM public.orders WHERE amount < 5"))])

    def insert(self):
        key = self.random.choice([self.random.randint(5000, 9000)] * 5 + [self.key()])
        other = self.random.randint(5000, 9000)
        returning = self.random.choice(["", " RETURNING id, name", " RETURNING *"])
        if self.random.random() < 0.15:
            value = self.random.choice(["c.id", "c.id", "c.id + 1", f"{self.literal(self.key())}"])
            return Statement(f"INSERT INTO orders (customer_id, amount, note) SELECT {value}, c.balance, {self.random.choice(['NULL', 'c.name', repr('n')])} "
                             f"FROM customers c WHERE {self.condition('c.id', 'c.')} RETURNING customer_id, amount, note, created", writes=True)
        return Statement(self.random.choice([
            f"INSERT INTO customers (id, name) VALUES ({self.literal(key)}, 'new')", f"INSERT INTO customers VALUES ({key}, 'new', 'DE')",
            f"INSERT INTO customers (name, id) VALUES ('a', {key}), ('b', {other})", "INSERT INTO customers (name) VALUES ('none')",
            "INSERT INTO customers (id, name) VALUES (NULL, 'x')", f"INSERT INTO customers (id, name) SELECT {key}, 'x'",
            f"INSERT INTO customers (id, name, country) VALUES ({key}, 'x', 'ZZ')",
            f"INSERT INTO customers (id, name) VALUES ({key}, 'x') ON CONFLICT (id) DO UPDATE SET name = 'again'",
            f"INSERT INTO customers (id, name) VALUES ({key}, 'x') ON CONFLICT DO NOTHING",
            f"INSERT INTO customers (id, name, created) VALUES ({key}, 'a', now()), ({other}, 'b', {self.moment()}), ({other + 1}, 'c', '2024-01-01')",
            f"INSERT INTO customers (id, name) VALUES ({key}, 'a'), ({other}, 'b'), ({self.random.randint(1, 1000)}, 'c') ON CONFLICT (id) DO NOTHING",
            f"INSERT INTO customers (id, name) VALUES ({key}, 'a'), ({other}, 'b'), ({self.random.randint(1, 1000)}, 'c')"
            " ON CONFLICT (id) DO UPDATE SET name = excluded.name || customers.name",
            f"INSERT INTO customers (id, name) VALUES ((SELECT max(id) + {key} FROM customers), 'x')",
            f"INSERT INTO customers (id, name, balance) VALUES ({key}, 'x', (SELECT sum(amount) FROM orders WHERE {self.condition('customer_id')}))",
            f"INSERT INTO customers (id, name, country) SELECT {self.random.choice(['id + 5000', 'id * 2 + 1001', '10000 - id', 'id'])}, name, country FROM customers "
            f"WHERE {self.condition('id')}{self.random.choice(['', ' ORDER BY id LIMIT 3', ' ON CONFLICT DO NOTHING'])}",
            f"INSERT INTO customers (id, name) SELECT customer_id + 5000, min(note) FROM orders WHERE {self.condition('customer_id')} GROUP BY customer_id HAVING min(note) IS NOT NULL"]) + returning, writes=True)

    def moment(self):
        return self.random.choice(["now()", "CURRENT_TIMESTAMP", "current_date", "now() - INTERVAL '1 day'", "transaction_timestamp()", "localtimestamp", "statement_timestamp()"])

    def subquery(self):
        """A condition on rows of customers that reads other tables."""
        inner = self.condition("customer_id")
        return self.random.choice([
            f"id IN (SELECT customer_id FROM orders WHERE {inner})", f"id NOT IN (SELECT customer_id FROM orders WHERE {inner})",
            f"EXISTS (SELECT FROM orders o WHERE o.customer_id = customers.id AND o.amount > 300)",
            f"NOT EXISTS (SELECT FROM orders o WHERE o.customer_id = customers.id AND o.note IS NULL)",
            f"balance > (SELECT avg(amount) FROM orders WHERE {inner})", "(SELECT count(*) FROM orders o WHERE o.customer_id = customers.id) = 2",
            "id = (SELECT max(customer_id) FROM orders)", f"country IN (SELECT code FROM countries WHERE name < 'M')",
            f"id IN (WITH x AS (SELECT customer_id AS id FROM orders WHERE {inner}) SELECT id + 1 FROM x)",
            f"created < {self.moment()} - INTERVAL '1 year'",
            f"id IN (SELECT customer_id FROM orders WHERE {inner} ORDER BY amount DESC, id LIMIT {self.random.randint(0, 5)})",
            "id = ANY (SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY country ORDER BY id) AS n FROM customers) q WHERE n < 3)"])

    def update(self):
        where = self.condition("id")
        what = self.random.choice(["name = 'changed'"] * 3 + ["balance = balance + 1, name = lower(name)", f"id = {self.key()}",
                                                             "balance = (SELECT sum(amount) FROM orders o WHERE o.customer_id = customers.id)"])
        return Statement(self.random.choice([
            f"UPDATE customers SET {what} WHERE {where}", f"UPDATE customers SET {what} WHERE id = {self.key()} RETURNING id, name, balance",
            f"UPDATE orders o SET note = c.name FROM customers c WHERE c.id = o.customer_id AND c.id = {self.key()}",
            f"UPDATE customers SET name = 'read', created = {self.moment()} WHERE {self.subquery()} RETURNING id, name",
            f"UPDATE customers SET balance = (SELECT sum(o.amount) FROM orders o WHERE o.customer_id = customers.id) WHERE {self.subquery()} RETURNING id, balance",
            f"UPDATE customers SET balance = balance + (SELECT max(amount) FROM orders WHERE {self.condition('customer_id')}) WHERE {where} RETURNING id, balance",
            f"UPDATE customers SET name = o.name FROM customers o WHERE o.id = customers.id + 1 AND ({self.condition('o.id', 'o.')}) RETURNING customers.id, customers.name",
            f"UPDATE customers SET name = q.n::text FROM (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) q WHERE q.customer_id = customers.id RETURNING id, customers.name",
            f"WITH big AS (SELECT customer_id FROM orders WHERE amount > 400) UPDATE customers SET name = 'big' FROM (SELECT DISTINCT customer_id FROM big) b WHERE id = b.customer_id RETURNING id",
            f"UPDATE customers SET id = {self.random.choice(['id + 10000', '-id', 'id', str(self.random.randint(5000, 9000))])}, name = upper(name) WHERE {where} RETURNING *",
            f"UPDATE orders SET customer_id = {self.random.choice(['customer_id + 1', '1001 - customer_id', 'customer_id'])}, amount = amount + 1 "
            f"WHERE {self.condition('customer_id')} RETURNING customer_id, id, amount",
            # Few rows: a customer with all orders would make joins of orders with orders endless.
            f"UPDATE orders SET customer_id = {self.key()} WHERE customer_id = {self.key()} AND id % 3 = 1 RETURNING customer_id, id",
            f"UPDATE customers SET balance = random() * 0 WHERE {where}"]), writes=True)

    def delete(self):
        return Statement(self.random.choice([
            f"DELETE FROM orders WHERE {self.condition('customer_id')}",
            f"DELETE FROM orders WHERE customer_id = {self.key()} RETURNING amount",
            f"WITH gone AS (DELETE FROM orders WHERE customer_id = {self.key()} RETURNING *) SELECT count(*), sum(amount) FROM gone",
            f"DELETE FROM customers WHERE id = {self.key()}",
            f"DELETE FROM orders o USING customers c WHERE o.customer_id = c.id AND c.id = {self.key()}",
            f"DELETE FROM orders WHERE customer_id IN (SELECT id FROM customers WHERE {self.subquery()}) RETURNING customer_id, id",
            f"DELETE FROM orders o USING customers c WHERE o.customer_id = c.id AND ({self.condition('c.id', 'c.')}) RETURNING o.id, c.name",
            f"DELETE FROM orders o USING customers c WHERE o.note = c.name OR o.customer_id = c.id - 900 RETURNING o.id",
            f"DELETE FROM orders o WHERE o.amount < (SELECT avg(p.amount) FROM orders p WHERE p.customer_id = o.customer_id) AND {self.condition('customer_id')} RETURNING id",
            f"DELETE FROM orders WHERE created < {self.moment()} AND {self.condition('customer_id')}"]), writes=True)

    def odd(self):
        return Statement(self.random.choice([
            "SELECT 1", "UPDATE customers SET nonsense = 1", "INSERT INTO customers (id, name VALUES (1, 'x')", "SELECT count(*) FROM countries", "SELECT value FROM settings WHERE key = 'currency'", "VALUES (1, 'a'), (2, 'b')",
            f"SELECT id FROM customers WHERE id = {self.key()} AND nonsense = 1", "SELECT 1/0", "SELEC 1", "SELECT * FROM no_such_table",
            f"SELECT id FROM customers WHERE id = 'x{self.key()}'", f"SELECT 1/(id - id) FROM customers WHERE id = {self.random.randint(1, 1000)}",
            f"SELECT id FROM customers WHERE id = {10**30}", f"SELECT c FROM customers c WHERE id = {self.key()}",
            f"SELECT customers FROM customers WHERE id = {self.key()}", f"SELECT \"id\" FROM public.customers WHERE \"id\" = {self.key()}",
            f"SELECT id /* {self.key()} */ FROM customers -- id = 1\n WHERE id = {self.key()}",
            f"SELECT name FROM ONLY customers WHERE id = {self.key()}", f"SELECT E'\\\\x' || name FROM customers WHERE id = {self.key()}",
            f"SELECT $q${self.key()}$q$, id FROM customers WHERE id = {self.key()}", f"SELECT 'id = {self.key()}', name FROM customers WHERE id = {self.key()}",
            f"SELECT id FROM customers TABLESAMPLE SYSTEM (100) WHERE id = {self.key()}", "SHOW server_version_num",
            f"SELECT generate_series(1, 3), id FROM customers WHERE id = {self.key()}"]))

    def bind(self, statement):
        """The same with some whole-number literals of comparisons as parameters."""
        values = []

        def replace(found):
            if self.random.random() < 0.3:
                return found.group(0)
            values.append(int(found.group(2)))
            return f"{found.group(1)}${len(values)}"
        sql = re.sub(r"((?:id|customer_id) = )(-?\d+)(?![\d.:$])", replace, statement.sql)
        return Statement(sql, tuple(values), statement.ordered, statement.count_only, statement.writes)
