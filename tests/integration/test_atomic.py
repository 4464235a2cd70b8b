"""Writes to several shards: on all of them or on none, whatever is lost in between."""

import pytest

from braid import Braid, sharded_topology
from waiting import wait_until
from wire import ServerError, bind, describe_portal, errors, execute, parse, query, rows, sync, tags

BALANCE = "SELECT balance FROM customers WHERE id = %s"


def balances(cluster, keys):
    return [cluster.shards[i].primary.value(BALANCE, (keys[i][0],)) for i in range(2)]


def add(key, amount=1):
    return f"UPDATE customers SET balance = balance + {amount} WHERE id = {key}"


def told(client, sql, extended=False):
    """The tags and rows that a statement gives, by the simple or the extended protocol; ServerError if it fails."""
    client.send(*((parse(sql), bind(), describe_portal(), execute(), sync()) if extended else (query(sql),)))
    got = client.until_ready()
    if errors(got):
        raise ServerError(errors(got)[0])
    return tags(got), [[value.decode() for value in row] for row in rows(got)]


def in_doubt(cluster):
    return [row for shard in cluster.shards for row in shard.primary.query("SELECT gid FROM pg_prepared_xacts")]


# Statements over several shards


@pytest.mark.parametrize("in_transaction", [False, True])
@pytest.mark.parametrize("extended", [False, True])
def test_a_statement_that_writes_to_both(cluster, client, keys, in_transaction, extended):
    before = balances(cluster, keys)
    pair = f"({keys[0][0]}, {keys[1][0]})"
    if in_transaction:
        client.query("BEGIN")
    tag, got = told(client, f"UPDATE customers SET balance = balance + 1 WHERE id IN {pair} RETURNING id, balance", extended)
    assert tag == ["UPDATE 2"]
    assert sorted(got) == sorted([str(keys[i][0]), str(before[i] + 1)] for i in range(2))
    assert client.status == ("T" if in_transaction else "I")
    if in_transaction:
        assert balances(cluster, keys) == before
        assert told(client, "COMMIT", extended)[0] == ["COMMIT"]
    assert balances(cluster, keys) == [b + 1 for b in before]
    assert in_doubt(cluster) == []


def test_a_decision_is_durable_whatever_the_client_thinks_of_its_commits(cluster, client, keys, fault_proxy, start_braid):
    """The statement that brings the record sets synchronous_commit for its transaction: seen where both were taken down."""
    for shard in cluster.shards:
        shard.primary.query("CREATE TABLE public.seen (setting text); GRANT INSERT ON seen TO PUBLIC; "
                            "CREATE FUNCTION public.note_setting() RETURNS trigger LANGUAGE plpgsql AS "
                            "$$BEGIN INSERT INTO public.seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END$$; "
                            "CREATE CONSTRAINT TRIGGER note AFTER UPDATE ON customers DEFERRABLE INITIALLY DEFERRED "
                            "FOR EACH ROW EXECUTE FUNCTION public.note_setting()")
    try:
        client.query("SET synchronous_commit = off")
        client.query("BEGIN")
        for i in range(2):
            client.query(add(keys[i][0]))
        assert told(client, "COMMIT")[0] == ["COMMIT"]
        assert everywhere(cluster, "SELECT setting FROM seen") == [("on",)]
        assert client.value("SHOW synchronous_commit") == "off"
    finally:
        client.query("RESET synchronous_commit")
        for shard in cluster.shards:
            shard.primary.query("DROP TRIGGER note ON customers; DROP FUNCTION note_setting; DROP TABLE seen")


def test_every_row(cluster, client):
    count = sum(shard.primary.value("SELECT count(*) FROM customers") for shard in cluster.shards)
    assert told(client, "UPDATE customers SET balance = balance")[0] == [f"UPDATE {count}"]
    assert told(client, "DELETE FROM customers WHERE balance < -1e12")[0] == ["DELETE 0"]


def test_joined_with_a_reference_table(cluster, client):
    count = sum(shard.primary.value("SELECT count(*) FROM customers c JOIN countries k ON k.code = c.country") for shard in cluster.shards)
    assert told(client, "UPDATE customers c SET balance = c.balance FROM countries k WHERE k.code = c.country")[0] == [f"UPDATE {count}"]


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("bad", [0, 1])
def test_what_fails_on_one_shard_is_undone_on_the_other(cluster, client, keys, bad, extended):
    before = balances(cluster, keys)
    run = client.extended if extended else client.query
    sql = f"UPDATE customers SET balance = balance + 1 / (id - {keys[bad][0]}) WHERE id IN ({keys[0][0]}, {keys[1][0]})"
    with pytest.raises(ServerError) as failed:
        run(sql)
    assert failed.value.sqlstate == "22012"
    assert client.status == "I"
    assert balances(cluster, keys) == before
    assert client.value("SELECT 1") == "1"


def test_a_pipeline_is_one_transaction(cluster, client, keys):
    before = balances(cluster, keys)
    client.send(parse(add(keys[0][0])), bind(), execute(), parse(add(keys[1][0])), bind(), execute(), sync())
    assert tags(client.until_ready()) == ["UPDATE 1", "UPDATE 1"]
    assert balances(cluster, keys) == [b + 1 for b in before]
    client.send(parse(add(keys[0][0])), bind(), execute(), parse(add(keys[1][0]) + " AND 1 / (id - id) = 1"), bind(), execute(), sync())
    got = client.until_ready()
    assert errors(got)[0]["C"] == "22012" and client.status == "I"
    assert balances(cluster, keys) == [b + 1 for b in before]


@pytest.mark.parametrize("extended", [False, True])
def test_rows_of_one_insert_go_to_their_shards(cluster, client, extended):
    keys = [key for pair in zip(cluster.keys_of(0, 3, 200_000), cluster.keys_of(1, 3, 200_000)) for key in pair]
    try:
        values = ", ".join(f"({key}, 'it''s ({key}), /* no */ $1', 'DE')" for key in keys)
        tag, got = told(client, f"INSERT INTO customers (id, name, country) VALUES {values} RETURNING id, name", extended)
        assert tag == [f"INSERT 0 {len(keys)}"]
        assert got == [[str(key), f"it's ({key}), /* no */ $1"] for key in keys], "in the order of VALUES"
        for i in range(2):
            on_shard = cluster.shards[i].primary.query("SELECT id FROM customers WHERE id = ANY(%s) ORDER BY id", (keys,))
            assert [row[0] for row in on_shard] == sorted(keys[i::2])
        with pytest.raises(ServerError) as twice:
            told(client, f"INSERT INTO customers (id, name, country) VALUES ({keys[-1] + 1000}, 'new', 'DE'), {values}", extended)
        assert twice.value.sqlstate in ("23505", "0A000")
        assert told(client, f"DELETE FROM customers WHERE id IN ({', '.join(map(str, keys))})", extended)[0] == [f"DELETE {len(keys)}"]
    finally:
        for shard in cluster.shards:
            shard.primary.query("DELETE FROM customers WHERE id >= 200000")


@pytest.mark.parametrize("extended", [False, True])
def test_a_with_that_writes(cluster, client, keys, extended):
    before = balances(cluster, keys)
    pair = f"({keys[0][0]}, {keys[1][0]})"
    write = f"WITH up AS (UPDATE customers SET balance = balance + 1 WHERE id IN {pair} RETURNING id, balance)"
    assert told(client, f"{write} SELECT up.id, up.balance - c.balance FROM up JOIN customers c USING (id) ORDER BY up.id", extended) == \
        (["SELECT 2"], [[str(key), "1.00"] for key in sorted(keys[i][0] for i in range(2))]), "the rest sees what was before"
    assert balances(cluster, keys) == [b + 1 for b in before]
    with pytest.raises(ServerError) as failed:
        told(client, f"{write} SELECT 1 / (id - id) FROM up", extended)
    assert failed.value.sqlstate == "22012" and client.status == "I"
    assert balances(cluster, keys) == [b + 1 for b in before] and in_doubt(cluster) == []


@pytest.mark.parametrize("in_transaction", [False, True])
@pytest.mark.parametrize("extended", [False, True])
def test_a_with_whose_rows_cannot_travel_writes_nothing(cluster, client, keys, extended, in_transaction):
    """That a type cannot be written is known when the shards have done their part."""
    before = balances(cluster, keys)
    if in_transaction:
        client.query("BEGIN")
    with pytest.raises(ServerError) as refused:
        told(client, f"WITH up AS (UPDATE customers SET balance = balance + 1 WHERE id IN ({keys[0][0]}, {keys[1][0]}) RETURNING ROW(id, 1) AS r) "
                     "SELECT count(*) FROM up", extended)
    assert refused.value.sqlstate == "0A000" and refused.value.fields["H"]
    if in_transaction:
        assert client.status == "E" and told(client, "COMMIT", extended)[0] == ["ROLLBACK"]
    assert client.status == "I" and balances(cluster, keys) == before and in_doubt(cluster) == []
    assert client.value("SELECT 1") == "1"


def test_a_with_that_writes_with_parameters(cluster, client):
    """Each shard gets the rows of VALUES that are its own, and of the parameters those that stand in them."""
    keys = [key for pair in zip(cluster.keys_of(0, 2, 200_000), cluster.keys_of(1, 2, 200_000)) for key in pair]
    rows_sql = ", ".join(f"(${2 * i + 1}, ${2 * i + 2}, $9)" for i in range(len(keys)))
    sql = f"WITH new AS (INSERT INTO customers (id, name, country) VALUES {rows_sql} RETURNING id, name) SELECT name FROM new WHERE id > $10 ORDER BY id DESC"
    values = [text for key in keys for text in (str(key).encode(), f"name {key}".encode())] + [b"DE", str(min(keys)).encode()]
    try:
        client.send(parse(sql), bind(values), describe_portal(), execute(), sync())
        got = client.until_ready()
        assert not errors(got), errors(got)
        assert [row[0].decode() for row in rows(got)] == [f"name {key}" for key in sorted(keys, reverse=True) if key > min(keys)]
        for i in range(2):
            on_shard = cluster.shards[i].primary.query("SELECT id FROM customers WHERE id = ANY(%s) ORDER BY id", (keys,))
            assert [row[0] for row in on_shard] == sorted(keys[i::2])
    finally:
        for shard in cluster.shards:
            shard.primary.query("DELETE FROM customers WHERE id >= 200000")


def test_rows_of_one_insert_with_parameters(cluster, client):
    keys = [key for pair in zip(cluster.keys_of(0, 2, 200_000), cluster.keys_of(1, 2, 200_000)) for key in pair]
    values = [text for key in keys for text in (str(key).encode(), f"name {key}".encode())]
    rows_sql = ", ".join(f"(${2 * i + 1}, ${2 * i + 2}, $9)" for i in range(len(keys)))
    try:
        for oids in ((), (20, 25) * 4 + (1042,)):
            client.send(parse(f"INSERT INTO customers (id, name, country) VALUES {rows_sql} RETURNING name", types=oids),
                        bind(values + [b"DE"]), describe_portal(), execute(), sync())
            got = client.until_ready()
            assert not errors(got), errors(got)
            assert tags(got) == ["INSERT 0 4"]
            assert rows(got) == [[f"name {key}".encode()] for key in keys]
            client.query("DELETE FROM customers WHERE id >= 200000")
    finally:
        for shard in cluster.shards:
            shard.primary.query("DELETE FROM customers WHERE id >= 200000")


# Transactions over several shards


def test_commit_and_rollback(cluster, braid, keys):
    before = balances(cluster, keys)
    connection = braid.connect()
    with connection, connection.cursor() as cursor:
        for i in range(2):
            cursor.execute(add(keys[i][0]))
    assert balances(cluster, keys) == [b + 1 for b in before]
    with connection.cursor() as cursor:
        for i in range(2):
            cursor.execute(add(keys[i][0]))
    connection.rollback()
    assert balances(cluster, keys) == [b + 1 for b in before]
    connection.close()


def test_savepoints_reach_all(cluster, client, keys):
    before = balances(cluster, keys)
    client.query("BEGIN")
    client.query(add(keys[0][0]))
    client.query("SAVEPOINT s")
    client.query(add(keys[0][0], 10))
    client.query(add(keys[1][0], 10))
    client.query("ROLLBACK TO s")
    client.query(add(keys[1][0]))
    client.query("COMMIT")
    assert balances(cluster, keys) == [b + 1 for b in before]


def test_an_error_on_one_shard_fails_the_transaction(cluster, client, keys):
    before = balances(cluster, keys)
    client.query("BEGIN")
    client.query(add(keys[0][0]))
    with pytest.raises(ServerError):
        client.query(add(keys[1][0]) + " AND 1 / (id - id) = 1")
    with pytest.raises(ServerError) as aborted:
        client.query(add(keys[0][0]))
    assert aborted.value.sqlstate == "25P02"
    assert told(client, "COMMIT")[0] == ["ROLLBACK"]
    assert balances(cluster, keys) == before


def test_and_chain(cluster, client, keys):
    before = balances(cluster, keys)
    client.query("BEGIN")
    for i in range(2):
        client.query(add(keys[i][0]))
    assert told(client, "COMMIT AND CHAIN")[0] == ["COMMIT"]
    assert client.status == "T"
    for i in range(2):
        client.query(add(keys[i][0], 5))
    client.query("ROLLBACK")
    assert balances(cluster, keys) == [b + 1 for b in before]


def test_settings_of_a_committed_transaction_stay(client, keys):
    client.query("BEGIN")
    client.query("SET statement_timeout = '77s'")
    client.query("SET LOCAL lock_timeout = '66s'")
    for i in range(2):
        client.query(add(keys[i][0], 0))
    client.query("COMMIT")
    for i in range(2):
        assert client.value(f"SELECT current_setting('statement_timeout') || current_setting('lock_timeout') FROM customers WHERE id = {keys[i][0]}") == "77s0"
    client.query("RESET statement_timeout")


def test_repeatable_read_stays_on_one_shard(client, keys):
    client.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
    client.query(add(keys[0][0], 0))
    with pytest.raises(ServerError) as refused:
        client.query(add(keys[1][0], 0))
    assert refused.value.sqlstate == "0A000"
    client.query("ROLLBACK")


@pytest.mark.parametrize("deferred", [0, 1])
def test_a_deferred_constraint_fails_at_commit(cluster, braid, keys, deferred):
    """On the deciding shard (the first written) and on the other one."""
    key, other = keys[deferred][1], keys[1 - deferred][0]
    on = cluster.shards[deferred].primary
    assert on.value("SELECT count(*) FROM orders WHERE customer_id = %s", (key,)) > 0
    for shard in cluster.shards:
        shard.primary.query("ALTER TABLE orders ALTER CONSTRAINT orders_customer_id_fkey DEFERRABLE INITIALLY DEFERRED")
    before = cluster.shards[1 - deferred].primary.value(BALANCE, (other,))
    try:
        for first in (True, False):
            with braid.raw() as client:
                client.query("BEGIN")
                if not first:
                    client.query(add(other))
                client.query(f"DELETE FROM customers WHERE id = {key}")
                if first:
                    client.query(add(other))
                with pytest.raises(ServerError) as failed:
                    client.query("COMMIT")
                assert failed.value.sqlstate == "23503"
                assert client.status == "I"
            assert cluster.shards[1 - deferred].primary.value(BALANCE, (other,)) == before
            assert on.value("SELECT count(*) FROM customers WHERE id = %s", (key,)) == 1
            assert in_doubt(cluster) == []
    finally:
        for shard in cluster.shards:
            shard.primary.query("ALTER TABLE orders ALTER CONSTRAINT orders_customer_id_fkey NOT DEFERRABLE")


# What is lost in between

STEPS = [(0, b"INSERT INTO pgbraid.commit_record"), (1, b"PREPARE TRANSACTION"), (0, b"QCOMMIT"), (1, b"COMMIT PREPARED")]


def words_of(step):
    # COMMIT as a message of its own: type, length, text.
    return b"Q\0\0\0\x0bCOMMIT\0" if step == b"QCOMMIT" else step


@pytest.mark.parametrize("answered", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("shard, step, answer", [(*step, "finished") for step in STEPS] + [(*step, "decided") for step in STEPS[2:]],
                         ids=lambda value: value.decode().replace(" ", "_") if isinstance(value, bytes) else None)
@pytest.mark.parametrize("victim", ["link", "pgbraid"])
def test_nothing_is_torn(cluster, fault_proxy, start_braid, keys, victim, shard, step, answer, answered):
    """The link to one shard is cut, or pgbraid is killed, before a message of the commit reaches the server, or before its
    answer comes back: the transaction is on both shards or on neither, and nothing stays in doubt."""
    proxies = [fault_proxy(s.primary.port) for s in cluster.shards]
    topology = sharded_topology(cluster, commits={"answer": answer})
    for entry, proxy in zip(topology["databases"]["shop"]["shards"], proxies):
        entry["servers"] = [proxy.address]
    topology["monitor"]["catalog_interval"] = "200ms"
    braid = Braid(topology).start()
    before = balances(cluster, keys)
    client = braid.raw()
    client.query("BEGIN")
    for i in range(2):
        client.query(add(keys[i][0]))
    proxies[shard].trap(words_of(step), proxies[shard]._cut if victim == "link" else braid.process.kill, answered, user="app")
    try:
        outcome = told(client, "COMMIT")[0]
    except (ServerError, OSError, EOFError, ConnectionError) as error:
        outcome = error
    if victim == "pgbraid":
        braid.kill()
        start_braid(topology)
    wait_until(lambda: in_doubt(cluster) == [], 30, "nothing is in doubt")
    braid.kill()
    braid.remove()
    after = balances(cluster, keys)
    assert after in (before, [b + 1 for b in before]), outcome
    if outcome == ["COMMIT"]:
        assert after == [b + 1 for b in before]
    if isinstance(outcome, ServerError) and outcome.sqlstate != "08007":
        assert after == before


@pytest.mark.parametrize("name", ["theirs", "pgbraid_theirs"])
def test_prepared_transactions_of_others_are_left_alone(cluster, start_braid, name):
    primary = cluster.shards[0].primary
    topology = sharded_topology(cluster)
    topology["monitor"]["catalog_interval"] = "200ms"
    primary.query(f"BEGIN; SELECT 1; PREPARE TRANSACTION '{name}'")
    try:
        start_braid(topology)
        wait_until(lambda: primary.value("SELECT min(now() - prepared) > interval '5 seconds' FROM pg_prepared_xacts"), 30)
        assert in_doubt(cluster) == [[name]] or in_doubt(cluster) == [(name,)]
    finally:
        primary.query(f"ROLLBACK PREPARED '{name}'")


# The same on every shard


def everywhere(cluster, sql):
    found = [shard.primary.query(sql) for shard in cluster.shards]
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("in_transaction", [False, True])
def test_reference_tables_are_written_everywhere(cluster, client, extended, in_transaction):
    if in_transaction:
        client.query("BEGIN")
    tag, got = told(client, "INSERT INTO countries (code, name) VALUES ('Q1', 'one'), ('Q2', 'two') RETURNING code", extended)
    assert (tag, got) == (["INSERT 0 2"], [["Q1"], ["Q2"]])
    assert told(client, "UPDATE countries SET name = name || '!' WHERE code IN ('Q1', 'Q2') RETURNING name", extended) == (
        ["UPDATE 2"], [["one!"], ["two!"]])
    if in_transaction:
        client.query("COMMIT")
    assert client.status == "I"
    assert everywhere(cluster, "SELECT code, name FROM countries WHERE code LIKE 'Q%%' ORDER BY 1") == [("Q1", "one!"), ("Q2", "two!")]
    with pytest.raises(ServerError) as failed:
        told(client, "INSERT INTO countries (code, name) VALUES ('Q3', 'three'), ('Q1', 'again')", extended)
    assert failed.value.sqlstate == "23505" and client.status == "I"
    assert told(client, "DELETE FROM countries WHERE code LIKE 'Q%'", extended)[0] == ["DELETE 2"]
    assert everywhere(cluster, "SELECT count(*) FROM countries WHERE code LIKE 'Q%%'")[0][0] == 0
    assert in_doubt(cluster) == []


def test_copies_that_differ_are_not_written(cluster, client):
    cluster.shards[1].primary.query("INSERT INTO countries (code, name) VALUES ('Q9', 'stray')")
    try:
        with pytest.raises(ServerError) as failed:
            client.query("UPDATE countries SET name = 'x' WHERE code = 'Q9'")
        assert failed.value.sqlstate == "40001" and client.status == "I"
        assert cluster.shards[1].primary.value("SELECT name FROM countries WHERE code = 'Q9'") == "stray"
    finally:
        cluster.shards[1].primary.query("DELETE FROM countries WHERE code = 'Q9'")


def test_writers_of_a_reference_table_do_not_lock_each_other_out(cluster, braid):
    """Both begin on the same shard, so that the later one waits there instead of each holding what the other wants."""
    import threading
    errors_seen = []

    def work():
        with braid.raw() as client:
            try:
                for _ in range(40):
                    client.query("UPDATE countries SET name = name WHERE code = 'DE'")
            except ServerError as error:
                errors_seen.append(error)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads) and errors_seen == []


@pytest.mark.parametrize("extended", [False, True])
def test_ddl_on_every_shard(cluster, client, extended):
    columns = ("SELECT attname FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attnum > 0 AND NOT attisdropped "
               "ORDER BY attnum")
    before = everywhere(cluster, columns)
    owner = [shard.primary.value("SELECT relowner::regrole::text FROM pg_class WHERE oid = 'customers'::regclass") for shard in cluster.shards]
    for shard in cluster.shards:
        shard.primary.query("ALTER TABLE customers OWNER TO app; GRANT CREATE ON SCHEMA public TO app")
    try:
        assert told(client, "ALTER TABLE customers ADD COLUMN vip boolean", extended)[0] == ["ALTER TABLE"]
        assert everywhere(cluster, columns) == before + [("vip",)]
        client.query("BEGIN")
        assert told(client, "CREATE INDEX customers_vip ON customers (vip)", extended)[0] == ["CREATE INDEX"]
        client.query("ROLLBACK")
        assert everywhere(cluster, "SELECT to_regclass('customers_vip')") == [(None,)]
        # Seen at once, and written to.
        wait_until(lambda: told(client, "UPDATE customers SET vip = true WHERE id < 0", extended)[0] == ["UPDATE 0"], 15)
        with pytest.raises(ServerError) as failed:
            told(client, "ALTER TABLE customers ADD COLUMN vip boolean", extended)
        assert failed.value.sqlstate == "42701" and client.status == "I"
        assert told(client, "ALTER TABLE customers DROP COLUMN vip", extended)[0] == ["ALTER TABLE"]
        assert everywhere(cluster, columns) == before
    finally:
        for shard, name in zip(cluster.shards, owner):
            shard.primary.query(f"ALTER TABLE customers DROP COLUMN IF EXISTS vip; ALTER TABLE customers OWNER TO {name}; "
                                "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON customers TO app")
