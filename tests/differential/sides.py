"""What two servers answer to the same statement, held against each other."""

import struct

from cluster import bucket_sql
from statements import Statement
from wire import bind, describe_portal, errors, execute, parse, query, rows, sync, tags

REFUSALS = {"0A000", "54001"}


def shape(body):
    """Names, type OIDs and modifiers of a RowDescription."""
    count, at, columns = struct.unpack_from("!H", body)[0], 2, []
    for _ in range(count):
        end = body.index(b"\0", at)
        _, _, type_oid, size, modifier, form = struct.unpack_from("!IHIhih", body, end + 1)
        columns.append((body[at:end].decode(), type_oid, size, modifier, form))
        at = end + 19
    return columns


def ask(client, statement):
    """What a client sees: (SQLSTATE or None, columns, rows, tags)."""
    if statement.values or statement.extended:
        client.send(parse(statement.sql, types=statement.types or [20] * len(statement.values)), bind(statement.values), describe_portal(), execute(), sync())
    else:
        client.send(query(statement.sql))
    got = client.until_ready()
    failed = errors(got)
    columns = next((shape(body) for kind, body in got if kind == "T"), None)
    # Row types are named by a table's OID, which every server draws for itself.
    if columns:
        columns = [(n, 0 if t >= 16384 else t, s, m, f) for n, t, s, m, f in columns]
    return (failed[0]["C"] if failed else None), columns, rows(got) + [[body] for kind, body in got if kind == "d"], tags(got), failed


def compare(statement, one, many):
    """None when refused, True when equal; else what differs."""
    if many[0] in REFUSALS and one[0] != many[0]:
        return None if many[4][0].get("H") or many[0] != "0A000" else "a refusal without a hint"
    if one[0] != many[0]:
        return f"SQLSTATE {one[0]} and {many[0]}: {many[4]}"
    if one[0] is not None:
        return True
    if one[1] != many[1]:
        return f"columns {one[1]} and {many[1]}"
    if statement.count_only:
        return True if len(one[2]) == len(many[2]) else f"{len(one[2])} and {len(many[2])} rows"
    left, right = (r[2] if statement.ordered else sorted(r[2], key=repr) for r in (one, many))
    if left != right:
        return f"{len(left)} and {len(right)} rows, first {left[:3]} and {right[:3]}"
    return True if one[3] == many[3] else f"tags {one[3]} and {many[3]}"


def both(two_sides, statement, state=()):
    """The verdict on one statement, and on what queries of `state` say of the tables that it leaves."""
    answers, tables = [], []
    for client in two_sides:
        if statement.writes:
            client.query("BEGIN")
        answers.append(ask(client, statement))
        if statement.writes:
            tables.append([ask(client, Statement(sql))[2] for sql in state] if answers[-1][0] is None else None)
            client.query("ROLLBACK")
        assert client.status == "I"
    verdict = compare(statement, *answers)
    if verdict is True and statement.writes and tables[0] != tables[1]:
        return f"tables {tables}"
    return verdict


def load(whole, parts, sql, keys):
    """Runs `sql` on the one server and on every shard, where only the rows that belong there stay. `keys`: of each sharded
    table its key, a bigint."""
    whole.shards[0].primary.query(sql)
    for shard in parts.shards:
        low, high = shard.buckets
        shard.primary.query(sql)
        for table, key in keys.items():
            shard.primary.query(f"DELETE FROM {table} WHERE NOT {bucket_sql(key)} BETWEEN {low} AND {high}")


def sharding_with(topology, keys, reference=()):
    """The sharding of a topology with further tables."""
    sharding = topology["databases"]["shop"]["sharding"]
    return sharding | {"tables": sharding["tables"] | {table: {"key": key} for table, key in keys.items()},
                       "reference_tables": sharding["reference_tables"] + list(reference)}
