"""The time in a transaction over four shards: one and the same for whatever it writes, wherever that goes, as one PostgreSQL has it."""

from pathlib import Path

import pytest

from braid import Braid, Endpoint, sharded_topology
from cluster import Cluster
from sides import ask, compare, load, sharding_with
from statements import Statement
from wire import errors, message, query, tags

KEYS = {"accounts": "id", "entries": "account_id", "archive": "account_id", "events": "id", "tickets": "account_id",
        "owned": "numbered_id", "numbered": "id"}

# The transactions' statements, one in a line. Keys of one, two, three... belong to different shards.
TRANSACTIONS = {
    "defaults": """
        INSERT INTO accounts (id, owner) VALUES (1001, 'a')
        INSERT INTO accounts (id, owner) VALUES (1002, 'b')
        INSERT INTO accounts (id, owner) VALUES (1003, 'c') RETURNING id, opened = now()
        INSERT INTO accounts (id, owner, opened) VALUES (1004, 'd', DEFAULT)
        INSERT INTO accounts (id, owner) VALUES (1005, 'e'), (1006, 'f'), (1007, 'g')
        SELECT count(*), count(DISTINCT opened), bool_and(opened = now()) FROM accounts WHERE id > 1000
    """,
    "in words": """
        UPDATE accounts SET changed = now() WHERE id = 1
        UPDATE accounts SET changed = CURRENT_TIMESTAMP WHERE id = 2 RETURNING id, changed = transaction_timestamp() AS now
        UPDATE accounts SET changed = localtimestamp, opened = now() - INTERVAL '1 hour' WHERE id = 3
        INSERT INTO archive (account_id, id, moved) VALUES (4, 1, now())
        DELETE FROM accounts WHERE id = 5 AND opened < now()
        SELECT count(*), count(DISTINCT changed), bool_and(changed = LOCALTIMESTAMP) FROM accounts WHERE id < 4
        SELECT count(*), bool_and(moved = now()) FROM archive WHERE account_id = 4 AND id = 1
    """,
    "behind a read": """
        SELECT owner FROM accounts WHERE id = 7
        INSERT INTO accounts (id, owner) VALUES (1001, 'a')
        INSERT INTO accounts (id, owner) VALUES (1002, 'b')
        INSERT INTO accounts (id, owner) SELECT id + 1000, owner FROM accounts WHERE id IN (3, 4, 5)
        SELECT count(*), count(DISTINCT opened), bool_and(opened = now()) FROM accounts WHERE id > 1000
        INSERT INTO entries (account_id, id, amount) SELECT 7, 5000 + i, i FROM generate_series(1, 5) i ORDER BY i
        INSERT INTO entries (account_id, id, amount) SELECT account_id, id + 1000, amount FROM entries WHERE account_id = 8 AND amount IS NOT NULL RETURNING at = now()
        SELECT id, at = now(), now() - now() FROM entries WHERE account_id = 7 AND id > 5000 AND at = now() ORDER BY id
    """,
    "beside FROM and WITH": """
        SELECT count(*) FROM accounts WHERE id = 7
        SELECT d = current_date FROM CURRENT_DATE AS d, accounts WHERE id = 2
        SELECT pg_typeof(n), n = now() FROM accounts LEFT JOIN now() AS n ON true WHERE id = 3
        SELECT count(*) FROM CURRENT_DATE, accounts WHERE id = 4
        WITH w AS (INSERT INTO archive (account_id, id) VALUES (2, 77) RETURNING moved) SELECT moved = now() FROM w
    """,
    "beside tables that are not sharded": """
        INSERT INTO rates (code, rate, token) VALUES ('n1', 1, NULL)
        INSERT INTO signs (word) VALUES ('a')
        INSERT INTO accounts (id, owner) VALUES (1001, 'a')
        INSERT INTO accounts (id, owner) VALUES (1002, 'b')
        SELECT count(*), bool_and(opened = now()) FROM accounts WHERE id > 1000
        SELECT count(*), bool_and(changed = now()) FROM rates WHERE code = 'n1'
        SELECT count(*) FROM (SELECT opened FROM accounts WHERE id > 1000 UNION SELECT changed FROM rates WHERE code = 'n1' UNION SELECT made FROM signs WHERE word = 'a') t
    """,
    "savepoints": """
        SAVEPOINT a
        INSERT INTO accounts (id, owner) VALUES (1001, 'a')
        SAVEPOINT b
        INSERT INTO accounts (id, owner) VALUES (1002, 'b')
        INSERT INTO accounts (id, owner) VALUES (1, 'taken')
        ROLLBACK TO b
        INSERT INTO accounts (id, owner) VALUES (1002, 'b')
        INSERT INTO accounts (id, owner) VALUES (1003, 'c')
        SELECT count(*), count(DISTINCT opened) FROM accounts WHERE id > 1000
        ROLLBACK TO a
        INSERT INTO accounts (id, owner) VALUES (1004, 'd')
        INSERT INTO accounts (id, owner) VALUES (1005, 'e')
        SELECT count(*), count(DISTINCT opened) FROM accounts WHERE id > 1000
    """,
}


@pytest.fixture(scope="module")
def two_sides():
    whole, parts = Cluster(shards=1, replicas=0), Cluster(shards=4, replicas=0)
    try:
        whole.start(), parts.start()
        load(whole, parts, Path(__file__).with_name("writes.sql").read_text(), KEYS)
        home = parts.shards[2]
        for shard in parts.shards:
            if shard is not home:
                shard.primary.query("DROP TABLE picks, signs", dbname="shop")
        sharding = sharding_with(sharded_topology(parts), KEYS, ["rates"])
        sharding["unsharded"] = sharding.get("unsharded", {}) | {"picks": home.name, "signs": home.name}
        with Braid(sharded_topology(parts, sharding=sharding)) as braid:
            braid.cluster_shards = parts.shards
            yield Endpoint(whole.shards[0].primary.port), braid
    finally:
        whole.stop(), parts.stop()


@pytest.mark.parametrize("protocol", ["simple", "extended"])
@pytest.mark.parametrize("transaction", TRANSACTIONS)
def test_one_time_in_a_transaction(two_sides, transaction, protocol):
    one, many = (side.raw() for side in two_sides)
    try:
        for client in (one, many):
            client.query("BEGIN")
        for line in filter(None, map(str.strip, TRANSACTIONS[transaction].splitlines())):
            statement = Statement(line)
            statement.extended = protocol == "extended"
            expected, got = ask(one, statement), ask(many, statement)
            assert compare(statement, expected, got) is True, (line, expected, got)
    finally:
        for client in (one, many):
            client.query("ROLLBACK")
            client.close()


@pytest.mark.parametrize("options, row, code", [
    ("", b"n1\t1\tnow\t\\N\n", "0A000"), ("(FORMAT csv)", b'n1,1,"Today 12:00",\n', "0A000"), ("(FORMAT csv)", b"n1,1, tomorrow ,\r\n", "0A000"),
    ("", b"n1\t1\t2024-02-03\t\\N\n", None), ("", b"nowhere\t1\t2024-02-03\t\\N\n", None)])
def test_words_of_time_in_the_data_of_a_table_that_all_shards_have(two_sides, options, row, code):
    """Each shard would have read another moment out of them."""
    client = two_sides[1].raw()
    client.query("BEGIN")
    client.send(query(f"COPY rates FROM STDIN {options}"))
    client.receive_until("G")
    client.send(message("d", row[:4]), message("d", row[4:]), message("c"))
    answer = client.until_ready()
    assert [e["C"] for e in errors(answer)] == ([code] if code else [])
    assert client.status == ("E" if code else "T")
    client.query("ROLLBACK")
    client.close()


@pytest.mark.parametrize("options, row", [("", "{0}\t{1}\n"), ("(FORMAT csv)", "{0},{1}\n"), ("(FORMAT csv, DELIMITER ' ', NULL '0')", "{0} {1}\n")])
def test_rows_of_copy_have_one_time(two_sides, options, row):
    """By default, wherever they go: the time of the transaction."""
    answers = []
    for side in two_sides:
        client = side.raw()
        client.query("BEGIN")
        client.send(query(f"COPY archive (account_id, id) FROM STDIN {options}"))
        client.receive_until("G")
        client.send(message("d", "".join(row.format(k, 9000 + k) for k in range(1, 41)).encode()), message("c"))
        got = client.until_ready()
        answers.append((tags(got), errors(got), client.query("SELECT count(*), count(DISTINCT moved), bool_and(moved = now()) FROM archive WHERE id > 9000")))
        client.query("ROLLBACK")
        client.close()
    assert answers[0] == answers[1] and answers[0][0] == ["COPY 40"]


@pytest.mark.parametrize("style", ["ISO", "SQL, DMY", "German", "Postgres, MDY"])
def test_copies_of_a_table_have_the_same_defaults(two_sides, style):
    """The time and random values: each copy would have its own. They are read as what they were, whatever the settings."""
    one, braid = two_sides
    client = braid.raw()
    client.query(f"SET DateStyle = '{style}'")
    client.query("SET TimeZone = 'Asia/Kolkata'")
    client.send(query("COPY rates (code, rate) FROM STDIN"))
    client.receive_until("G")
    client.send(message("d", b"copied 1\t1\ncopied 2\t2\n"), message("c"))
    assert tags(client.until_ready()) == ["COPY 2"]
    copies = [shard.primary.query("SELECT code, changed, token FROM rates WHERE code LIKE 'copied%%' ORDER BY 1", dbname="shop") for shard in braid.cluster_shards]
    assert all(copy == copies[0] for copy in copies) and len({token for _, _, token in copies[0]}) == 2
    assert client.query("SELECT max(changed) BETWEEN now() - interval '1 minute' AND now() FROM rates WHERE code LIKE 'copied%'") == [["t"]]
    client.query("DELETE FROM rates WHERE code LIKE 'copied%'")
    client.close()
