"""Random statements over a random schema: a grammar of reads and writes, nested, whose answer SQL does not leave open.

What may fail does so whatever the order of evaluation (no division by zero, no overflow, no casts that depend on the data), and
rows that a LIMIT or a window chooses among are in a total order. Literals are marked while a statement grows; at its end each
becomes a literal or a parameter.
"""

import re
from dataclasses import dataclass, replace

from random_merges import merge
from random_schemas import INTEGERS, VALUES, Table, family
from statements import Statement

OIDS = {"smallint": 21, "int": 23, "bigint": 20, "numeric": 1700, "float8": 701, "text": 25, "varchar": 1043, "char": 1042, "date": 1082,
        "timestamp": 1114, "timestamptz": 1184, "boolean": 16, "uuid": 2950, "bytea": 17, "jsonb": 3802, "int[]": 1007, "text[]": 1009, "mood": 0}
TYPES = {"int": "int", "num": "numeric", "float": "float8", "text": "text", "char": "char(4)", "date": "date", "ts": "timestamp", "tstz": "timestamptz",
         "bool": "boolean", "uuid": "uuid", "bytea": "bytea", "jsonb": "jsonb", "ints": "int[]", "texts": "text[]", "enum": "mood"}
ORDERED = ("int", "num", "float", "text", "date", "ts", "tstz", "enum", "ints")
OTHER_SPELLINGS = {
    "int": ["{}::numeric", "'{}'", "{}.0", "{} + 0", "(SELECT {})", "{}::float8", "CAST({} AS bigint)", "abs({})", "'{}'::int8"],
    "num": ["{}::float8", "'{}'", "'{}'::numeric", "({})", "round('{}'::numeric, 2)"],
    "text": ["'{}'::varchar", "'{}'::bpchar", "'{}' || ''", "lower('{}')", "(SELECT '{}'::text)", "E'{}'", "'{}'::name"],
    "char": ["'{}'::text", "'{}'::varchar", "'{} '", "'{}'::bpchar", "'{}'::char(4)"],
    "date": ["'{}'::timestamp", "'{}'::timestamptz", "DATE '{}'", "'{}'::date + 0"],
    "ts": ["'{}'::timestamptz", "TIMESTAMP '{}'", "'{}'::date", "'{}'::timestamp + interval '0'"],
    "tstz": ["TIMESTAMPTZ '{}'", "'{}'::timestamp", "'{}'::timestamptz + interval '0'"], "uuid": ["'{{{}}}'", "'{}'::uuid", "upper('{}')::uuid"],
    "bool": ["'{}'::boolean", "('{}' = 't')"]}
STRANGE = {"int": ["99999999999999999999", "2147483648", "-9223372036854775808", "70000"], "num": ["1e20", "0.005", "-0"],
           "text": ["nobody", "way too long for varchar(8)", "a "], "char": ["a   ", "abcdefgh"], "date": ["4000-01-01", "2024-01-02"],
           "ts": ["2024-01-01 00:00:00.0000001", "-infinity"], "tstz": ["2024-01-01 02:00:00+02", "-infinity"], "bool": ["true", "off"],
           "uuid": ["a0eebc999c0b4ef8bb6d6bb9bd380a01", "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A02}"]}
MARKED = "\x01([^\x02]*)\x02([^\x02]*)\x02([^\x03]*)\x03"
# Names of results that are also names of columns, which ORDER BY and GROUP BY tell apart.
RESULT_NAMES = ["a", "b", "c", "d", "k1", "k2", "n", "x", '"order"', "value", "t1"]


@dataclass
class Drawn(Statement):
    binary: bool = False  # the rows are asked for in binary
    fetch: int = 0        # as many rows are fetched first


@dataclass
class Ref:
    """A column that an expression may name."""
    sql: str
    family: str
    collation: str = ""
    pool: tuple = ()

    @property
    def name(self):
        return self.sql.rsplit(".", 1)[-1]


@dataclass
class Source:
    """Something in FROM: its text, its columns, its sharded tables by the names that they have there."""
    sql: str
    refs: list
    tables: list


def mark(value, type_name, form):
    return f"\x01{form}\x02{type_name}\x02{value}\x03"


def quoted(value):
    return "'" + value.replace("'", "''") + "'"


class QueryGenerator:
    """Draws statements over `schema` from a random.Random."""

    def __init__(self, random, schema):
        self.random, self.schema = random, schema
        self.sharded = [t for t in schema.tables if t.key]
        self.last = None

    def draw(self, writes=0.35):
        self.names, self.ctes = 0, []
        if self.random.random() < writes:
            sql, ordered = self.write(), False
        else:
            sql, ordered = self.read()
        if self.chance(0.2):
            # Names without their table: PostgreSQL finds whose they are, or that they are ambiguous.
            sql = re.sub(r"(?<![\w.])[rvqlu]\d+\.(?=[\w\"])", lambda m: "" if self.chance(0.6) else m.group(0), sql)
        self.last = sql, ordered, sql.startswith(("INSERT", "UPDATE", "DELETE", "MERGE")) or "\x04" in sql
        return self.finished(*self.last)

    def view(self, name):
        """(name, columns, text of its query)."""
        self.names, self.ctes = 0, []
        sql, columns = self.query(1)
        sql = re.sub(MARKED, lambda m: f"{quoted(m.group(3))}::{m.group(2)}" if m.group(2) != "bigint" else m.group(3), sql)
        return name, columns, sql

    def again(self):
        """The last statement with other values."""
        def other(found):
            form, name, value = found.groups()
            kind = family(name)
            if not kind or name == "bigint" and not value.lstrip("-").isdigit():
                return found.group(0)
            values = [v for v in VALUES[kind] if name != "numeric(8,2)" or v not in ("NaN", "Infinity")]
            return mark(self.choice(values), name, form) if self.chance(0.7) else found.group(0)
        sql, ordered, writes = self.last
        return self.finished(re.sub(MARKED, other, sql), ordered, writes)

    def finished(self, sql, ordered, writes):
        extended, values, types = self.chance(0.4), [], []

        def replace(found):
            form, name, value = found.groups()
            base = name.split("(")[0]
            if extended and self.chance(0.6):
                values.append(value)
                untyped = base == "mood" or (form == "bare" and self.chance(0.2)) or (form == "cast" and self.chance(0.5))
                types.append(0 if untyped else OIDS[base])
                return f"${len(values)}" + (f"::{name}" if form == "cast" or base == "mood" else "")
            if base in INTEGERS and self.chance(0.8) and re.fullmatch(r"\d+", value):
                return value + (f"::{name}" if form == "cast" else "")
            return quoted(value) + (f"::{name}" if form == "cast" else "")
        sql = re.sub(MARKED, replace, sql.replace("\x04", ""))
        # In binary what is of a type of one's own names its OID.
        binary = extended and self.chance(0.25) and "mood" not in sql
        fetch = self.random.randint(1, 3) if extended and not binary and not writes and self.chance(0.12) else 0
        if not extended and not writes and not ordered and self.chance(0.03):
            sql = f"COPY ({sql}) TO STDOUT{self.choice(['', ' (FORMAT csv, HEADER)'])}"
        return Drawn(sql, tuple(values), ordered=ordered, writes=writes, extended=extended, types=tuple(types), binary=binary, fetch=fetch)

    # Drawing

    def chance(self, share):
        return self.random.random() < share

    def choice(self, options):
        return self.random.choice(options)

    def weighted(self, *pairs):
        return self.random.choices([p[0] for p in pairs], [p[1] for p in pairs])[0]

    def name(self, letter):
        self.names += 1
        return f"{letter}{self.names}"

    # Values and expressions

    def literal(self, family, pool=(), form=None, type_name=None):
        value = self.choice(list(pool) or VALUES[family])
        if value is None or self.chance(0.02):
            return f"NULL::{type_name or TYPES[family]}"
        if family in STRANGE and pool and self.chance(0.04):
            value = self.choice(STRANGE[family])
            type_name = type_name or ("numeric" if family == "int" else None)
        return mark(value, type_name or (TYPES[family] if family != "int" else self.choice(["int", "bigint"])), form or "cast")

    def column(self, family, refs, collation=None):
        fit = [r for r in refs if r.family == family and (collation is None or family not in ("text", "char") or r.collation == collation)]
        return self.choice(fit) if fit else None

    def scalar(self, family, refs, depth=1, collation=None):
        """(expression, its collation). With `collation` it may stand beside another of that collation."""
        ref = self.column(family, refs, collation)
        if ref and self.chance(0.65 if depth else 0.85):
            return ref.sql, ref.collation
        if depth <= 0 or self.chance(0.25):
            return self.literal(family, ref.pool if ref else ()), collation or ""
        if family == "text":
            return self.text(refs, depth - 1, collation)
        return getattr(self, f"_{family}", self._any(family))(refs, depth - 1), ""

    def value(self, family, refs, depth=1):
        return self.scalar(family, refs, depth)[0]

    def _any(self, family):
        return lambda refs, depth: self.case(family, refs, depth)

    def case(self, family, refs, depth):
        a, coll = self.scalar(family, refs, depth)
        b = self.scalar(family, refs, depth, coll)[0]
        return self.choice([f"CASE WHEN {self.condition(refs, depth)} THEN {a} ELSE {b} END", f"coalesce({a}, {b})", f"({a})",
                            f"CASE WHEN {self.condition(refs, depth)} THEN {a} END"])

    def _int(self, refs, depth):
        a, b = self.value("int", refs, depth), self.value("int", refs, depth)
        options = [f"({a}::int8 + {b}::int8)", f"({a}::bigint * 2)", f"abs({a}::int8)", f"({a}::int8 % 7)", f"(-({a})::int8)", self.case("int", refs, depth),
                   f"greatest({a}, {b})", f"nullif({a}, {b})", f"length({self.value('text', refs, depth)})"]
        if self.column("ints", refs):
            options.append(f"cardinality({self.column('ints', refs).sql})")
        if self.column("jsonb", refs):
            options.append(f"({self.column('jsonb', refs).sql} ->> 'n')::int")
        if self.column("date", refs):
            options.append(f"extract(isodow FROM nullif({self.column('date', refs).sql}, 'infinity'))::int")
        return self.choice(options)

    def _num(self, refs, depth):
        a, b = self.value("num", refs, depth), self.value(self.choice(["num", "int"]), refs, depth)
        return self.choice([f"({a} + {b})", f"({a} * 2)", f"round({a}, 1)", f"abs({a})", f"{self.value('int', refs, depth)}::numeric", self.case("num", refs, depth),
                            f"least({a}, {b})", f"({a} / 4)", f"(-{a})", f"({a})::numeric(12,4)" if "Inf" not in a and not self.unbounded(refs) else a])

    def unbounded(self, refs):
        return any("Infinity" in r.pool for r in refs if r.family == "num")

    def _float(self, refs, depth):
        a = self.value("float", refs, depth)
        return self.choice([f"({a} * 2)", f"({a} + 1)", f"abs({a})", f"(-{a})", f"{self.value('int', refs, depth)}::float8", self.case("float", refs, depth),
                            f"round({a})", f"({a} + {self.value('int', refs, depth)})"])

    def text(self, refs, depth, collation=None):
        a, coll = self.scalar("text", refs, depth, collation)
        b = self.scalar("text", refs, depth, coll)[0]
        other = self.choice(["int", "date", "bool", "uuid", "enum", "num"])
        options = [f"upper({a})", f"lower({a})", f"({a} || {b})", f"left({a}, 2)", f"coalesce({a}, {b})", f"replace({a}, 'a', 'z')", f"substr({a}, 2)",
                   f"trim({a})", f"CASE WHEN {self.condition(refs, depth)} THEN {a} ELSE {b} END", f"md5({a})"]
        if coll == "":
            options.append(f"{self.value(other, refs, depth)}::text")
        if self.chance(0.1):
            return f"({a} COLLATE {coll or chr(34) + 'default' + chr(34)})", coll
        return self.choice(options), coll

    def _char(self, refs, depth):
        return self.choice([f"{self.literal('text', VALUES['char'])}::char(4)", f"nullif({self.literal('char')}, 'a')"])

    def _date(self, refs, depth):
        return self.choice([f"({self.value('date', refs, depth)} + 1)", f"{self.value('ts', refs, depth)}::date", self.case("date", refs, depth),
                            f"greatest({self.value('date', refs, depth)}, {self.value('date', refs, depth)})"])

    def _ts(self, refs, depth):
        return self.choice([f"({self.value('ts', refs, depth)} + interval '1 day')", f"{self.value('date', refs, depth)}::timestamp",
                            f"date_trunc('month', {self.value('ts', refs, depth)})", self.case("ts", refs, depth)])

    def _tstz(self, refs, depth):
        return self.choice([f"({self.value('tstz', refs, depth)} - interval '1 hour')", f"{self.value('ts', refs, depth)}::timestamptz",
                            self.case("tstz", refs, depth)])

    def _bool(self, refs, depth):
        return f"({self.condition(refs, depth)})"

    def _jsonb(self, refs, depth):
        family = self.choice(["int", "text", "bool", "date", "ints"])
        return self.choice([f"to_jsonb({self.value(family, refs, depth)})", f"jsonb_build_object('k', {self.value(family, refs, depth)})",
                            f"({self.value('jsonb', refs, depth)} -> 'l')", self.case("jsonb", refs, depth)])

    def _ints(self, refs, depth):
        a = f"({self.value('int', refs, depth)} % 100)::int"
        return self.choice([f"ARRAY[{a}, 1]", f"({self.value('ints', refs, depth)} || {a})", f"array_remove({self.value('ints', refs, depth)}, 1)",
                            f"({self.value('ints', refs, depth)})[1:1]"])

    def _texts(self, refs, depth):
        return self.choice([f"ARRAY[{self.value('uuid', refs, depth)}::text]", f"array_append({self.value('texts', refs, depth)}, 'z')"])

    # Conditions

    def condition(self, refs, depth=1, tables=()):
        pick = self.random.random()
        if tables and pick < 0.4:
            return self.key_condition(*self.choice(tables))
        if depth > 0 and pick > 0.9:
            a, b = self.condition(refs, depth - 1, tables), self.condition(refs, depth - 1, tables)
            return self.choice([f"({a} OR {b})", f"NOT ({a})", f"({a} AND {b})", f"(({a}) IS NOT TRUE)", f"CASE WHEN {a} THEN {b} ELSE false END"])
        if depth > 0 and pick > 0.75:
            return self.subquery_condition(refs, depth - 1)
        ref = self.choice(refs) if refs else Ref("1", "int")
        family = ref.family
        a, coll = (ref.sql, ref.collation) if self.chance(0.7) else self.scalar(family, refs, depth - 1)
        b, c = self.scalar(family, refs, 0, coll)[0], self.literal(family, ref.pool)
        if b == a and self.chance(0.9):
            b = self.literal(family, ref.pool)
        options = [f"{a} = {b}"] * 3 + [f"{a} <> {c}", f"{a} < {b}", f"{a} >= {c}", f"{a} IS NULL", f"{a} IS NOT NULL", f"{a} IS DISTINCT FROM {b}",
                                        f"{a} IN ({b}, {c})", f"{a} BETWEEN {b} AND {c}", f"{a} NOT IN ({c}, {self.literal(family, ref.pool)})",
                                        f"{a} = ANY (ARRAY[{b}, {c}])", f"{a} IS NOT DISTINCT FROM {c}"]
        if family == "bool":
            options += [a, f"NOT {a}", f"{a} IS TRUE", f"{a} IS NOT FALSE"]
        if family == "text":
            options += [f"{a} LIKE '%a%'", f"{a} ~ '^[a-m]'", f"{a} ILIKE 'A%'", f"starts_with({a}, 'a')"]
        if family == "ints":
            options += [f"1 = ANY ({a})", f"{a} @> '{{1}}'", f"{a} && {c}"]
        if family == "jsonb":
            options += [f"{a} @> '{{\"n\": 1}}'", f"{a} ? 's'", f"jsonb_typeof({a}) = 'object'"]
        return self.choice(options)

    def subquery_condition(self, refs, depth):
        ref = self.choice(refs) if refs else Ref("1", "int")
        fits = self.fitting(ref)
        if self.ctes and self.chance(0.4):
            name, columns = self.choice(self.ctes)
            same = [c for c in columns if c[1] == ref.family and (c[2] or "") == ref.collation]
            if same:
                return f"{ref.sql} {self.choice(['IN', 'NOT IN', '= ANY'])} (SELECT {self.choice(same)[0]} FROM {name})"
        if self.chance(0.4) or not fits:
            return f"{self.choice(['EXISTS', 'EXISTS', 'NOT EXISTS'])} ({self.plain(depth, refs, [], correlated=True)[0]})"
        sql = self.plain(depth, refs, [(ref.family, ref.collation)], correlated=self.chance(0.5))[0]
        family = ref.family
        if family in ORDERED and family != "ints" and self.chance(0.25):
            return f"{ref.sql} {self.choice(['<', '>=', '=', '<>'])} {self.scalar_subquery(family, refs, depth, ref.collation)}"
        return f"{ref.sql} {self.choice(['IN', 'IN', 'IN', 'NOT IN', '= ANY', '<> ALL', '< ANY', '>= ALL'])} ({sql})"

    def fitting(self, ref):
        return [c for t in self.schema.tables for c in t.columns if c.family == ref.family and c.collation == ref.collation]

    def scalar_subquery(self, family, refs, depth, collation=""):
        source = self.table_source()
        where = self.where([source], refs if self.chance(0.6) else [], depth)
        fits = [r for r in source.refs if r.family == family and r.collation == collation]
        what = f"{self.choice(['min', 'max'])}({self.choice(fits).sql})" if fits else f"max({self.literal(family)})"
        if family == "int" and self.chance(0.4):
            what = "count(*)"
        elif fits and self.chance(0.3):
            return f"(SELECT {fits[0].sql} FROM {source.sql}{where} ORDER BY 1 {self.choice(['', 'DESC ', 'NULLS FIRST '])}LIMIT 1)"
        return f"(SELECT {what} FROM {source.sql}{where})"

    def key_literal(self, column):
        """A value of a key's column in one of many spellings."""
        family = column.family
        pick = self.random.random()
        if pick < 0.55:
            return self.literal(family, column.pool, self.choice(["bare", "cast"]), column.type)
        if pick < 0.6:
            return mark(self.choice(STRANGE[family]), column.type, "bare")
        if pick < 0.63:
            return "NULL"
        value = self.choice(column.pool)
        if family in ("int", "num") and value.startswith("-"):
            return f"({value})"
        if family == "num" and not value[0].isdigit():
            return f"'{value}'::numeric"
        # A name has the collation C, which does not stand beside another one.
        spellings = [s for s in OTHER_SPELLINGS[family] if column.collation in ("", '"C"') or "name" not in s]
        return self.choice(spellings).format(value.replace("'", "''"))

    def key_condition(self, alias, table):
        columns = [table.column(k) for k in table.key]
        if len(columns) > 1 and self.chance(0.3):
            order = self.random.sample(columns, len(columns)) if self.chance(0.3) else columns
            row = f"({', '.join(f'{alias}.{c.name}' for c in order)})"
            values = [f"({', '.join(self.key_literal(c) for c in order)})" for _ in range(self.random.randint(1, 3))]
            return self.choice([f"{row} = {values[0]}", f"{row} IN ({', '.join(values)})", f"{row} = ANY (ARRAY[{', '.join('ROW' + v for v in values)}])"
                                if self.chance(0.1) else f"{row} IN (VALUES {', '.join(values)})", f"{row} >= {values[0]}", f"ROW{row} = ROW{values[0]}"])
        parts = [self.one_key(f"{alias}.{c.name}", c) for c in columns if self.chance(0.85)] or ["true"]
        return self.choice([" AND "] * 6 + [" OR "]).join(parts) if len(parts) < 2 or self.chance(0.8) else f"({' OR '.join(parts)})"

    def one_key(self, name, column):
        a, b, c = (self.key_literal(column) for _ in range(3))
        pick = self.random.random()
        if pick < 0.45:
            return f"{name} = {a}"
        if pick < 0.65:
            return f"{name} IN ({a}, {b}{self.choice(['', f', {c}', ', NULL'])})"
        items = ",".join('"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in self.random.sample(column.pool, min(2, len(column.pool))))
        array = quoted("{" + items + self.choice(["", ",NULL"]) + "}")
        typed = column.type.split("(")[0]
        return self.choice([
            f"{a} = {name}", f"{name} = ANY ({array})", f"{name} = ANY ({array}::{typed}[])", f"{name} = ANY (ARRAY[{a}, {b}]::{typed}[])",
            f"({name} = {a} OR {name} = {b})", f"{name} BETWEEN {a} AND {b}", f"{name} IS NOT DISTINCT FROM {a}", f"NOT ({name} <> {a})", f"{name} = NULL",
            f"{name} = {a} AND {name} = {b}", f"{name} = {a} AND {name} IN ({b}, {c})", f"{name} <> ALL ({array})", f"{name} >= {a}", f"({name}) = ({a})",
            f"{name}::text = {self.literal('text', column.pool)}", f"{name} = ANY (ARRAY(SELECT {a}::{column.type}))", f"{name} IN (SELECT {a}::{column.type})",
            f"coalesce({name}, {a}) = {b}", f"{name} = (SELECT {a}::{column.type})", f"CASE WHEN {name} = {a} THEN true END", f"{name} = ANY ('{{}}'::{typed}[])"])

    # Sources

    def table_source(self, table=None, sharded=False):
        table = table or self.choice(self.sharded if sharded else self.schema.tables + self.sharded)
        alias = self.name("r")
        renamed = ""
        if self.chance(0.06):
            # Under an alias a column may have the name of another one.
            names = [c.name for c in table.columns]
            others = self.random.sample(names, len(names)) if self.chance(0.5) else [self.name("z") for _ in names]
            to = dict(zip(names, others))
            table = Table(table.name, [replace(c, name=to[c.name]) for c in table.columns], tuple(to[k] for k in table.key))
            renamed = f"({', '.join(others)})"
        text = f"{self.choice([''] * 9 + ['ONLY '])}{self.choice([''] * 6 + ['public.'])}{table.name} {self.choice(['', 'AS '])}{alias}{renamed}"
        refs = [Ref(f"{alias}.{c.name}", c.family, c.collation, tuple(c.pool)) for c in table.columns]
        return Source(text, refs, [(alias, table)] if table.key else [])

    def source(self, depth, outer=()):
        pick = self.random.random()
        if self.schema.views and self.chance(0.12):
            name, columns, _ = self.choice(self.schema.views)
            alias = self.name("r")
            return Source(f"{name} {alias}", [Ref(f"{alias}.{n}", f, c) for n, f, c in columns], [])
        if self.ctes and pick < 0.4:
            name, columns = self.choice(self.ctes)
            alias = self.name("r")
            return Source(f"{name} {alias}", [Ref(f"{alias}.{n}", f, c) for n, f, c in columns], [])
        if depth > 0 and pick > 0.82:
            sql, columns = self.query(depth - 1)
            alias = self.name("q")
            return Source(f"({sql}) {alias}", [Ref(f"{alias}.{n}", f, c) for n, f, c in columns], [])
        if pick > 0.79:
            alias = self.name("v")
            return self.choice([
                Source(f"generate_series(1, {self.random.randint(0, 4)}) {alias}(i)", [Ref(f"{alias}.i", "int", "", ("1", "2"))], []),
                Source(f"(VALUES ({self.literal('int')}, {self.literal('text')}), ({self.literal('int')}, NULL)) {alias}(i, s)",
                       [Ref(f"{alias}.i", "int"), Ref(f"{alias}.s", "text")], []),
                Source(f"unnest(ARRAY[{self.literal('int')}, {self.literal('int')}]) WITH ORDINALITY {alias}(i, o)",
                       [Ref(f"{alias}.i", "int"), Ref(f"{alias}.o", "int")], [])])
        return self.table_source()

    def joined(self, depth, outer=()):
        """(text of FROM, sources)."""
        sources = [self.source(depth, outer)]
        text = sources[0].sql
        for _ in range(self.weighted((0, 5), (1, 4), (2, 1.2))):
            if depth > 0 and self.chance(0.08):
                refs = [r for s in sources for r in s.refs]
                sql, columns = self.plain(depth - 1, refs, None, correlated=True)
                alias = self.name("l")
                right = Source("", [Ref(f"{alias}.{n}", f, c) for n, f, c in columns], [])
                text += f" {self.choice(['CROSS JOIN LATERAL', 'LEFT JOIN LATERAL', ', LATERAL'])} ({sql}) {alias}"
                if "LEFT JOIN LATERAL" in text[-len(sql) - 40:]:
                    text += " ON true"
                elif text.count(", LATERAL"):
                    sources.append(right)
                    return text, sources
                sources.append(right)
                continue
            right = self.source(depth, outer)
            if sources[-1].tables and self.chance(0.15):
                right = self.table_source(sources[-1].tables[0][1])
            kind = self.weighted(("JOIN", 5), ("LEFT JOIN", 2.5), ("RIGHT JOIN", 1), ("FULL JOIN", 1))
            common = self.common(sources, right)
            if common and self.chance(0.35):
                shared = common if self.chance(0.6) else self.random.sample(common, self.random.randint(1, len(common)))
                text += f" {kind} {right.sql} USING ({', '.join(shared)})"
            elif len(sources) == 1 and common and self.chance(0.1) and self.natural(sources[0], right):
                text += f" NATURAL {kind} {right.sql}"
            else:
                text += f" {kind} {right.sql} ON {self.join_condition(sources, right, kind)}"
            sources.append(right)
        return text, sources

    def common(self, sources, right):
        """Columns of one name on both sides that can be compared."""
        left = [r for s in sources for r in s.refs]
        return [r.name for r in right.refs if len(m := [x for x in left if x.name == r.name]) == 1 and m[0].family == r.family and m[0].collation == r.collation]

    @staticmethod
    def natural(left, right):
        return all(a.family == b.family and a.collation == b.collation for a in left.refs for b in right.refs if a.name == b.name)

    def join_condition(self, sources, right, kind):
        left = [t for s in sources for t in s.tables]
        parts = []
        if left and right.tables and self.chance(0.7):
            (a, one), (b, two) = self.choice(left), right.tables[0]
            pairs = [(x, y) for x, y in zip(one.key, two.key) if one.column(x).family == two.column(y).family
                     and one.column(x).collation == two.column(y).collation]
            if len(pairs) > 1 and self.chance(0.2):
                pairs = self.random.sample(pairs, self.random.randint(1, len(pairs)))
            parts = [f"{a}.{x} = {b}.{y}" if self.chance(0.5) else f"{b}.{y} = {a}.{x}" for x, y in pairs]
        if not parts:
            refs = [r for s in sources for r in s.refs]
            fits = [(x, y) for x in refs for y in right.refs if x.family == y.family and x.collation == y.collation]
            if not fits:
                return "true" if kind != "FULL JOIN" else "1 = 1"
            x, y = self.choice(fits)
            parts = [f"{x.sql} {'=' if kind == 'FULL JOIN' else self.choice(['='] * 8 + ['<', '<>', 'IS NOT DISTINCT FROM'])} {y.sql}"]
        if self.chance(0.25):
            refs = [r for s in [*sources, right] for r in s.refs]
            parts.append(self.condition(refs, 0, left + right.tables))
        return " AND ".join(parts)

    def where(self, sources, outer=(), depth=1, share=0.75, correlated=False):
        refs, tables = [r for s in sources for r in s.refs], [t for s in sources for t in s.tables]
        parts = []
        if correlated and outer:
            fits = [(x, y) for x in refs for y in outer if x.family == y.family and x.collation == y.collation]
            keys = [f for f in fits if any(f[0].sql == f"{a}.{k}" for a, t in tables for k in t.key)]
            if keys and self.chance(0.6):
                # As an application ties a subquery: all columns of the key, in their order.
                names = {}
                for x, y in keys:
                    names.setdefault(x.sql, []).append(y)
                parts += [f"{x} = {next((y for y in ys if y.name == x.rsplit('.', 1)[-1]), ys[0]).sql}" for x, ys in names.items()]
            elif fits:
                x, y = self.choice(fits)
                parts.append(f"{x.sql} {self.choice(['=', '=', '=', '<', '<>'])} {y.sql}")
        if self.chance(share):
            for _ in range(self.weighted((1, 6), (2, 3), (3, 1))):
                parts.append(self.condition(refs + ([self.choice(outer)] if outer and self.chance(0.3) else []), depth, tables))
        self.random.shuffle(parts)
        return f" WHERE {' AND '.join(f'({p})' if ' OR ' in p else p for p in parts)}" if parts else ""

    # Queries. Each gives (text, columns), a column being (name, family, collation).

    def total_order(self, count, first=""):
        numbers = list(range(1, count + 1))
        if self.chance(0.5):
            self.random.shuffle(numbers)
        return " ORDER BY " + first + ", ".join(f"{n}{self.choice(['', '', '', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST'])}" for n in numbers)

    def limits(self):
        limit = self.choice([mark(str(self.random.randint(0, 6)), "bigint", "bare"), str(self.random.randint(1, 9)), "ALL", str(self.random.randint(1, 3))])
        return self.choice([f" LIMIT {limit}", f" LIMIT {limit}", f" LIMIT {limit} OFFSET {self.random.randint(0, 4)}", f" OFFSET {self.random.randint(0, 5)}",
                            f" FETCH FIRST {self.random.randint(1, 4)} ROWS {self.choice(['ONLY', 'WITH TIES'])}"])

    def items(self, refs, depth, want=None, outer=()):
        """(texts, columns): what a query gives, of the families `want`."""
        texts, columns = [], []
        if want is None:
            want = [(self.choice(refs).family, None) if refs else ("int", "") for _ in range(self.random.randint(1, 4))]
        for kind, collation in want:
            if depth > 0 and kind in ORDERED and kind != "ints" and self.chance(0.07):
                sql, coll = self.scalar_subquery(kind, list(refs), depth - 1, collation or ""), collation or ""
            else:
                sql, coll = self.scalar(kind, list(refs) + list(outer[:1]), depth, collation)
            name = f"c{len(columns) + 1}"
            texts.append(sql)
            columns.append((name, kind, coll))
        return texts, columns

    def plain(self, depth, outer=(), want=None, correlated=False):
        """SELECT without grouping."""
        text, sources = self.joined(depth - 1 if self.chance(0.5) else 0)
        refs = [r for s in sources for r in s.refs]
        texts, columns = self.items(refs, depth, want, outer if self.chance(0.2) else ())
        listed = ", ".join(f"{t} AS {n}" for t, (n, _, _) in zip(texts, columns))
        distinct = "DISTINCT " if self.chance(0.12) and texts else ""
        sql = f"SELECT {distinct}{listed} FROM {text}{self.where(sources, outer, depth, 0.75, correlated)}"
        if texts and self.chance(0.12):
            sql += self.total_order(len(texts)) + self.limits()
        return sql, columns

    def aggregate_of(self, refs, depth):
        """(text, family, collation) of an aggregate whose value does not depend on the order of rows."""
        ref = self.choice(refs)
        family = ref.family
        a, coll = (ref.sql, ref.collation) if self.chance(0.7) else self.scalar(family, refs, depth)
        options = [("count(*)", "int"), (f"count({a})", "int"), (f"count(DISTINCT {a})", "int"), (f"array_agg({a} ORDER BY {a})::text", "text"),
                   (f"jsonb_agg(to_jsonb({a}) ORDER BY {a})", "jsonb"), (f"array_to_string(array_agg(DISTINCT {a} ORDER BY {a} DESC), ',')", "text")]
        if family in ORDERED:
            options += [(f"min({a})", family), (f"max({a})", family)] * 2
        if family in ("int", "num", "float"):
            out = "float" if family == "float" else "num"
            options += [(f"sum({a})", out), (f"avg({a})", out), (f"sum(DISTINCT {a})", out), (f"sum({a})", out)]
            if family != "float":
                options += [(f"variance({a})", "num"), (f"stddev_pop({a})", "num"), (f"percentile_disc(0.5) WITHIN GROUP (ORDER BY {a})", family)]
        if family == "int":
            options += [(f"bit_and({a})", "int"), (f"bit_or({a})", "int"), (f"bit_xor({a})", "int"), (f"percentile_cont(0.5) WITHIN GROUP (ORDER BY {a})", "float")]
        if family == "bool":
            options += [(f"bool_and({a})", "bool"), (f"every({a})", "bool"), (f"bool_or({a})", "bool")] * 3
        if family == "text":
            options += [(f"string_agg({a}, ',' ORDER BY {a})", "text"), (f"string_agg(DISTINCT {a}, '|')", "text")]
        sql, out = self.choice(options)
        if self.chance(0.15) and "WITHIN" not in sql and not sql.endswith(")::text") and not sql.startswith("array_to"):
            sql += f" FILTER (WHERE {self.condition(refs, 0)})"
        return sql, out, coll if out == "text" else ""

    def grouped(self, depth, outer=(), want=None):
        text, sources = self.joined(depth - 1 if self.chance(0.5) else 0)
        refs = [r for s in sources for r in s.refs]
        groups = []
        for _ in range(self.weighted((0, 3), (1, 5), (2, 3))):
            ref = self.choice(refs)
            groups.append((ref.sql, ref.family, ref.collation) if self.chance(0.8) else self.with_family(ref.family, refs, depth))
        items, owner = [], sources[0].tables[0] if sources[0].tables else None
        if owner and owner[1].unique and self.chance(0.15):
            # All columns of a table may stand beside its primary key.
            alias, table = owner
            groups = [(f"{alias}.{c}", table.column(c).family, table.column(c).collation) for c in table.unique]
            items = [(r.sql, r.family, r.collation) for r in self.random.sample(sources[0].refs, min(2, len(sources[0].refs)))]
        items += [(t, f, c) for t, f, c in groups if self.chance(0.9)] + [self.aggregate_of(refs, 0) for _ in range(self.random.randint(1, 3))]
        if groups and self.chance(0.1):
            items.append((f"grouping({groups[0][0]})", "int", ""))
        if self.chance(0.25):
            items.append(self.of_aggregates(refs, groups))
        columns = [(f"c{n}", f, c) for n, (_, f, c) in enumerate(items, 1)]
        sql = f"SELECT {', '.join(f'{t} AS {c[0]}' for (t, _, _), c in zip(items, columns))} FROM {text}{self.where(sources, outer, depth, 0.6)}"
        if groups:
            listed = ", ".join(g[0] for g in groups)
            sql += " GROUP BY " + self.weighted((listed, 8), (f"ROLLUP ({listed})", 1), (f"CUBE ({listed})", 0.5),
                                                (f"GROUPING SETS (({listed}), (), ({groups[0][0]}))", 1))
        if self.chance(0.2):
            aggregate, family, coll = self.aggregate_of(refs, 0)
            sql += f" HAVING {aggregate} {self.choice(['>', '=', '<>', 'IS DISTINCT FROM'])} {self.literal(family)}" if family not in ("text", "jsonb") else f" HAVING {aggregate} IS NOT NULL"
        if want is None and self.chance(0.12):
            first = self.choice(["", "", self.aggregate_of(refs, 0)[0] + self.choice([", ", " DESC, ", " NULLS FIRST, "])])
            sql += self.total_order(len(items), first) + self.limits()
        return sql, columns

    def of_aggregates(self, refs, groups):
        """An expression of aggregates and of what rows are grouped by."""
        aggregate, family, coll = self.aggregate_of(refs, 0)
        options = [(f"coalesce({aggregate}, {self.literal(family)})", family), (f"CASE WHEN count(*) > {self.random.randint(0, 3)} THEN {aggregate} END", family),
                   (f"({aggregate} IS NULL)", "bool"), (f"(count(*) * 2 + count({self.choice(refs).sql}))", "int")]
        if family in ("int", "num"):
            options += [(f"({aggregate} + count(*))", "num"), (f"(1 - ({aggregate}))", "num"), (f"round({aggregate} / nullif(count(*), 0), 3)", "num")]
        if groups:
            group, kind, collation = self.choice(groups)
            options += [(f"coalesce({group}, {self.literal(kind)})", kind), (f"concat({group}, '/', count(*))", "text"), (f"({group} IS NULL AND count(*) > 1)", "bool")]
            coll = collation if kind == "text" and family != "text" else coll
        sql, family = self.choice(options)
        return sql, family, coll if family == "text" and not sql.startswith("concat") else ""

    def with_family(self, family, refs, depth):
        sql, coll = self.scalar(family, refs, 1)
        return sql, family, coll

    def windowed(self, depth, outer=()):
        text, sources = self.joined(0)
        refs = [r for s in sources for r in s.refs]
        texts, columns = self.items(refs, 0)
        total = ", ".join(r.sql + self.choice(["", "", " DESC", " NULLS FIRST"]) for r in self.random.sample(refs, len(refs)))
        for _ in range(self.random.randint(1, 2)):
            part = self.choice(["", f"PARTITION BY {self.choice(refs).sql} ", f"PARTITION BY {', '.join(r.sql for r in self.random.sample(refs, min(2, len(refs))))} "])
            ref, order = self.choice(refs), self.choice(refs)
            options = [(f"row_number() OVER ({part}ORDER BY {total})", "int"), (f"rank() OVER ({part}ORDER BY {order.sql})", "int"),
                       (f"dense_rank() OVER ({part}ORDER BY {order.sql} DESC)", "int"), (f"count(*) OVER ({part}ORDER BY {order.sql})", "int"),
                       (f"lag({ref.sql}) OVER ({part}ORDER BY {total})", ref.family), (f"count({ref.sql}) OVER ({part.strip()})", "int"),
                       (f"first_value({ref.sql}) OVER ({part}ORDER BY {total})", ref.family), (f"ntile(3) OVER ({part}ORDER BY {total})", "int")]
            if ref.family in ORDERED:
                options += [(f"max({ref.sql}) OVER ({part}ORDER BY {order.sql})", ref.family)] * 2
            if ref.family in ("int", "num", "float"):
                options += [(f"sum({ref.sql}) OVER ({part}ORDER BY {total} ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)", "float" if ref.family == "float" else "num"),
                            (f"sum({ref.sql}) OVER ({part}ORDER BY {order.sql})", "float" if ref.family == "float" else "num")]
            sql, family = self.choice(options)
            columns.append((f"c{len(columns) + 1}", family, ref.collation if family == "text" else ""))
            texts.append(sql)
        return f"SELECT {', '.join(f'{t} AS {c[0]}' for t, c in zip(texts, columns))} FROM {text}{self.where(sources, outer, depth, 0.5)}", columns

    def compound(self, depth, outer=()):
        left, columns = self.plain(depth - 1)
        want = [(f, c) for _, f, c in columns]
        right = self.plain(depth - 1, (), want)[0]
        word = self.choice(["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "UNION", "EXCEPT ALL", "INTERSECT ALL"])
        sql = f"({left}) {word} ({right})"
        if self.chance(0.15):
            sql = f"({sql}) {self.choice(['UNION', 'EXCEPT', 'UNION ALL'])} ({self.plain(0, (), want)[0]})"
        return sql, columns

    def distinct_on(self, depth, outer=()):
        text, sources = self.joined(0)
        refs = [r for s in sources for r in s.refs]
        texts, columns = self.items(refs, 0)
        on = self.random.randint(1, min(2, len(texts)))
        listed = ", ".join(f"{t} AS {c[0]}" for t, c in zip(texts, columns))
        order = ", ".join(f"{n}{self.choice(['', ' DESC', ' NULLS FIRST'])}" for n in range(1, len(texts) + 1))
        return (f"SELECT DISTINCT ON ({', '.join(texts[:on])}) {listed} FROM {text}{self.where(sources, outer, depth, 0.5)} "
                f"ORDER BY {', '.join(texts[:on])}{', ' if on < len(texts) else ''}{', '.join(order.split(', ')[on:])}", columns)

    def query(self, depth):
        kind = self.weighted((self.plain, 6), (self.grouped, 3), (self.windowed, 1.3), (self.compound, 1.3 if depth > 0 else 0), (self.distinct_on, 0.7))
        return kind(depth)

    def stars(self):
        """A query that names few columns: `*`, whole tables, names without their table."""
        source = self.table_source()
        alias = source.refs[0].sql.split(".")[0]
        where = self.where([source], (), 1)
        table = next((t for a, t in source.tables), None)
        options = [f"SELECT * FROM {source.sql}{where}", f"SELECT {alias}.*, 1 AS one FROM {source.sql}{where}", f"SELECT count({alias}) FROM {source.sql}{where}",
                   f"SELECT row_to_json({alias})::text FROM {source.sql}{where}", f"SELECT {alias} IS NULL, {source.refs[0].sql} FROM {source.sql}{where}",
                   f"SELECT max({source.refs[0].name}), count(*) AS \"Count\" FROM {source.sql}{where}" if source.refs[0].family in ORDERED else
                   f"SELECT {source.refs[0].name}, {source.refs[-1].name} FROM {source.sql}{where}"]
        arrays = [r for r in source.refs if r.family in ("ints", "texts")]
        options += [f"SELECT generate_series(1, 2), {source.refs[0].sql} FROM {source.sql}{where}", f"SELECT count(*) FROM (SELECT FROM {source.sql}{where}) q",
                    f"TABLE {self.choice(self.schema.tables).name}"] + [f"SELECT unnest({a.sql}), {source.refs[0].sql} FROM {source.sql}{where}" for a in arrays]
        if table:
            listed = ", ".join(r.sql for r in source.refs)
            options += [f"\x04SELECT {listed} FROM {source.sql}{where}{self.total_order(len(source.refs))} LIMIT {self.random.randint(0, 5)} FOR UPDATE"]
            other = self.table_source(table)
            key = ", ".join(table.key)
            options += [f"SELECT * FROM {source.sql} JOIN {other.sql} USING ({key}){where}", f"SELECT {key}, count(*) FROM {source.sql} FULL JOIN {other.sql} USING ({key}) GROUP BY {key}",
                        f"SELECT {key} FROM {source.sql}{where} GROUP BY {key} HAVING count(*) > 1", f"SELECT * FROM {source.sql}{where} FOR {self.choice(['UPDATE', 'SHARE'])}",
                        f"SELECT * FROM {source.sql} NATURAL JOIN {other.sql}{where}"]
        return self.choice(options)

    def recursive(self):
        table = self.choice(self.schema.tables)
        source, column = self.table_source(table), self.choice(table.columns)
        fits = [r for r in source.refs if r.family == column.family and r.collation == column.collation]
        ref = self.choice(fits or source.refs)
        first = self.table_source(table)
        start = next(r for r in first.refs if source.refs.index(ref) == first.refs.index(r))
        other = self.choice([r for r in source.refs if r.family == ref.family and r.collation == ref.collation])
        return (f"WITH RECURSIVE up (v, depth) AS (SELECT {start.sql}, 1 FROM {first.sql}{self.where([first], (), 0)} UNION "
                f"SELECT {ref.sql}, up.depth + 1 FROM up JOIN {source.sql} ON {other.sql} = up.v WHERE up.depth < {self.random.randint(1, 3)}) "
                f"SELECT v, depth, count(*) FROM up GROUP BY 1, 2")

    def read(self):
        """(text, whether the rows' order is part of the answer)."""
        if self.chance(0.1):
            return self.stars(), False
        if self.chance(0.03):
            return self.recursive(), False
        depth, before = self.weighted((0, 2), (1, 5), (2, 3)), ""
        if self.chance(0.15):
            entries = []
            for _ in range(self.random.randint(1, 2)):
                sql, columns = self.query(1)
                name = self.choice([self.name("w"), self.name("w"), self.choice(self.schema.tables).name]) if not entries else self.name("w")
                entries.append(f"{name} AS {self.choice(['', '', 'MATERIALIZED ', 'NOT MATERIALIZED '])}({sql})")
                self.ctes.append((name, columns))
            before = f"WITH {', '.join(entries)} "
        sql, columns = self.query(depth)
        ordered, names = False, []
        if self.chance(0.25) and sql.startswith("SELECT"):
            sql, names = self.renamed(sql, columns)
        if " ORDER BY " not in self.outside(sql) and columns and self.chance(0.35):
            first = ""
            if names and self.chance(0.7) and len(set(names)) == len(names):
                sql += " ORDER BY " + ", ".join(n + self.choice(["", "", " DESC"]) for n in names)
            else:
                sql += self.total_order(len(columns), first)
            ordered = True
            if self.chance(0.5):
                sql += self.limits()
        return before + sql, ordered

    def renamed(self, sql, columns):
        """The results of a SELECT under names of columns or under none of their own."""
        if self.chance(0.4):
            names = {c[0]: "" for c in columns}
        else:
            names = dict(zip([c[0] for c in columns], self.random.sample(RESULT_NAMES, min(len(columns), len(RESULT_NAMES)))))
        depth, out, at = 0, [], 0
        for found in re.finditer(r"[()]| AS (c\d+)(?=,| FROM)", sql):
            if not found.group(1):
                depth += 1 if found.group(0) == "(" else -1
            elif depth == 0 and found.group(1) in names:
                name = names[found.group(1)]
                out += [sql[at:found.start()], f" AS {name}" if name else ""]
                at = found.end()
        return "".join(out) + sql[at:], [n for n in names.values() if n]

    @staticmethod
    def outside(sql):
        """The text without what stands in parentheses."""
        depth, out = 0, []
        for c in sql:
            depth += c == "("
            if depth == 0:
                out.append(c)
            depth -= c == ")"
        return "".join(out)

    # Writes

    def write(self):
        if self.chance(0.12):
            sql, columns = self.query(1)
            self.ctes.append((self.name("w"), columns))
            before = f"\x04WITH {self.ctes[0][0]} AS ({sql}) "
            return before + self.weighted((self.insert_select, 3), (self.update_from, 2), (self.delete_using, 2), (self.update, 1), (self.delete, 1),
                                          (self.merge, 1))()
        return self.weighted((self.insert, 3), (self.insert_select, 3), (self.update, 3), (self.update_key, 2), (self.update_from, 1.5), (self.delete, 2),
                             (self.delete_using, 1), (self.with_write, 1.5), (self.merge, 1.5))()

    def merge(self):
        return merge(self, Ref, Source)

    def target(self, reference=0.12):
        references = [t for t in self.schema.tables if not t.key and (not t.home or self.chance(0.5))]
        return self.choice(references) if references and self.chance(reference) else self.choice(self.sharded)

    def returning(self, table, alias):
        if self.chance(0.55):
            return ""
        refs = [Ref(f"{alias}.{c.name}", c.family, c.collation, tuple(c.pool)) for c in table.columns]
        return " RETURNING " + self.choice(["*" if alias == table.name else f"{alias}.*", ", ".join(r.sql for r in self.random.sample(refs, min(2, len(refs)))),
                                            ", ".join(t for t in self.items(refs, 1)[0]) if self.chance(0.5) else refs[0].sql])

    def number(self, column):
        return mark(str(self.random.randint(100, 30000)), column.type, "bare")

    def new_value(self, column):
        if column.name == "n":
            return self.number(column)
        if column.nulls and self.chance(0.15):
            return "NULL"
        if column.default and self.chance(0.3):
            return "DEFAULT"
        pick = self.random.random()
        if pick < 0.04 and column.family in ("int", "text", "num"):
            return self.choice({"int": ["1 + 1", "abs(-3)", "length('abc')", "(SELECT 2)", "'2'::smallint"], "num": ["1 + 0.5", "abs(-3)", "(SELECT 2)"],
                                "text": ["'a' || 'b'", "lower('A')", "upper('ä')", "(SELECT 'a')"]}[column.family])
        value = self.literal(column.family, column.pool, "bare" if pick < 0.75 else "cast", column.type)
        return f"({value})" if pick > 0.97 else value

    def conflict(self, table):
        if not table.unique or self.chance(0.6):
            return ""
        others = [c for c in table.columns if c.name not in table.unique and c.name not in table.key]
        if not others or self.chance(0.5):
            return f" ON CONFLICT{self.choice(['', f' ({chr(44).join(table.unique)})'])} DO NOTHING"
        column = self.choice(others)
        return (f" ON CONFLICT ({', '.join(table.unique)}) DO UPDATE SET {column.name} = {self.choice(['excluded.' + column.name, self.new_value(column)])}"
                + (f" WHERE {table.name}.{column.name} IS DISTINCT FROM excluded.{column.name}" if self.chance(0.3) else ""))

    def insert(self, table=None):
        table = table or self.target()
        columns = [c for c in table.columns if c.name in table.key or not c.nulls or self.chance(0.8)]
        if self.chance(0.5):
            self.random.shuffle(columns)
        rows = [f"({', '.join(self.new_value(c) for c in columns)})" for _ in range(self.choice([1, 1, 2, 3, 6]))]
        listed = f" ({', '.join(c.name for c in columns)})" if columns != table.columns or self.chance(0.5) else ""
        return f"INSERT INTO {table.name}{listed} VALUES {', '.join(rows)}{self.conflict(table)}{self.returning(table, table.name)}"

    def stored(self, column, refs, depth=1):
        """An expression that may be put into a column: of its very type."""
        ref = self.column(column.family, refs)
        if column.name == "n":
            return f"({ref.sql}::int8 % 1000 + {self.random.randint(1000, 20000)})::{column.type}" if ref else self.number(column)
        if ref and self.chance(0.6):
            text = ref.sql
        else:
            text = self.value(column.family, refs, depth)
        if not column.nulls:
            text = f"coalesce({text}, {self.literal(column.family, column.pool, 'cast')})"
        if column.family == "int":
            return f"(({text})::int8 % 1000)::{column.type}" if not ref or text != ref.sql or self.chance(0.3) else text
        if column.family == "num" and "(" in column.type:
            return f"CASE WHEN abs({text}) < 99999 THEN {text} ELSE 0 END"
        return f"({text})::{column.type}" if "(" in column.type else text

    def insert_select(self, table=None, sources=None):
        table = table or self.target(0.06)
        columns = [c for c in table.columns if c.name in table.key or not c.nulls or self.chance(0.75)]
        if sources is None and self.chance(0.25):
            source = self.table_source(table)
            text, sources = source.sql, [source]
        elif sources is None:
            text, sources = self.joined(self.choice([0, 0, 1]))
        else:
            text = ", ".join(s.sql for s in sources)
        refs = [r for s in sources for r in s.refs]
        own = {r.name: r for r in sources[0].refs}
        values = []
        for c in columns:
            ref = own.get(c.name)
            if ref and ref.family == c.family and c.name != "n" and sources[0].tables and sources[0].tables[0][1] is table and self.chance(0.75):
                values.append(ref.sql)
            else:
                values.append(self.stored(c, refs))
        sql = f"INSERT INTO {table.name} ({', '.join(c.name for c in columns)}) SELECT {self.choice([''] * 8 + ['DISTINCT '])}{', '.join(values)} FROM {text}"
        sql += self.where(sources, (), 1)
        if self.chance(0.12):
            sql += self.total_order(len(values)) + f" LIMIT {self.random.randint(0, 5)}"
        conflict = self.conflict(table)
        return sql + (conflict if "UPDATE" not in conflict else " ON CONFLICT DO NOTHING") + self.returning(table, table.name)

    def alias(self, table):
        """(how the written table is named, its alias)."""
        if self.chance(0.5):
            return table.name, table.name
        alias = self.name("u")
        return f"{table.name} {self.choice(['', 'AS '])}{alias}", alias

    def as_source(self, table, alias):
        return Source("", [Ref(f"{alias}.{c.name}", c.family, c.collation, tuple(c.pool)) for c in table.columns], [(alias, table)] if table.key else [])

    def settings(self, table, refs, columns=None):
        columns = columns or [c for c in table.columns if c.name not in table.key and c.name != "n"] or [c for c in table.columns if c.name == "n"]
        chosen = self.random.sample(columns, min(len(columns), self.random.randint(1, 2)))
        if len(chosen) > 1 and self.chance(0.15):
            row = ", ".join(self.stored(c, refs) if self.chance(0.6) else self.new_value(c) for c in chosen)
            return f"({', '.join(c.name for c in chosen)}) = {self.choice(['', 'ROW'])}({row})"
        if self.chance(0.08):
            column = chosen[0]
            fits = [(t, c) for t in self.schema.tables for c in t.columns if c.type == column.type and c.family in ORDERED and c.name != "n"]
            if fits and column.nulls:
                table, other = self.choice(fits)
                source = self.table_source(table)
                return f"{column.name} = (SELECT max({source.refs[table.columns.index(other)].sql}) FROM {source.sql}{self.where([source], refs, 1, 0.5, True)})"
        return ", ".join(f"{c.name} = {self.stored(c, refs) if self.chance(0.6) else self.new_value(c)}" for c in chosen) if chosen else None

    def update(self, table=None, returning=True):
        table = table or self.target()
        text, alias = self.alias(table)
        source = self.as_source(table, alias)
        settings = self.settings(table, source.refs)
        if settings is None:
            return self.insert(table)
        return f"UPDATE {text} SET {settings}{self.where([source], (), 2)}{self.returning(table, alias) if returning else ''}"

    def update_key(self):
        table = self.target(0)
        text, alias = self.alias(table)
        source = self.as_source(table, alias)
        keys = [table.column(k) for k in table.key]
        chosen = keys if self.chance(0.4) else [self.choice(keys)]
        parts = [f"{c.name} = {self.choice([self.new_value(c), self.stored(c, source.refs), self.stored(c, [r for r in source.refs if r.name == c.name])])}"
                 for c in chosen]
        if self.chance(0.25) and (settings := self.settings(table, source.refs)):
            parts.append(settings.split(", ")[0] if settings.count("(") == 0 else settings)
        return f"UPDATE {text} SET {', '.join(parts)}{self.where([source], (), 1)}{self.returning(table, alias)}"

    def update_from(self):
        table = self.target(0.05)
        text, alias = self.alias(table)
        mine = self.as_source(table, alias)
        if self.chance(0.5):
            other = self.source(0) if self.ctes else self.table_source()
            settings = self.settings(table, mine.refs)
            if settings is None:
                return self.insert(table)
            where = f"{self.join_condition([mine], other, 'JOIN')}{self.where([mine, other], (), 1, 0.4).replace(' WHERE ', ' AND ', 1)}"
            return f"UPDATE {text} SET {settings} FROM {other.sql} WHERE {where}{self.returning(table, alias)}"
        inner = self.table_source()
        fits = [(m, i) for m in mine.refs for i in inner.refs if m.family == i.family and m.collation == i.collation]
        columns = [c for c in table.columns if c.name not in table.key and c.name != "n"]
        if not fits or not columns:
            return self.update(table)
        m, i = self.choice([f for f in fits if f[0].name in table.key] or fits)
        column = self.choice(columns)
        values = [r for r in inner.refs if r.family == column.family and r.family in ORDERED]
        what = f"max({self.choice(values).sql})" if values else None
        if what is None:
            what, column = "count(*)", next((c for c in columns if c.family in ("int", "num")), None)
            if column is None:
                return self.update(table)
        value = f"(s.v % 1000)::{column.type}" if column.family == "int" else "CASE WHEN abs(s.v) < 9999 THEN s.v ELSE 0 END" if column.family == "num" else f"s.v::{column.type}"
        if not column.nulls:
            value = f"coalesce({value}, {self.literal(column.family, column.pool)})"
        return (f"UPDATE {text} SET {column.name} = {value} FROM (SELECT {i.sql} AS k, {what} AS v FROM {inner.sql}{self.where([inner], (), 0, 0.4)} GROUP BY 1) s "
                f"WHERE s.k = {m.sql}{self.where([mine], (), 1, 0.4).replace(' WHERE ', ' AND ', 1)}{self.returning(table, alias)}")

    def delete(self, table=None, returning=True):
        table = table or self.target()
        text, alias = self.alias(table)
        return f"DELETE FROM {text}{self.where([self.as_source(table, alias)], (), 2, 0.95)}{self.returning(table, alias) if returning else ''}"

    def delete_using(self):
        table = self.target(0.05)
        text, alias = self.alias(table)
        mine, other = self.as_source(table, alias), self.source(0) if self.ctes else self.table_source()
        where = f"{self.join_condition([mine], other, 'JOIN')}{self.where([mine, other], (), 1, 0.4).replace(' WHERE ', ' AND ', 1)}"
        return f"DELETE FROM {text} USING {other.sql} WHERE {where}{self.returning(table, alias)}"

    def with_write(self):
        table = self.target(0)
        kind = self.choice([self.delete, self.delete, self.update, self.insert])
        columns = self.random.sample(table.columns, self.random.randint(1, len(table.columns)))
        text = kind(table) if kind == self.insert else kind(table, False)
        text = text.split(" RETURNING ")[0]
        # The columns under their own names: those of the table that is written, not of a row of a join.
        written = re.match(r"(?:INSERT INTO|UPDATE|DELETE FROM) (\S+|\"[^\"]*\")(?: (?:AS )?(u\d+))?", text)
        alias = written.group(2) or table.name
        entry = f"\x04WITH gone AS ({text} RETURNING {', '.join(f'{alias}.{c.name}' for c in columns)})"
        source = Source("gone", [Ref(f"gone.{c.name}", c.family, c.collation, tuple(c.pool)) for c in columns], [])
        pick = self.random.random()
        if pick < 0.35:
            items = [self.aggregate_of(source.refs, 0)[0] for _ in range(2)]
            return f"{entry} SELECT {', '.join(items)} FROM gone"
        if pick < 0.65:
            other = self.table_source()
            fits = [(a, b) for a in source.refs for b in other.refs if a.family == b.family and a.collation == b.collation]
            if fits:
                a, b = self.choice(fits)
                kind = self.choice(["JOIN", "LEFT JOIN"])
                return f"{entry} SELECT {self.choice(source.refs).sql}, {self.choice(other.refs).sql} FROM gone {kind} {other.sql} ON {a.sql} = {b.sql}{self.where([source, other], (), 0, 0.3)}"
        others = [t for t in self.sharded if t is not table]
        if pick < 0.9 and others:
            return f"{entry} {self.insert_select(self.choice(others), [source])}"
        return f"{entry} SELECT {', '.join(r.sql for r in source.refs)} FROM gone{self.total_order(len(source.refs))}"
