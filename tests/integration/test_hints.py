"""Hints: comments and settings that say on which shard, and on which of its servers, a statement runs."""

import psycopg2
import pytest

from braid import plain_topology


@pytest.fixture
def names(cluster):
    return [shard.name for shard in cluster.shards]


def code_of(cursor, sql):
    with pytest.raises(psycopg2.Error) as failed:
        cursor.execute(sql)
    return failed.value


def test_comments(cluster, braid, names):
    connection = braid.connect(autocommit=True)
    cursor = connection.cursor()
    for i, name in enumerate(names):
        own = int(cluster.shards[i].primary.value("SELECT count(*) FROM customers"))
        for sql in (f"/* pgbraid: shard={name} */ SELECT count(*) FROM customers",
                    f"SELECT count(*) FROM customers -- pgbraid: shard={name}"):
            cursor.execute(sql)
            assert cursor.fetchone() == (own,)
        key = cluster.keys_of(i, 1)[0]
        cursor.execute(f"SELECT count(*) FROM customers /* pgbraid: key={key} */")
        assert cursor.fetchone() == (own,)
    failed = code_of(cursor, "/* pgbraid: shard=nowhere */ SELECT 1 FROM customers")
    assert failed.pgcode == "22023" and all(name in failed.diag.message_hint for name in names)
    connection.close()


def test_settings_as_others(cluster, braid, names):
    connection = braid.connect()
    cursor = connection.cursor()
    own = [int(shard.primary.value("SELECT count(*) FROM customers")) for shard in cluster.shards]

    def count():
        cursor.execute("SELECT count(*) FROM customers")
        return cursor.fetchone()[0]
    assert count() == sum(own)
    cursor.execute(f"SET LOCAL pgbraid.shard = '{names[1]}'")
    assert count() == own[1]
    connection.commit()
    assert count() == sum(own)
    cursor.execute(f"SET pgbraid.shard = '{names[0]}'")
    connection.rollback()
    assert count() == sum(own)
    cursor.execute(f"SET pgbraid.key = '{cluster.keys_of(1, 1)[0]}'")
    connection.commit()
    assert count() == own[1]
    cursor.execute("SHOW pgbraid.key")
    assert cursor.fetchone() == (str(cluster.keys_of(1, 1)[0]),)
    cursor.execute("RESET ALL")
    assert count() == sum(own)
    connection.rollback()
    connection.close()


def test_startup_options(cluster, braid, names):
    connection = braid.connect(autocommit=True, options=f"-c pgbraid.shard={names[1]}")
    cursor = connection.cursor()
    cursor.execute("SELECT count(*) FROM customers")
    assert cursor.fetchone()[0] == int(cluster.shards[1].primary.value("SELECT count(*) FROM customers"))
    cursor.execute("SET pgbraid.shard = ''")
    cursor.execute("RESET ALL")
    cursor.execute("SHOW pgbraid.shard")
    assert cursor.fetchone() == (names[1],)
    connection.close()


def test_rows_stay_where_they_belong(cluster, braid, names):
    connection = braid.connect(autocommit=True)
    cursor = connection.cursor()
    here, there = (cluster.keys_of(i, 3)[2] for i in (0, 1))
    insert = f"/* pgbraid: shard={names[0]} */ INSERT INTO orders (customer_id, amount, note) VALUES (%s, 1, 'hinted')"
    cursor.execute(insert, (here,))
    with pytest.raises(psycopg2.Error) as failed:
        cursor.execute(insert, (there,))
    assert failed.value.pgcode == "23514"
    placed = [int(shard.primary.value("SELECT count(*) FROM orders WHERE note = 'hinted'")) for shard in cluster.shards]
    assert placed == [1, 0]
    assert code_of(cursor, f"/* pgbraid: shard={names[0]} */ INSERT INTO countries VALUES ('xx', 'Nowhere')").pgcode == "0A000"
    # A DELETE runs where it is told to, and nowhere else.
    cursor.execute(f"/* pgbraid: shard={names[1]} */ DELETE FROM orders WHERE note = 'hinted'")
    assert cursor.rowcount == 0
    cursor.execute(f"/* pgbraid: shard={names[0]} */ DELETE FROM orders WHERE note = 'hinted'")
    assert cursor.rowcount == 1
    connection.close()


def test_target(cluster, braid, names):
    connection = braid.connect(autocommit=True)
    cursor = connection.cursor()
    key = cluster.keys_of(0, 1)[0]
    asked = f"SELECT current_setting('cluster_name') FROM customers WHERE id = {key}"
    cursor.execute(asked)
    assert "replica" in cursor.fetchone()[0]
    cursor.execute("/* pgbraid: target=primary */ " + asked)
    assert "primary" in cursor.fetchone()[0]
    cursor.execute("SET pgbraid.target = 'primary'")
    cursor.execute(asked)
    assert "primary" in cursor.fetchone()[0]
    cursor.execute("SET pgbraid.target = 'replica'")
    cursor.execute(asked)
    assert "replica" in cursor.fetchone()[0]
    failed = code_of(cursor, f"UPDATE customers SET name = name WHERE id = {key}")
    assert failed.pgcode == "25006"
    connection.close()


def test_one_shard_whose_replicas_are_off(cluster, start_braid):
    process = start_braid(plain_topology(cluster.shards[0].servers, reads={"treat_as_read": ["current_setting"], "replicas": "off"}))
    connection = process.connect(autocommit=True)
    cursor = connection.cursor()
    cursor.execute("SELECT current_setting('cluster_name')")
    assert "primary" in cursor.fetchone()[0]
    cursor.execute("/* pgbraid: target=replica */ SELECT current_setting('cluster_name')")
    assert "replica" in cursor.fetchone()[0]
    connection.close()


def test_route_tells_of_hints(braid, names):
    told = braid.command("route", f"/* pgbraid: shard={names[1]} */ SELECT * FROM orders ORDER BY note")
    assert told.returncode == 0 and f"shard {names[1]}" in told.stdout and "a hint" in told.stdout
