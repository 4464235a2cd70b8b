"""Statements of which SQL leaves open what they do: with which of several partners a row is joined, which of several rows of one
key is inserted, and whether a subquery that nobody needs is carried out."""

from shrinking import TOKEN, joined, pairs


def cut(tokens, words):
    """(the tokens before the first of `words` that stands outside of parentheses, the rest from it on)."""
    depth = 0
    for at, token in enumerate(tokens):
        if not depth and token in words:
            return tokens[:at], tokens[at:]
        depth += (token in "([") - (token in ")]")
    return tokens, []


def several_partners(sql):
    """A query that gives rows if UPDATE ... FROM or DELETE ... USING finds several partners for one; None for all else."""
    entries, write = cut(TOKEN.findall(sql), ("UPDATE", "DELETE", "INSERT", "MERGE", "SELECT"))
    if write[:1] == ["DELETE"]:
        target, rest = cut(write[2:], ("USING",))
    elif write[:1] == ["UPDATE"]:
        target, rest = cut(write[1:], ("SET",))
        rest = cut(rest, ("FROM", "WHERE", "RETURNING"))[1]
    else:
        return None
    if rest[:1] not in (["FROM"], ["USING"]):
        return None
    partners, rest = cut(rest[1:], ("WHERE", "RETURNING"))
    condition = cut(rest, ("RETURNING",))[0]
    return joined([*entries, "SELECT", "FROM", *target, ",", *partners, *condition, "GROUP", "BY", target[-1], ".", "ctid", "HAVING", "count", "(", "*", ")", ">", "1"])


def rows_of_one_key(sql, keys):
    """A query that gives rows if INSERT ... SELECT ... ON CONFLICT DO NOTHING finds several rows of one key; None for all else.
    `keys`: the columns of the primary key of each table."""
    entries, write = cut(TOKEN.findall(sql), ("INSERT",))
    if write[:2] != ["INSERT", "INTO"] or write[3:4] != ["("] or not keys.get(write[2]):
        return None
    columns = write[4:write.index(")")]
    source, conflict = cut(write[5 + len(columns):], ("CONFLICT",))
    if source[:1] != ["SELECT"] or "NOTHING" not in conflict:
        return None
    return joined([*entries, "SELECT", "FROM", "(", *source[:-1], ")", "AS", "source", "(", *columns, ")",
                   "GROUP", "BY", *" , ".join(keys[write[2]]).split(), "HAVING", "count", "(", "*", ")", ">", "1"])


def parts_alone(sql):
    """The subqueries, each with the WITH entries of SELECTs of the whole before it: what it comes upon when it is carried out, which a
    server may leave out."""
    tokens = TOKEN.findall(sql)
    entries = cut(tokens, ("UPDATE", "DELETE", "INSERT", "MERGE", "SELECT"))[0]
    if {"INSERT", "UPDATE", "DELETE", "MERGE"} & set(entries):
        entries = []
    for first, last in pairs(tokens):
        part = tokens[first + 1:last]
        if part[:1] == ["SELECT"]:
            yield joined(part)
            if entries and first > len(entries):
                yield joined(entries + part)
