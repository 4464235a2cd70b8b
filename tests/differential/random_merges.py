"""Random MERGE statements over random schemas; `g` is the QueryGenerator that draws what they are made of."""


def values_of(g, table, alias):
    """VALUES, or a SELECT of constants, for the key's columns and some others: (text, the target's columns, what they are called here)."""
    others = [c for c in table.columns if c.name not in table.key]
    columns = [table.column(k) for k in table.key] + g.random.sample(others, min(len(others), g.random.randint(0, 2)))
    if not columns:
        columns = table.columns[:1]
    rows = [[g.literal(c.family, c.pool, "cast", c.type) for c in columns] for _ in range(g.choice([1, 1, 2, 4, 7]))]
    names = [g.name("c") for _ in columns]
    if len(rows) == 1 and g.chance(0.5):
        return "(SELECT " + ", ".join(f"{v} AS {n}" for v, n in zip(rows[0], names)) + f") {alias}", columns, names
    return "(VALUES " + ", ".join(f"({', '.join(row)})" for row in rows) + f") {alias}({', '.join(names)})", columns, names


def source_of(g, table, ref, source):
    """The source of a MERGE into `table`. `ref`, `source`: the classes of what it is made of."""
    pick = g.random.random()
    if pick < 0.4:
        alias = g.name("v")
        text, columns, names = values_of(g, table, alias)
        return source(text, [ref(f"{alias}.{n}", c.family, "", tuple(c.pool)) for n, c in zip(names, columns)], [])
    if pick < 0.7 or g.ctes:
        return g.source(0) if g.ctes else g.table_source(sharded=g.chance(0.7))
    if pick < 0.85:
        inner, alias = g.table_source(), g.name("q")
        refs = [r for r in inner.refs if r.family != "enum"] or inner.refs
        names = [g.name("c") for _ in refs]
        listed = ", ".join(f"{r.sql} AS {n}" for r, n in zip(refs, names))
        return source(f"(SELECT {listed} FROM {inner.sql}{g.where([inner], (), 1, 0.5)}) {alias}",
                      [ref(f"{alias}.{n}", r.family, r.collation, r.pool) for n, r in zip(names, refs)], [])
    return g.source(1)


def merge(g, ref, source):
    table = g.target(0.08)
    text, alias = g.alias(table)
    mine, other = g.as_source(table, alias), source_of(g, table, ref, source)
    pairs = {}
    for part in table.key:
        column = table.column(part)
        fits = [r for r in other.refs if r.family == column.family and r.collation == column.collation]
        if fits and g.chance(0.95):
            pairs[part] = fits[0] if g.chance(0.6) else g.choice(fits)
    conditions = [f"{alias}.{part} = {r.sql}" if g.chance(0.6) else f"{r.sql} = {alias}.{part}" for part, r in pairs.items()]
    numbers = [r for r in other.refs if r.family == "int"]
    if numbers and any(c.name == "n" for c in table.columns) and g.chance(0.5):
        conditions.append(f"{alias}.n = {g.choice(numbers).sql}")
    if not conditions or g.chance(0.1):
        conditions.append(g.join_condition([mine], other, "JOIN"))
    both = mine.refs + other.refs

    def when(refs):
        return f" AND {g.condition(refs, 1)}" if g.chance(0.3) else ""

    def inserted():
        columns = [c for c in table.columns if c.name in table.key or not c.nulls or g.chance(0.6)]
        values = [pairs[c.name].sql if c.name in pairs and g.chance(0.93) else
                  g.new_value(c) if g.chance(0.25) else g.stored(c, other.refs) for c in columns]
        listed = f" ({', '.join(c.name for c in columns)})" if columns != table.columns or g.chance(0.7) else ""
        return f"INSERT{listed} VALUES ({', '.join(values)})"
    actions = []
    for _ in range(g.choice([1, 1, 2])):
        if g.chance(0.75):
            settings = g.settings(table, both)
            change = g.weighted((f"UPDATE SET {settings}" if settings else "DELETE", 4), ("DELETE", 2), ("DO NOTHING", 1))
            actions.append(f" WHEN MATCHED{when(both)} THEN {change}")
        if g.chance(0.6):
            actions.append(f" WHEN NOT MATCHED{when(other.refs)} THEN {g.weighted((inserted(), 5), ('DO NOTHING', 1))}")
    if not actions:
        actions.append(" WHEN MATCHED THEN DELETE")
    return f"MERGE INTO {text} USING {other.sql} ON {' AND '.join(conditions)}{''.join(actions)}"
