"""Types whose OIDs are not the same on all shards: clients know the first shard's, whichever answers."""

import io

import psycopg2
import pytest

from braid import sharded_topology
from wire import bind, describe_portal, describe_statement, errors, execute, kinds, parse, query, rows, sync

MOODS = ("sad", "plain", "happy")


def on_all(cluster, sql):
    for shard in cluster.shards:
        shard.primary.query(sql)


@pytest.fixture(scope="module")
def keys(cluster):
    """Two keys of each shard."""
    return [cluster.keys_of(i, 2) for i in range(2)]


@pytest.fixture(scope="module")
def numbers(cluster):
    """The OIDs of one type on the first shard and on the second; in `feelings` and `many` it has columns."""
    first, second = (shard.primary for shard in cluster.shards)
    second.query("CREATE TYPE filler AS ENUM ('x')")
    on_all(cluster, "CREATE TYPE mood AS ENUM ('sad', 'plain', 'happy');"
                    "CREATE TABLE feelings (id bigint PRIMARY KEY, mood mood, note text); CREATE TABLE many (id bigint PRIMARY KEY, moods mood[]);"
                    "GRANT ALL ON feelings, many TO app")
    second.query("CREATE TABLE lone (n bigint, mood mood); INSERT INTO lone VALUES (1, 'sad'); GRANT ALL ON lone TO app")
    yield [server.query("SELECT 'mood'::regtype::oid::bigint")[0][0] for server in (first, second)]
    second.query("DROP TABLE lone")
    on_all(cluster, "DROP TABLE feelings, many; DROP TYPE mood")
    second.query("DROP TYPE filler")


@pytest.fixture
def braid(cluster, numbers, start_braid):
    on_all(cluster, "TRUNCATE feelings, many")
    sharding = sharded_topology(cluster)["databases"]["shop"]["sharding"]
    tables = sharding["tables"] | {"feelings": {"key": "id"}, "many": {"key": "id"}}
    lone = {"unsharded": sharding.get("unsharded", {}) | {"lone": cluster.shards[1].name}}
    return start_braid(sharded_topology(cluster, sharding=sharding | {"tables": tables} | lone))


def described(messages):
    """The type OIDs of the columns, of each RowDescription."""
    out = []
    for kind, body in messages:
        if kind != "T":
            continue
        at, types = 2, []
        for _ in range(int.from_bytes(body[:2], "big")):
            at = body.index(b"\0", at) + 1
            types.append(int.from_bytes(body[at + 6:at + 10], "big"))
            at += 18
        out.append(types)
    return out


def test_the_numbers_differ(numbers):
    assert numbers[0] != numbers[1]


def test_what_applications_do(braid, numbers, keys):
    """Rows of either shard are written and read, one by one and together, and have one type."""
    with braid.connect() as connection, connection.cursor() as cursor:
        for i, (key, mood) in enumerate(zip(keys[0] + keys[1], MOODS + MOODS)):
            cursor.execute("INSERT INTO feelings VALUES (%s, %s, %s) RETURNING mood", (key, mood, f"note {i}"))
            assert cursor.fetchall() == [(mood,)] and cursor.description[0].type_code == numbers[0]
        connection.commit()
        for key, mood in zip(keys[1], ("happy", "sad")):
            cursor.execute("SELECT mood, id FROM feelings WHERE id = %s", (key,))
            assert cursor.fetchall() == [(mood, key)] and cursor.description[0].type_code == numbers[0]
        cursor.execute("SELECT mood, id FROM feelings WHERE mood >= 'plain'")
        assert sorted(cursor.fetchall()) == [("happy", keys[1][0]), ("plain", keys[0][1])]
        assert cursor.description[0].type_code == numbers[0]
        cursor.execute("SELECT mood, count(*) FROM feelings GROUP BY mood ORDER BY mood DESC")
        assert cursor.fetchall() == [("happy", 1), ("plain", 1), ("sad", 2)]
        cursor.execute("UPDATE feelings SET mood = 'happy' WHERE mood = 'sad' RETURNING mood")
        assert cursor.fetchall() == [("happy",)] * 2 and cursor.description[0].type_code == numbers[0]
        cursor.execute("INSERT INTO feelings VALUES (%s, 'sad'), (%s, 'sad') ON CONFLICT (id) DO UPDATE SET mood = excluded.mood", (keys[0][0], keys[1][0]))
        cursor.execute("SELECT id FROM feelings WHERE id = %s FOR UPDATE", (keys[1][0],))
        assert cursor.fetchall() == [(keys[1][0],)]
        cursor.execute("DELETE FROM feelings WHERE mood = 'sad'")
        assert cursor.rowcount == 2
        with pytest.raises(psycopg2.errors.InvalidTextRepresentation):
            cursor.execute("UPDATE feelings SET mood = 'cross'")


def test_parameters_of_the_type(braid, numbers, keys):
    """What clients say of parameters, and are told of them, is the first shard's number."""
    with braid.raw() as client:
        for row, key in enumerate(keys[0][:1] + keys[1][:1]):
            for name in ("", f"insert{key}"):
                sql = f"INSERT INTO feelings VALUES ({key}, $1, $2) ON CONFLICT (id) DO UPDATE SET mood = $1 RETURNING mood, note"
                client.send(parse(sql, name, types=[numbers[0]]), describe_statement(name), bind(["happy", "x"], name), describe_portal(), execute(), sync())
                got = client.until_ready()
                assert kinds(got) == "1tT2TDCZ", errors(got)
                parameters = next(body for kind, body in got if kind == "t")
                assert parameters[2:] == numbers[0].to_bytes(4, "big") + (25).to_bytes(4, "big")
                assert described(got) == [[numbers[0], 25]] * 2 and rows(got) == [[b"happy", b"x"]]
        # Prepared on one shard, used on both.
        client.send(parse("SELECT mood FROM feelings WHERE id = $1", "both", types=[20]), describe_statement("both"), sync())
        assert described(client.until_ready()) == [[numbers[0]]]
        for key in keys[0][:1] + keys[1][:1]:
            client.send(bind([key], "both"), describe_portal(), execute(), sync())
            got = client.until_ready()
            assert described(got) == [[numbers[0]]] and rows(got) == [[b"happy"]], errors(got)


def test_binary_results(braid, numbers, keys):
    """In binary an array names its elements' type: a read is answered by the first shard, a write that tells rows is refused."""
    key = keys[1][0]
    with braid.raw() as client:
        client.query(f"INSERT INTO feelings VALUES ({key}, 'happy', 'x')")

        def ask(sql):
            client.send(parse(sql), bind(result_formats=[1]), describe_portal(), execute(), sync())
            return client.until_ready()

        assert rows(ask(f"SELECT mood FROM feelings WHERE id = {key}")) == [[b"happy"]]
        (array,), = rows(ask(f"SELECT array_agg(mood) FROM feelings WHERE id = {key}"))
        assert int.from_bytes(array[8:12], "big") == numbers[0]
        refused = errors(ask(f"UPDATE feelings SET note = 'y' WHERE id = {key} RETURNING ARRAY[mood]"))
        assert refused[0]["C"] == "0A000" and "mood" in refused[0]["M"]
        assert errors(ask(f"UPDATE feelings SET note = 'z' WHERE id = {key}")) == []
        assert client.query(f"SELECT note FROM feelings WHERE id = {key}") == [["z"]]


def test_columns_made_of_the_type(cluster, braid, numbers, keys):
    """Their binary form names it: they are read from the first shard, over gathered rows, and written as text."""
    array = [shard.primary.query("SELECT 'mood[]'::regtype::oid::bigint")[0][0] for shard in cluster.shards][0]
    first, second = keys[0][0], keys[1][0]
    with braid.raw() as client:
        assert client.query(f"SELECT * FROM many WHERE id = {second}") == []
        for key, value in ((first, "{sad,happy}"), (second, "{plain}")):
            client.send(parse("INSERT INTO many VALUES ($1, $2) RETURNING moods"), bind([key, value]), describe_portal(), execute(), sync())
            got = client.until_ready()
            assert described(got) == [[array]] and rows(got) == [[value.encode()]], errors(got)
        client.send(query(f"UPDATE many SET moods = array_append(moods, 'sad') WHERE id IN ({first}, {second}) RETURNING *"))
        got = client.until_ready()
        assert described(got) == [[20, array]] and sorted(rows(got)) == sorted([[str(first).encode(), b"{sad,happy,sad}"], [str(second).encode(), b"{plain,sad}"]])
        more = [keys[0][1], keys[1][1]]
        client.query(f"INSERT INTO many (id, moods) SELECT n, ARRAY['plain', 'happy']::mood[] FROM unnest(ARRAY[{more[0]}, {more[1]}]) n")
        client.query(f"INSERT INTO many VALUES ({second}, NULL) ON CONFLICT (id) DO UPDATE SET moods = excluded.moods")
        assert client.query(f"DELETE FROM many WHERE id IN ({more[0]}, {more[1]}) RETURNING moods") == [["{plain,happy}"]] * 2
        assert client.query("SELECT moods FROM many ORDER BY id = " + str(first)) == [[None], ["{sad,happy,sad}"]]
        client.send(parse(f"UPDATE many SET moods = NULL WHERE id = {second} RETURNING moods"), bind(result_formats=[1]), execute(), sync())
        assert errors(client.until_ready())[0]["C"] == "0A000"
        client.send(query("COPY many FROM STDIN (FORMAT binary)"))
        assert errors(client.until_ready())[0]["C"] == "0A000"
    with braid.connect(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM many")
        cursor.copy_expert("COPY many FROM STDIN", io.StringIO(f"{first}\t{{sad}}\n{second}\t{{happy}}\n"))
        cursor.execute("SELECT moods FROM many ORDER BY moods")
        assert cursor.fetchall() == [("{sad}",), ("{happy}",)]


def test_a_table_of_the_second_shard_is_written_from_others(braid, keys):
    """The rows are read as text, wherever they are put together."""
    with braid.raw() as client:
        client.query(f"INSERT INTO feelings VALUES ({keys[0][0]}, 'happy', 'x'), ({keys[1][0]}, 'plain', 'y')")
        for sql, left in (("UPDATE lone SET n = (SELECT sum(length(note)) FROM feelings)", [["2", "sad"]]),
                          ("DELETE FROM lone WHERE n IN (SELECT 2 FROM feelings WHERE mood = 'plain')", []),
                          ("INSERT INTO lone (n) SELECT 1 FROM feelings WHERE mood = 'plain'", [["1", None]])):
            client.query(sql)
            assert client.query("SELECT n, mood FROM lone") == left, sql
        client.query(f"INSERT INTO feelings (id, note) SELECT {keys[0][1]} + n - n, 'z' FROM lone")
        assert client.query("SELECT id FROM feelings WHERE note = 'z'") == [[str(keys[0][1])]]
