"""Random tables and their rows: sharding keys of every type, of one column and of several, other columns of all kinds, NULLs,
duplicates, skew and empty tables.

A schema whose numbers are `mixed` has values that are equal and do not look alike (1.5 and 1.50, 0 and -0).
"""

from dataclasses import dataclass, field

INTEGERS = ("smallint", "int", "bigint")
INTEGER_KEYS = ["0", "1", "2", "3", "-1", "7", "42", "1000", "-32768", "32767"]
NUMBERS = ["0", "1", "2", "1.5", "-2.25", "100", "3", "1234.5", "-7"]
WORDS = ["", "a", "A", "b", "ab", "a b", "ä", "Zoë", "it's", "x\\y", "NULL", "10", "9", "{a,b}", '"q"']
DATES = ["2024-01-01", "2024-02-29", "2024-03-01", "1999-12-31", "2000-01-01", "infinity", "-infinity", "0044-03-15 BC"]
MOMENTS = ["2024-01-01 00:00:00", "2024-02-29 12:34:56.789", "2024-03-31 01:30:00", "1999-12-31 23:59:59.999999", "2024-01-01 00:00:01", "infinity"]
UUIDS = [f"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a{n:02x}" for n in (1, 2, 3, 17, 34, 51, 68, 255)]
# The family says what may be compared with what; the values are what its columns hold.
VALUES = {
    "int": INTEGER_KEYS, "num": NUMBERS, "text": WORDS, "char": ["", "a", "A", "b", "ab", "abcd", "ä", "it's"], "date": DATES,
    "ts": MOMENTS, "tstz": [m + "+00" if m[0] == "2" or m[0] == "1" else m for m in MOMENTS], "uuid": UUIDS, "bool": ["t", "f"],
    "float": ["0", "1", "-1.5", "2.25", "100", "0.125", "NaN", "Infinity", "-Infinity"],
    "bytea": ["\\x", "\\x00", "\\x0001ff", "\\x61", "\\x5c"],
    "jsonb": ['{"n": 1, "s": "a"}', '{"n": 2}', '{"s": "b", "l": [1, 2]}', "[]", "[1, \"x\", null]", "null", "3", '"t"'],
    "ints": ["{}", "{1}", "{1,2}", "{1,NULL,3}", "{7,42}", "{2,1}"], "texts": ["{}", "{a}", "{a,b}", '{"",NULL}', '{"a b","it\'s"}'],
    "enum": ["sad", "plain", "happy"]}
MIXED = {"num": ["1.0", "1.50", "2.000", "0.00"], "float": ["-0"], "ints": [], "texts": []}
# Where ranges of keys end, in order.
ENDS = {"int": ["0", "7", "1000"], "num": ["0", "2", "100"], "text": ["A", "a", "b"], "date": ["2000-01-01", "2024-01-02", "2024-03-01"],
        "ts": ["2000-01-01 00:00:00", "2024-01-01 00:00:01", "2024-03-01 00:00:00"],
        "tstz": ["2000-01-01 00:00:00+00", "2024-01-01 00:00:01+00", "2024-03-01 00:00:00+00"],
        "uuid": [UUIDS[1], UUIDS[3], UUIDS[6]], "bool": []}
SETTINGS = ["SET TimeZone = 'America/New_York'", "SET TimeZone = 'Asia/Kolkata'", "SET bytea_output = 'escape'", "SET extra_float_digits = 3",
            "SET transform_null_equals = on", "SET search_path = public, pg_catalog"]
KEY_TYPES = [*INTEGERS, *INTEGERS, "text", "text", "varchar(8)", "varchar", "char(4)", "uuid", "boolean", "date", "timestamp", "timestamptz", "numeric",
             "numeric(8,2)"]
OTHER_TYPES = [*INTEGERS, "numeric", "numeric(10,3)", "float8", "float8", "text", "text", "varchar(8)", "char(4)", "date", "timestamp", "timestamptz",
               "boolean", "uuid", "bytea", "jsonb", "int[]", "text[]", "mood", "mood"]
FAMILIES = {"smallint": "int", "int": "int", "bigint": "int", "numeric": "num", "float8": "float", "text": "text", "varchar": "text", "char": "char",
            "date": "date", "timestamp": "ts", "timestamptz": "tstz", "boolean": "bool", "uuid": "uuid", "bytea": "bytea", "jsonb": "jsonb",
            "int[]": "ints", "text[]": "texts", "mood": "enum"}
TABLE_NAMES = ["t1", "t2", "t3", "t4", '"Odd name"', "äpfel", '"select"', "items"]
COLUMN_NAMES = ["a", "b", "c", "d", "e", "f", "g", '"H"', '"order"', "ö", "t1", "value"]


def family(type_name):
    return FAMILIES.get(type_name.split("(")[0])


@dataclass
class Column:
    name: str
    type: str
    collation: str = ""
    nulls: bool = True
    default: str = ""
    pool: list = field(default_factory=list)

    @property
    def family(self):
        return family(self.type)


@dataclass
class Table:
    name: str
    columns: list
    key: tuple = ()       # of a reference table: none
    unique: tuple = ()    # the columns of its primary key
    home: str = ""        # the one shard that an unsharded table lives on
    refers: str = ""      # a foreign key, written out
    rows: list = field(default_factory=list)

    def column(self, name):
        return next(c for c in self.columns if c.name == name)

    def definition(self, schema=""):
        parts = [f"{c.name} {c.type}" + (f" COLLATE {c.collation}" if c.collation else "") + ("" if c.nulls else " NOT NULL")
                 + (f" DEFAULT {c.default}" if c.default else "") for c in self.columns]
        if self.unique:
            parts.append(f"PRIMARY KEY ({', '.join(self.unique)})")
        if self.refers:
            parts.append(self.refers)
        return f"CREATE TABLE {schema}{self.name} ({', '.join(parts)});"


@dataclass
class Schema:
    tables: list
    mixed: bool
    function: str = "postgres_hash"
    places: list = field(default_factory=list)    # of each shard what the topology says of its ranges or values
    settings: list = field(default_factory=list)  # SET statements of the session
    views: list = field(default_factory=list)     # (name, columns, text)
    trigger: tuple = ()                           # (table, statements): what each new row of it goes through

    def on(self, shard):
        return [t for t in self.tables if not shard or t.home in ("", shard)]

    def create(self, shard=""):
        """Of one shard, or of a server that has everything."""
        tables = self.on(shard)
        names = ", ".join(t.name for t in tables)
        return ("CREATE TYPE mood AS ENUM ('sad', 'plain', 'happy');\n" + "\n".join(t.definition() for t in tables)
                + f"\nGRANT ALL ON {names} TO app;" + self.touching(tables))

    def touching(self, tables):
        if not self.trigger or self.trigger[0] not in [t.name for t in tables]:
            return ""
        return (f"\nCREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {self.trigger[1]} RETURN NEW; END $$;"
                f"\nCREATE TRIGGER touch BEFORE INSERT OR UPDATE ON {self.trigger[0]} FOR EACH ROW EXECUTE FUNCTION touch();")

    def drop(self, shard=""):
        return f"DROP TABLE {', '.join(t.name for t in self.on(shard))} CASCADE; DROP FUNCTION IF EXISTS touch; DROP TYPE mood;"

    def sharding(self):
        """(tables, reference tables, unsharded tables) as the topology has them."""
        plain = {t.name: t.name.strip('"') for t in self.tables}
        keys = {plain[t.name]: [k.strip('"') for k in t.key] for t in self.tables if t.key}
        return ({name: {"key": key[0] if len(key) == 1 else key} | ({"function": self.function} if self.function in ("range", "list") else {})
                 for name, key in keys.items()},
                [plain[t.name] for t in self.tables if not t.key and not t.home], {plain[t.name]: t.home for t in self.tables if t.home})


class SchemaGenerator:
    """Draws schemas from a random.Random."""

    def __init__(self, random, collations=("",)):
        self.random, self.collations = random, list(collations)

    def draw(self, shards=("s0", "s1")):
        self.mixed = self.random.random() < 0.25
        shapes = [self.shape() for _ in range(self.random.choice([1, 1, 2]))]
        names = self.random.sample(TABLE_NAMES, self.random.randint(2, 4) + 1)
        tables = self.referring([self.table(name, shapes[0] if self.random.random() < 0.7 else self.random.choice(shapes)) for name in names[1:]])
        tables.append(self.table(names[0], None))
        if self.random.random() < 0.15:
            tables.append(self.table('"One place"', None))
            tables[-1].home = self.random.choice(shards)
        schema = Schema(tables, self.mixed)
        if self.random.random() < 0.3:
            schema.settings = self.random.sample(SETTINGS, self.random.randint(1, 3))
        if len(shapes) == 1 and self.random.random() < 0.5:
            self.place(schema, shapes[0], shards)
        if self.random.random() < 0.2:
            self.touch(schema)
        return schema

    def touch(self, schema):
        """Has a trigger look after new rows; a row that it has seen stays as it is."""
        told = {"int": "coalesce({0}, 5)", "text": "upper(coalesce({0}, 'none'))", "num": "coalesce({0}, 1.5)", "date": "coalesce({0}, '2024-05-05')"}
        table = self.random.choice(schema.tables)
        columns = [c for c in table.columns if c.name.isalpha() and c.name not in table.key + table.unique and family(c.type) in told]
        if columns:
            column = self.random.choice(columns)
            value = told[family(column.type)].format(f"NEW.{column.name}")
            schema.trigger = (table.name, f"NEW.{column.name} := {value};")

    def referring(self, tables):
        """Sometimes a table whose key is another table's: the first one comes first."""
        def alike(a, b):
            return len(a.key) == len(b.key) and all((x.family, x.collation) == (y.family, y.collation) for x, y in zip(map(a.column, a.key), map(b.column, b.key)))
        tables.sort(key=lambda t: t.unique != t.key)
        for child in tables[1:]:
            parent = tables[0]
            if parent.unique != parent.key or not alike(parent, child) or self.random.random() < 0.5:
                continue
            child.refers = (f"FOREIGN KEY ({', '.join(child.key)}) REFERENCES {parent.name} ({', '.join(parent.key)})"
                            + self.random.choice(["", "", " ON DELETE CASCADE", " DEFERRABLE INITIALLY DEFERRED"]))

            def keys(t, row):
                return tuple(self.same(c, v) for c, v in zip(t.columns, row) for k in t.key if k == c.name)
            if [c.name for c in parent.columns if c.name in parent.key] != list(parent.key) or [c.name for c in child.columns if c.name in child.key] != list(child.key):
                child.refers = ""
                continue
            there = {keys(parent, row) for row in parent.rows}
            child.rows = [row for row in child.rows if keys(child, row) in there]
        return tables

    def place(self, schema, shape, shards):
        """Has another function say where rows live."""
        schema.function = self.random.choice(["consistent_hash", "range", "range", "list"])
        kind, values = family(shape[0][0]), shape[0][2]
        if len(shape) > 1 or shape[0][0] in ("char(4)", "numeric(8,2)") or schema.function == "list" and kind == "num" and schema.mixed:
            schema.function = "consistent_hash"
        if schema.function == "range":
            ends = [None, *ENDS[kind], None] if ENDS[kind] else [None, None]
            ranges = [{k: v for k, v in (("from", a), ("to", b)) if v is not None} for a, b in zip(ends, ends[1:])]
            schema.places = [{"ranges": [r]} for r in ranges]
        elif schema.function == "list":
            # The rest is the default shard's.
            values = [v for v in self.random.sample(values, len(values)) if v]
            schema.places = [{"values": own} if (own := values[n::len(shards)]) else {} for n in range(len(shards))]

    def values(self, name):
        kind = family(name)
        values = VALUES[kind] + (MIXED.get(kind, []) if self.mixed and name != "numeric(8,2)" else [])
        if name == "numeric":
            values = values + ["NaN", "Infinity", "12345678901234567890.5"]
        return values

    def shape(self):
        """The key that tables have in common: types and the values that are drawn for each."""
        types = [self.random.choice(KEY_TYPES) for _ in range(self.random.choices([1, 2, 3], [5, 4, 1])[0])]
        shape = []
        for name in types:
            values = self.values(name)
            collation = self.random.choice(self.collations) if family(name) in ("text", "char") else ""
            shape.append((name, collation, self.random.sample(values, min(len(values), self.random.choice([2, 4, 6, 9])))))
        return shape

    def near(self, name):
        """A type that is compared with this one by the same operators."""
        if self.random.random() < 0.7:
            return name
        return self.random.choice(INTEGERS if name in INTEGERS else ("text", "varchar(8)", "varchar") if family(name) == "text" else (name,))

    def table(self, name, shape):
        names = self.random.sample(COLUMN_NAMES, self.random.randint(2, 5))
        key_names = ["k1", "k2", "k3"] if self.random.random() < 0.6 else self.random.sample(["x", "y", "z", "k1", "k2"], 3)
        columns, key = [], ()
        if shape:
            key = tuple(key_names[:len(shape)])
            columns = [Column(k, self.near(kind), collation, self.random.random() < 0.1, "", pool) for k, (kind, collation, pool) in zip(key, shape)]
        others = [self.other(n) for n in names]
        if self.random.random() < 0.85:
            others.append(Column("n", self.random.choice(["int", "bigint"]), "", False, "", [str(n) for n in range(60)]))
        if self.random.random() < 0.4:
            self.random.shuffle(others)
            at = self.random.randint(0, len(others))
            columns = others[:at] + columns + others[at:]
            if len(key) > 1 and self.random.random() < 0.3:
                columns.reverse()
        else:
            columns += others
        unique, has_n = (), any(c.name == "n" for c in columns)
        if has_n and self.random.random() < 0.6:
            unique = key + ("n",)
        elif key and self.random.random() < 0.25:
            unique = key
        table = Table(name, columns, key, unique)
        for c in columns:
            if c.name in unique:
                c.nulls = False
        table.rows = self.rows(table)
        return table

    def other(self, name):
        kind = self.random.choice(OTHER_TYPES)
        values = self.values(kind)
        collation = self.random.choice(self.collations) if family(kind) in ("text", "char") else ""
        pool = self.random.sample(values, self.random.randint(1, len(values)))
        default = ""
        if self.random.random() < 0.15 and family(kind) in ("int", "text", "num", "date"):
            default = {"int": "5", "text": "'dflt'", "num": "1.5", "date": "'2024-05-05'"}[family(kind)]
        return Column(name, kind, collation, self.random.random() < 0.8, default, pool)

    def rows(self, table):
        count = self.random.choice([0, 1, 3, 8, 15, 25])
        skewed, rows, met = self.random.random() < 0.3, [], set()
        hot = {c.name: self.random.choice(c.pool) for c in table.columns}
        for number in range(count):
            row = []
            for c in table.columns:
                value = self.random.choice(c.pool)
                if c.name == "n":
                    value = str(number)
                elif c.name in table.key:
                    value = hot[c.name] if skewed and self.random.random() < 0.8 else value
                elif c.nulls and self.random.random() < 0.2:
                    value = None
                row.append(value)
            if rows and "n" not in [c.name for c in table.columns] and self.random.random() < 0.2:
                row = list(self.random.choice(rows))
            mark = tuple(self.same(c, v) for c, v in zip(table.columns, row) if c.name in table.unique)
            if not table.unique or mark not in met:
                met.add(mark)
                rows.append(row)
        return rows

    @staticmethod
    def same(column, value):
        return float(value) + 0.0 if column.family == "num" and value != "NaN" else value


def copied(rows):
    """Rows as COPY takes them in its text format."""
    def cell(value):
        if value is None:
            return "\\N"
        return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
    return "".join("\t".join(map(cell, row)) + "\n" for row in rows).encode()
