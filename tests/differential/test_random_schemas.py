"""Random schemas with random rows, and random statements over them: one PostgreSQL and pgbraid over four shards. Equal rows,
types, order, tags and SQLSTATEs, and after each write equal tables on both sides, or a refusal.

A difference counts when two servers with the same rows in another order, planning otherwise, agree on the answer. It is shrunk:
the statement, then the rows.
"""

import math
import random
import re
import struct
import time
from collections import Counter
from dataclasses import replace

import psycopg2
import pytest

from braid import Braid, Endpoint, sharded_topology
from cluster import BUCKETS, Cluster
from drawing import SEED, SECONDS
from partners import parts_alone, rows_of_one_key, several_partners
from random_queries import QueryGenerator
from random_schemas import SchemaGenerator, copied
from shrinking import shrunk_rows, shrunk_text
from sides import ask, compare, shape
from statements import Statement
from wire import bind, describe_portal, errors, execute, message, parse, query, sync, tags
from wire import rows as rows_of

STATEMENTS = 150  # of one schema
ROUNDS = 6        # schemas, without DIFFERENTIAL_SECONDS
MOST_REFUSED = 0.15
FLOATS = (700, 701)
ARRAYS = {199, 1000, 1001, 1005, 1007, 1009, 1014, 1015, 1016, 1021, 1022, 1115, 1182, 1185, 1231, 2951, 3807}  # bool[], int4[], text[], uuid[] ...
PLANS = [("hashagg", "hashjoin"), ("nestloop", "sort"), ("mergejoin", "hashagg", "seqscan"), ("indexscan", "indexonlyscan", "bitmapscan"), ()]


def answer(client, statement):
    """As sides.ask; with `fetch` the rows come by a portal in two parts, with `binary` in binary."""
    if not (statement.fetch or statement.binary):
        return ask(client, statement)
    client.send(parse(statement.sql, types=statement.types), bind(statement.values, result_formats=(1,) if statement.binary else ()), describe_portal(),
                *([execute(limit=statement.fetch)] if statement.fetch else []), execute(), sync())
    got = client.until_ready()
    failed = errors(got)
    columns = next((shape(body) for kind, body in got if kind == "T"), None)
    if columns:
        columns = [(n, 0 if t >= 16384 else t, s, m, f) for n, t, s, m, f in columns]
    return (failed[0]["C"] if failed else None), columns, rows_of(got), tags(got), failed


def number(value, binary):
    return struct.unpack("!d" if len(value) == 8 else "!f", value)[0] if binary else float(value)


def alike(left, right, columns, binary):
    """Whether rows differ by no more than floats that were added up in another order."""
    if len(left) != len(right) or not columns or not any(c[1] in FLOATS for c in columns):
        return False
    for one, two in zip(left, right):
        for a, b, column in zip(one, two, columns):
            if a != b and (column[1] not in FLOATS or a is None or b is None or not close(number(a, binary), number(b, binary))):
                return False
    return True


def close(a, b):
    """Of two floats. A NaN may have a sign, which nobody sees."""
    return math.isclose(a, b, rel_tol=1e-12) or math.isnan(a) and math.isnan(b)


def without_flags(told):
    """An answer in binary without what its arrays say of themselves: whether they have room for NULLs, used or not."""
    places = {n for n, column in enumerate(told[1] or ()) if column[1] in ARRAYS}
    rows = [[v[:4] + bytes(4) + v[8:] if v and n in places else v for n, v in enumerate(row)] for row in told[2]]
    return (*told[:2], rows, *told[3:])


def verdict_of(statement, one, many):
    """As sides.compare, with floats by their value; "open" for what took one server too long."""
    if statement.binary:
        one, many = without_flags(one), without_flags(many)
    if one[0] == "57014":
        return "open"
    if many[0] == "53400" and one[0] is None:
        return None
    if {one[0], many[0]} == {None, "42804"} and "cannot compare dissimilar column types" in (one[4] or many[4])[0]["M"]:
        return "open"  # rows of other types: an error where a plan comes to compare them
    if {one[0], many[0]} == {None, "42P22"}:
        return "open"  # rows whose columns have other collations: the same
    if one[0] and many[0] and one[0] != many[0] and {one[0][:2], many[0][:2]} == {"22"}:
        return "open"  # two rows (or groups) that are wrong each in its own way: a plan meets the one or the other first
    if many[0] == "23502" and one[0] != "23502" and "sharding key" in many[4][0]["M"]:
        return None
    if one[0] and many[0] and {one[0][:2], many[0][:2]} <= {"21", "22", "23"} and re.match(r"(WITH .*)?INSERT", statement.sql, re.S):
        # Of several rows that are wrong each in its own way a shard has met another one first.
        return True
    if one[0] and many[0] and {one[0][:2], many[0][:2]} <= {"21", "22", "23"} and "MERGE INTO" in statement.sql:
        return True
    if one[0] and many[0] and {one[0][:2], many[0][:2]} <= {"21", "22", "23"} and statement.writes and statement.sql.startswith("WITH"):
        return "open"  # what a write of WITH violates is told at its end, and what the rest comes upon when it does
    told = compare(statement, one, many)
    if isinstance(told, str) and one[0] is None and many[0] is None and one[1] == many[1]:
        places = [n for n, c in enumerate(one[1] or ()) if c[1] in FLOATS]

        def rounded(row):
            return repr([v if v is None or n not in places else "%.9g" % (number(v, statement.binary) + 0.0) for n, v in enumerate(row)])
        left, right = (r[2] if statement.ordered else sorted(r[2], key=rounded) for r in (one, many))
        if alike(left, right, one[1], statement.binary):
            return True if one[3] == many[3] else f"tags {one[3]} and {many[3]}"
    return told


def kind_of(verdict):
    """What must stay the same while a finding shrinks."""
    return verdict[:24] if verdict.startswith("SQLSTATE") else verdict.split()[0] if not verdict[0].isdigit() else "rows"


def ended(client, sql):
    """The SQLSTATE with which a transaction ends, or None: what is deferred fails there."""
    client.send(query(sql))
    failed = errors(client.until_ready())
    return failed[0]["C"] if failed else None


class Servers:
    """One server with two databases of the same tables, and four shards."""

    def __init__(self):
        self.whole, self.parts = Cluster(shards=1, replicas=0), Cluster(shards=4, replicas=0)
        self.whole.start(), self.parts.start()
        self.one = self.whole.shards[0].primary
        self.one.query("CREATE DATABASE twin TEMPLATE template0", dbname="postgres")
        self.one.query("GRANT CREATE ON SCHEMA public TO app", dbname="twin")
        self.collations = ["", "", '"C"'] + (['"en-x-icu"'] if self.one.value("SELECT count(*) FROM pg_collation WHERE collname = 'en-x-icu'") else [])

    def stop(self):
        self.whole.stop(), self.parts.stop()


class Round:
    """One schema on all sides. Use as a context manager."""

    def __init__(self, servers, schema, random):
        self.servers, self.schema, self.random = servers, schema, random
        self.rows = {t.name: t.rows for t in schema.tables}
        self.named = {t.name: t for t in schema.tables}
        self.state = [Statement(f"SELECT * FROM {t.name}") for t in schema.tables]
        self.all = [(servers.one, "shop", ""), (servers.one, "twin", ""), *((s.primary, "shop", s.name) for s in servers.parts.shards)]
        self.twin_rows = None

    def __enter__(self):
        for server, database, shard in self.all:
            server.query(self.schema.create(shard), dbname=database)
        self.make_views()
        topology = sharded_topology(self.servers.parts)
        sharding = topology["databases"]["shop"]["sharding"]
        tables, references, unsharded = self.schema.sharding()
        sharding["tables"] |= tables
        sharding["reference_tables"] += references
        sharding["unsharded"] |= unsharded
        for shard, more in zip(topology["databases"]["shop"]["shards"], self.schema.places):
            shard |= more
        if self.schema.function == "list":
            sharding["default_shard"] = "s0"
        if self.schema.function == "consistent_hash":
            # The demonstration's rows lie elsewhere then.
            sharding |= {"function": "consistent_hash", "check_placement": False}
        self.braid = Braid(topology)
        try:
            self.braid.start()
        except AssertionError:
            told = self.braid.log()[:1500]
            self.remove()
            pytest.fail(f"pgbraid does not serve this: {told}\n{described(self.schema, self.rows)}", pytrace=False)
        self.connect()
        self.load(self.rows, self.random.random() < 0.4)
        return self

    def connect(self):
        port = self.servers.one.port
        self.one, self.twin = Endpoint(port).raw(timeout=30), Endpoint(port).raw(dbname="twin", timeout=30)
        self.many = self.braid.raw(timeout=30)
        for client in (self.one, self.twin, self.many):
            for setting in ["SET statement_timeout = '8s'", *self.schema.settings]:
                client.query(setting)

    def __exit__(self, kind, value, trace):
        for client in (self.one, self.twin, self.many):
            client.close()
        try:
            if self.braid.running:
                self.braid.stop()
        finally:
            self.remove()

    def remove(self):
        self.braid.kill()
        self.braid.remove()
        for server, database, shard in self.all:
            server.query(self.schema.drop(shard), dbname=database)

    def make_views(self):
        """Views over tables that every shard has, as far as their queries are right."""
        schema = self.schema
        generator = QueryGenerator(self.random, replace(schema, tables=[t for t in schema.tables if not t.home]))
        for number in range(self.random.choice([0, 0, 1, 2])):
            view = generator.view(f"seen{number}")
            sql = f"CREATE VIEW {view[0]} AS {view[2]}; GRANT SELECT ON {view[0]} TO app"
            try:
                for server, database, _ in self.all:
                    server.query(sql, dbname=database)
            except psycopg2.Error:
                continue
            schema.views.append(view)

    def load(self, rows, by_insert=False):
        """Replaces the rows of all tables on both sides."""
        for client in (self.one, self.many):
            self.emptied(client)
            for table in self.schema.tables:
                if by_insert and client is self.many and rows[table.name]:
                    values = ", ".join("(" + ", ".join("NULL" if v is None else literal(v) for v in row) + ")" for row in rows[table.name])
                    self.carried_out(client, f"INSERT INTO {table.name} VALUES {values}")
                else:
                    self.copy(client, table.name, rows[table.name])
        self.rows, self.twin_rows = rows, None

    def emptied(self, client):
        for home in {t.home for t in self.schema.tables}:
            self.carried_out(client, f"TRUNCATE {', '.join(t.name for t in self.schema.tables if t.home == home)}")

    @staticmethod
    def carried_out(client, sql):
        client.send(query(sql))
        failed = errors(client.until_ready())
        assert not failed, (sql, failed)

    @staticmethod
    def copy(client, table, rows):
        client.send(query(f"COPY {table} FROM STDIN"))
        got = client.receive_until("GZ")
        assert got[-1][0] == "G", (table, errors(got))
        client.send(message("d", copied(rows)), message("c"))
        failed = errors(client.until_ready())
        assert not failed, (table, failed)

    def current(self):
        """The rows of all tables, as text, from the one server."""
        taken = {}
        for table in self.schema.tables:
            self.one.send(query(f"SELECT * FROM {table.name}"))
            taken[table.name] = [[v if v is None else v.decode() for v in row] for row in rows_of(self.one.until_ready())]
        return taken

    def refresh_twin(self, seed):
        """The twin gets the rows that the one server has, in another order, and other ways to plan."""
        shuffle = random.Random(seed)
        self.emptied(self.twin)
        for table in self.schema.tables:
            rows = list(self.rows[table.name])
            shuffle.shuffle(rows) if seed else rows.reverse()
            self.copy(self.twin, table.name, rows)
        self.carried_out(self.twin, "RESET ALL")
        for setting in [*self.schema.settings, *(f"SET enable_{plan} = off" for plan in PLANS[seed % len(PLANS)])]:
            self.carried_out(self.twin, setting)

    def told(self, client, statement, commit=False):
        """(answer, tables after a write)."""
        if not statement.writes:
            return answer(client, statement), None
        client.query("BEGIN")
        told, tables = answer(client, statement), None
        if told[0] is None:
            tables = [sorted(ask(client, s)[2], key=repr) for s in self.state]
        ended(client, "ROLLBACK" if not commit or told[0] else "COMMIT")
        return told, tables

    def verdict(self, statement, clients=None, first=None):
        one = first or self.told(self.one if clients is None else clients[0], statement)
        many = self.told(self.many if clients is None else clients[1], statement)
        told = verdict_of(statement, one[0], many[0])
        if told is True and one[1] != many[1]:
            return "tables " + "; ".join(f"{s.sql[14:]}: {only(a, b)} and {only(b, a)}" for s, a, b in zip(self.state, one[1], many[1]) if a != b), many
        return told, many

    def fails_in_part(self, statement, code):
        """Whether the one server fails so too when it carries out a subquery or a view that it has left out."""
        codes = {code, "22003"} if code == "22P02" else {code}  # a key that is none
        sql = inlined(statement)
        views = [f"SELECT * FROM {name}" for name, *_ in self.schema.views if name in sql]
        return any(ask(self.one, Statement(part))[0] in codes for part in [*parts_alone(sql), *views])

    def openings(self, statement):
        """Queries that give rows where the write leaves open what it does, however the server plans it."""
        sql = inlined(statement)
        found = (several_partners(sql), rows_of_one_key(sql, {name: table.unique for name, table in self.named.items()}))
        return [Statement(several) for several in found if several]

    def determined(self, statement, seeds=range(2 * len(PLANS))):
        """Whether servers that have the rows in other orders agree on the answer."""
        if self.opens_within([statement]):
            return False
        for seed in seeds:
            self.refresh_twin(seed)
            if self.verdict(statement, (self.one, self.twin))[0] is not True:
                return False
        return True

    def determined_after(self, statements, before, seeds=range(2 * len(PLANS))):
        """The same of several statements in one transaction, and of what they leave. `before`: the rows of the one server."""
        self.rows = before
        if self.opens_within(statements):
            return False
        for seed in seeds:
            self.refresh_twin(seed)
            (one, left), (twin, right) = self.replayed(self.one, statements), self.replayed(self.twin, statements)
            if left != right or any(verdict_of(s, a, b) is not True for s, a, b in zip(statements, one, twin)):
                return False
        return True

    def opens_within(self, statements):
        """Whether one of them, behind those before it in one transaction, leaves open what it does."""
        self.one.query("BEGIN")
        found = False
        for statement in statements:
            for several in self.openings(statement):
                self.one.query("SAVEPOINT here")
                found = found or bool(ask(self.one, several)[2])
                self.one.query("ROLLBACK TO here")
            self.one.query("SAVEPOINT here")
            self.one.query("ROLLBACK TO here" if answer(self.one, statement)[0] else "RELEASE here")
        ended(self.one, "ROLLBACK")
        return found

    def replayed(self, client, statements):
        """(answers, tables afterwards) of a transaction that is rolled back."""
        client.query("BEGIN")
        answers = []
        for statement in statements:
            client.query("SAVEPOINT here")
            answers.append(answer(client, statement))
            client.query("ROLLBACK TO here" if answers[-1][0] else "RELEASE here")
        tables = [sorted(ask(client, s)[2], key=repr) for s in self.state]
        ended(client, "ROLLBACK")
        return answers, tables

    def shrink(self, statement, verdict, seconds):
        """(statement, rows, verdict), as small as it gets in that time."""
        kind, original = kind_of(verdict), self.current()
        self.rows = original
        self.refresh_twin(1)
        fails = self.told(self.one, statement)[0][0]

        def differs(candidate):
            one = self.told(self.one, candidate)
            if one[0][0] != fails:
                return None
            told = self.verdict(candidate, None, one)[0]
            if not isinstance(told, str) or told == "open" or kind_of(told) != kind:
                return None
            return told if self.verdict(candidate, (self.one, self.twin), one)[0] is True else None

        plain = replace(statement, sql=inlined(statement), values=(), types=(), extended=False, fetch=0, binary=False)
        least = plain if differs(plain) else statement

        def by_text(sql):
            return differs(replace(least, sql=sql, ordered=least.ordered and "ORDER BY" in sql))
        sql = shrunk_text(least.sql, by_text, seconds * 0.6)
        least = replace(least, sql=sql, ordered=least.ordered and "ORDER BY" in sql)

        def by_rows(rows):
            try:
                self.load(rows)
            except AssertionError:  # a row that others refer to is not left out alone
                return None
            self.refresh_twin(1)
            return differs(least)
        rows = shrunk_rows(original, by_rows, seconds * 0.4)
        self.load(rows)
        least = replace(least, sql=shrunk_text(least.sql, by_text, seconds * 0.2))
        last = self.verdict(least)[0] if self.determined(least) else "not seen again"
        self.load(original)
        return least, rows, last

    def misplaced(self):
        """Rows that lie on another shard than PARTITION BY HASH would have them."""
        found = []
        for table in self.schema.tables:
            if not table.key or self.schema.function != "postgres_hash":
                continue
            columns, key = ", ".join(f"{k} {table.column(k).type}" + (f" COLLATE {c}" if (c := table.column(k).collation) else "") for k in table.key), ", ".join(table.key)
            for number, shard in enumerate(self.servers.parts.shards):
                size = BUCKETS // len(self.servers.parts.shards)
                connection = shard.primary.connect()
                connection.autocommit = False
                with connection.cursor() as cursor:
                    cursor.execute(f"SELECT count(*) FROM {table.name}")
                    if cursor.fetchone()[0]:
                        cursor.execute(f"CREATE TABLE parted ({columns}) PARTITION BY HASH ({key})")
                        cursor.execute(f"SELECT * FROM (SELECT DISTINCT {key} FROM {table.name} WHERE ({key}) IS NOT NULL) k WHERE NOT EXISTS (SELECT FROM generate_series(%s, %s) b "
                                       f"WHERE satisfies_hash_partition('parted'::regclass, {BUCKETS}, b, {', '.join('k.' + k for k in table.key)}))",
                                       (number * size, number * size + size - 1))
                        found += [f"{table.name} on {shard.name}: {row}" for row in cursor.fetchall()]
                connection.rollback()
                connection.close()
        return found


def only(rows, others):
    """The rows that others do not have, few of them."""
    left = Counter(map(repr, rows)) - Counter(map(repr, others))
    return f"{sum(left.values())} rows {list(left)[:3]}"


def literal(value):
    """Read alike whatever the session says of backslashes."""
    return ("E" if "\\" in value else "") + "'" + value.replace("'", "''").replace("\\", "\\\\") + "'"


def inlined(statement):
    return re.sub(r"\$(\d+)", lambda m: literal(statement.values[int(m.group(1)) - 1]), statement.sql) if statement.values else statement.sql


def described(schema, rows):
    out = [f"-- {schema.function} {schema.places or ''} {schema.settings or ''}"]
    for table in schema.tables:
        out.append(f"{table.definition()} -- {'key ' + ', '.join(table.key) if table.key else table.home or 'reference'}")
        out += [f"    {row}" for row in rows[table.name]]
    return "\n".join(out + [f"CREATE VIEW {name} AS {sql};" for name, _, sql in schema.views]) + schema.touching(schema.tables)


@pytest.fixture(scope="module")
def servers():
    running = Servers()
    try:
        yield running
    finally:
        running.stop()


def reason(fields):
    return re.sub(r'"[^"]*"|\b[\w.]*\d[\w.]*\b', "_", fields["M"])


def test_random_schemas(servers):
    source, end = random.Random(SEED), time.monotonic() + SECONDS
    counts, refusals, examples, failures = Counter(), Counter(), {}, []
    number = 0
    while (time.monotonic() < end if SECONDS else number < ROUNDS) and len(failures) < 8:
        number += 1
        draw = random.Random(source.getrandbits(64))
        schema = SchemaGenerator(draw, servers.collations).draw([s.name for s in servers.parts.shards])
        with Round(servers, schema, draw) as running:
            if wrong := running.misplaced():
                failures.append(f"misplaced by loading: {wrong[:5]}\n{described(schema, running.rows)}")
            generator = QueryGenerator(draw, schema)
            for _ in range(STATEMENTS):
                if SECONDS and time.monotonic() > end or len(failures) >= 8:
                    break
                statement = generator.again() if generator.last and draw.random() < 0.15 else generator.draw()
                if draw.random() < 0.04:
                    failed = story(running, [statement, *(generator.draw(0.6) for _ in range(draw.randint(1, 4)))], draw, counts)
                    if failed:
                        failures.append(failed)
                        print(failed, flush=True)
                    continue
                if failed := step(running, statement, draw, counts, refusals, examples):
                    failures.append(failed)
                    print(failed, flush=True)
                    if not running.braid.running:
                        break
            if running.braid.running and (wrong := running.misplaced()):
                failures.append(f"misplaced by writing: {wrong[:5]}\n{described(schema, running.rows)}")
    equal, refused = counts["equal"], counts["refused"]
    print(f"seed {SEED}: {equal} equal, {refused} refused, {len(failures)} different (of the equal ones {counts['failed']} errors, {counts['telling']} with rows; "
          f"{counts['open']} left open, {number} schemas)")
    for why, times in refusals.most_common(12):
        print(f"  {times} x {why}\n      {examples[why][:300]}")
    if failures:
        pytest.fail(f"seed {SEED}:\n" + "\n\n".join(failures), pytrace=False)
    assert refused <= (equal + refused) * MOST_REFUSED, f"seed {SEED}: too much is refused"


def step(running, statement, drawn, counts, refusals, examples):
    """Asks both sides; a text when they differ."""
    kept = statement.writes and drawn.random() < 0.25
    one = running.told(running.one, statement)
    try:
        verdict, many = running.verdict(statement, None, one)
    except (OSError, ConnectionError) as lost:
        return f"lost: {lost!r} {'' if running.braid.running else 'pgbraid ended'}\n{statement.sql} {statement.values}\n{running.braid.log()[-1500:]}\n" \
               f"{described(running.schema, running.current())}"
    if verdict is True:
        counts["equal"] += 1
        counts["failed"] += one[0][0] is not None
        counts["telling"] += bool(one[0][2]) or one[1] is not None and not any(t.endswith(" 0") for t in one[0][3])
        if kept and one[0][0] is None:
            return keep(running, statement, drawn)
        return None
    if verdict is None:
        counts["refused"] += 1
        why = f"{many[0][0]} {reason(many[0][4][0])}" + (f" (where one server: {one[0][0]})" if one[0][0] else "")
        refusals[why] += 1
        examples.setdefault(why, statement.sql)
        return None
    running.rows = running.current()
    left_out = one[0][0] is None and many[0][0] is not None and running.fails_in_part(statement, many[0][0])
    if verdict == "open" or left_out or not running.determined(statement):
        counts["open"] += 1
        return None
    least, rows, last = running.shrink(statement, verdict, 40)
    return f"{least.sql}  {least.values}{least.types}{' extended' * least.extended}{' binary' * least.binary}{' fetch' * bool(least.fetch)}\n    {last}\n  from {statement.sql}  {statement.values} {statement.types}\n    {verdict}\n" \
           f"{described(running.schema, rows)}"


def story(running, statements, drawn, counts):
    """Several statements in one transaction; a text when an answer or what it leaves differs."""
    before, told, kept, end = running.current(), [], [], drawn.choice(["COMMIT", "COMMIT", "ROLLBACK"])
    begin = drawn.choice(["BEGIN", "BEGIN", "BEGIN READ WRITE", "START TRANSACTION ISOLATION LEVEL READ COMMITTED"])
    for client in (running.one, running.many):
        client.query(begin)
    for number, statement in enumerate(statements):
        for client in (running.one, running.many):
            client.query(f"SAVEPOINT s{number}")
        one, many = (answer(client, statement) for client in (running.one, running.many))
        verdict = verdict_of(statement, one, many)
        told.append(f"{statement.sql}  {statement.values} {statement.types}: {verdict}")
        kept += [] if verdict is None else [statement]
        if verdict is None or one[0]:
            for client in (running.one, running.many):
                client.query(f"ROLLBACK TO s{number}")
        if verdict not in (True, None):
            break
    ends = [ended(client, end) for client in (running.one, running.many)]
    left, right = ([sorted(ask(client, s)[2], key=repr) for s in running.state] for client in (running.one, running.many))
    counts["stories"] += 1
    if verdict == "open":
        running.load(before)
        counts["open"] += 1
        return None
    if verdict in (True, None) and left == right and ends[0] == ends[1]:
        counts["equal"] += 1
        if any(len(table) > 80 for table in left):
            running.load(before)
        return None
    tables = "\n".join(f"{s.sql}: {only(a, b)} and {only(b, a)}" for s, a, b in zip(running.state, left, right) if a != b)
    running.load(before)
    if not running.determined_after(kept, before):
        counts["open"] += 1
        return None
    return f"in one transaction, {end} {ends}:\n  " + "\n  ".join(told) + f"\n{tables}\n{described(running.schema, before)}"


def keep(running, statement, drawn):
    """Carries out a write for good on both sides, in a block or by itself."""
    before = running.current()
    block = drawn.random() < 0.5
    for client in (running.one, running.many):
        if block:
            running.told(client, statement, commit=True)
        else:
            answer(client, statement)
    left, right = ([sorted(ask(client, s)[2], key=repr) for s in running.state] for client in (running.one, running.many))
    if left != right:
        running.rows = before
        text = "\n".join(f"{s.sql}: {only(a, b)} and {only(b, a)}" for s, a, b in zip(running.state, left, right) if a != b)
        running.load(before)
        if not running.determined(statement):
            return None
        return f"after {'COMMIT' if block else 'a statement by itself'}: {statement.sql} {statement.values}\n{text}\n{described(running.schema, before)}"
    if any(len(table) > 80 for table in left):
        running.load(before)
    return None
