"""A column that is unique over all shards, through several instances: who gets a value, who waits for it, and who is told that it
is there already."""

import io
import random
import threading

import psycopg2
import pytest
from psycopg2 import errorcodes

from braid import Braid, sharded_topology
from waiting import wait_until
from wire import ServerError, bind, errors, execute, parse, sync

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%members%'"


def topology(cluster, **changes):
    sharding = sharded_topology(cluster)["databases"]["shop"]["sharding"]
    sharding["tables"]["members"] = {"key": "id", "unique": ["email"]}
    return sharded_topology(cluster, sharding=sharding, **changes)


@pytest.fixture(scope="module")
def members(cluster):
    for shard in cluster.shards:
        shard.primary.query("CREATE TABLE members (id bigint PRIMARY KEY, email text UNIQUE, n int DEFAULT 0); GRANT ALL ON members TO app")
    yield
    for shard in cluster.shards:
        shard.primary.query("DROP TABLE members")


@pytest.fixture(scope="module")
def instances(cluster, members):
    with Braid(topology(cluster)) as first, Braid(topology(cluster)) as second:
        yield first, second


@pytest.fixture
def two(instances):
    """A client of each instance, over an empty table."""
    first, second = (instance.raw() for instance in instances)
    first.query("DELETE FROM members")
    yield first, second
    first.close(), second.close()


def insert(key, email="'x'"):
    return f"INSERT INTO members (id, email) VALUES ({key}, {email})"


class Later(threading.Thread):
    """Runs a statement on a thread of its own; its SQLSTATE, or None."""

    def __init__(self, client, sql):
        super().__init__(daemon=True)
        self.client, self.sql, self.outcome = client, sql, None
        self.start()

    def run(self):
        try:
            self.client.query(self.sql)
        except ServerError as error:
            self.outcome = error.sqlstate

    def waits(self, cluster):
        wait_until(lambda: sum(shard.primary.value(WAITING) for shard in cluster.shards) > 0, what="it waits for a lock")
        assert self.is_alive()
        return self

    def done(self):
        self.join(30)
        assert not self.is_alive(), "it waits for ever"
        return self.outcome


@pytest.mark.parametrize("end, outcome", [("COMMIT", "23505"), ("ROLLBACK", None)])
def test_two_want_one_value(cluster, two, keys, end, outcome):
    """The second waits for the first, whichever shards their rows belong to and whichever instances they are connected to."""
    one, other = two
    one.query("BEGIN")
    one.query(insert(keys[0][0]))
    later = Later(other, insert(keys[1][0])).waits(cluster)
    one.query(end)
    assert later.done() == outcome
    assert one.value("SELECT count(*) FROM members WHERE email = 'x'") == "1"


@pytest.mark.parametrize("change", ["DELETE FROM members WHERE id = {}", "UPDATE members SET email = 'y' WHERE id = {}"])
@pytest.mark.parametrize("end, outcome", [("COMMIT", None), ("ROLLBACK", "23505")])
def test_a_value_that_is_being_given_up(cluster, two, keys, change, end, outcome):
    one, other = two
    one.query(insert(keys[0][0]))
    one.query("BEGIN")
    one.query(change.format(keys[0][0]))
    later = Later(other, insert(keys[1][0])).waits(cluster)
    one.query(end)
    assert later.done() == outcome


def test_what_the_client_is_told(two, instances, keys):
    one, _ = two
    one.query(insert(keys[0][0]))
    with instances[1].connect() as connection, connection.cursor() as cursor:
        with pytest.raises(psycopg2.errors.UniqueViolation) as told:
            cursor.execute(insert(keys[1][0]))
        diag = told.value.diag
        assert diag.message_primary == 'duplicate key value violates unique constraint "members_email_key"'
        assert diag.message_detail == "Key (email)=(x) already exists."
        assert (diag.schema_name, diag.table_name, diag.constraint_name) == ("public", "members", "members_email_key")
    connection.close()


def test_within_a_savepoint(two, keys):
    """As get_or_create() of many a framework does."""
    one, other = two
    other.query(insert(keys[0][0]))
    one.query("BEGIN")
    one.query("SAVEPOINT s")
    with pytest.raises(ServerError) as told:
        one.query(insert(keys[1][0]))
    assert told.value.sqlstate == errorcodes.UNIQUE_VIOLATION
    assert one.status == "E"
    one.query("ROLLBACK TO s")
    assert one.value("SELECT id FROM members WHERE email = 'x'") == str(keys[0][0])
    one.query(insert(keys[1][1], "'y'"))
    one.query("COMMIT")
    assert one.value("SELECT count(*) FROM members") == "2"


def test_a_savepoint_gives_the_value_back(two, keys):
    one, other = two
    one.query("BEGIN")
    one.query("SAVEPOINT s")
    one.query(insert(keys[0][0]))
    one.query("ROLLBACK TO s")
    other.query(insert(keys[1][0]))
    one.query("COMMIT")


@pytest.mark.parametrize("extended", [False, True])
def test_an_update_that_changes_nothing(two, keys, extended):
    one, other = two
    one.query(insert(keys[0][0]))
    say = other.extended if extended else other.query
    say(f"UPDATE members SET email = 'x' WHERE id = {keys[1][0]}")
    say(insert(keys[1][0], "'y'"))
    with pytest.raises(ServerError) as told:
        say(f"UPDATE members SET email = 'x' WHERE id = {keys[1][0]} RETURNING id")
    assert told.value.sqlstate == "23505"
    assert other.value(f"SELECT email FROM members WHERE id = {keys[1][0]}") == "y"


def test_in_a_pipeline(two, keys):
    """Behind each other in one batch: nothing of it stays."""
    one, _ = two
    sql = "INSERT INTO members (id, email) VALUES ($1, $2)"
    one.send(parse(sql, types=[20, 25]), bind([keys[0][0], "a"]), execute(), bind([keys[1][0], "b"]), execute(), bind([keys[1][1], "a"]), execute(), sync())
    assert [error["C"] for error in errors(one.until_ready())] == ["23505"]
    assert one.value("SELECT count(*) FROM members") == "0"
    one.send(parse(sql, types=[20, 25]), bind([keys[0][0], "a"]), execute(), bind([keys[1][0], "b"]), execute(), sync())
    assert errors(one.until_ready()) == []
    assert one.value("SELECT count(*) FROM members") == "2"


@pytest.mark.parametrize("extended", [False, True])
def test_what_is_refused_outside_of_a_transaction(two, keys, extended):
    """Nothing of it is left to the statement behind it."""
    one, _ = two
    say = one.extended if extended else one.query
    refused = {f"INSERT INTO members (id, email) VALUES ({keys[0][0]}, 'q'), ({keys[1][0]}, 'q')": "23505",
               f"INSERT INTO members (id, email) VALUES ({keys[0][0]}, 'q'), ({keys[1][0]}, 'q') ON CONFLICT DO NOTHING": "0A000",
               f"UPDATE members SET email = 'q' WHERE id IN ({keys[0][0]}, {keys[1][0]})": "0A000"}
    behind = ["BEGIN; SELECT 1; COMMIT", "SELECT count(*) FROM members", "DELETE FROM members", insert(keys[0][0]),
              f"INSERT INTO members (id, email) VALUES ({keys[0][0]}, 'a'), ({keys[1][0]}, 'b')"]
    for sql, sqlstate in refused.items():
        for then in behind:
            with pytest.raises(ServerError) as told:
                say(sql)
            assert (told.value.sqlstate, one.status) == (sqlstate, "I")
            for statement in then.split("; "):
                one.query(statement)
            assert one.status == "I"
            one.query("DELETE FROM members")


def test_a_row_limit(two, keys):
    """Whether a portal that is fetched in parts has changed a row is told too late."""
    one, _ = two
    one.query(insert(keys[0][0]) + "; " + insert(keys[1][0], "'y'"))
    one.query("BEGIN")
    one.send(parse(f"UPDATE members SET email = 'x' WHERE id = {keys[1][0]} RETURNING id"), bind(), execute(limit=1), sync())
    assert [error["C"] for error in errors(one.until_ready())] == ["0A000"]
    one.query("ROLLBACK")
    assert one.value(f"SELECT email FROM members WHERE id = {keys[1][0]}") == "y"


def test_a_transaction_that_a_batch_has_begun(two, keys):
    one, _ = two
    one.send(parse(f"SELECT 1 FROM members WHERE id = {keys[0][0]}"), bind(), execute(), parse("BEGIN"), bind(), execute(), sync())
    assert errors(one.until_ready()) == []
    with pytest.raises(ServerError) as told:
        one.query(insert(keys[0][0]))
    assert told.value.sqlstate == "0A000"
    one.query("ROLLBACK")


def test_a_hint(cluster, two, keys):
    """It names a shard, and spares nobody the look at the others."""
    one, _ = two
    one.query(insert(keys[0][0]) + "; " + insert(keys[1][0], "'y'"))
    for sql in ("UPDATE members SET email = lower('X')", f"UPDATE members SET email = 'x' WHERE id = {keys[1][0]}",
                f"EXPLAIN ANALYZE UPDATE members SET email = lower('X') WHERE id = {keys[1][0]}"):
        with pytest.raises(ServerError) as told:
            one.query(f"/* pgbraid: shard={cluster.shards[1].name} */ {sql}")
        assert told.value.sqlstate == "0A000"
    assert no_value_twice(cluster) == 2


def test_one_snapshot(two, keys):
    one, _ = two
    one.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
    with pytest.raises(ServerError) as told:
        one.query(insert(keys[0][0]))
    assert told.value.sqlstate == "0A000"
    one.query("ROLLBACK")


def test_only_the_shard_of_the_row_commits_a_write(cluster, two, keys):
    """Claims prepare nothing: a transaction with rows of one shard is committed there."""
    one, _ = two
    records = [shard.primary.value("SELECT count(*) FROM pgbraid.commit_record") for shard in cluster.shards]
    one.query(insert(keys[0][0]))
    assert [shard.primary.value("SELECT count(*) FROM pgbraid.commit_record") for shard in cluster.shards] == records


class TestCopy:
    def rows(self, *rows):
        return "".join(f"{key}\t{email}\n" for key, email in rows)

    def copy(self, instance, data, sql="COPY members (id, email) FROM STDIN"):
        return instance.psql(sql, stdin=data, check=False)

    def test_rows_of_their_own(self, instances, two, keys):
        done = self.copy(instances[0], self.rows((keys[0][0], "a"), (keys[1][0], "b"), (keys[1][1], "\\N")))
        assert (done.returncode, done.stderr) == (0, "")
        assert two[0].query("SELECT count(*), count(email) FROM members") == [["3", "2"]]

    def test_a_value_that_is_there(self, instances, two, keys):
        two[0].query(insert(keys[0][0], "'a'"))
        done = self.copy(instances[0], self.rows((keys[1][0], "b"), (keys[1][1], "a")))
        assert "23505" in done.stderr or "duplicate key value" in done.stderr
        assert two[0].value("SELECT count(*) FROM members") == "1"

    def test_the_same_value_twice(self, instances, two, keys):
        done = self.copy(instances[0], self.rows((keys[0][0], "a"), (keys[1][1], "a")))
        assert "Key (email)=(a) already exists." in done.stderr
        assert two[0].value("SELECT count(*) FROM members") == "0"

    def test_many_rows(self, instances, two):
        many = self.rows(*((key, f"e{key}") for key in range(1, 3001)))
        assert self.copy(instances[0], many).returncode == 0
        more = self.rows(*((key, f"e{key - 1}") for key in range(3001, 3003)))
        assert "Key (email)=(e3000) already exists." in self.copy(instances[1], more).stderr
        assert two[1].value("SELECT count(*) FROM members") == "3000"

    def test_within_a_transaction(self, instances, two, keys, cluster):
        one, other = two
        with instances[0].connect() as connection, connection.cursor() as cursor:
            cursor.execute("SAVEPOINT s")
            cursor.copy_from(io.StringIO(self.rows((keys[0][0], "a"))), "members", columns=("id", "email"))
            later = Later(other, insert(keys[1][0], "'a'")).waits(cluster)
            cursor.execute("ROLLBACK TO s")
            assert later.done() is None
            with pytest.raises(psycopg2.errors.UniqueViolation):
                cursor.copy_from(io.StringIO(self.rows((keys[0][0], "a"))), "members", columns=("id", "email"))
        connection.close()

    def test_csv(self, instances, two, keys):
        done = self.copy(instances[0], f'{keys[0][0]},"a b"\n{keys[1][0]},"a b"\n', "COPY members (id, email) FROM STDIN (FORMAT csv)")
        assert "Key (email)=(a b) already exists." in done.stderr

    def test_in_another_encoding(self, cluster, two, keys, instances):
        """The values are looked for in the client's encoding, which is not that of the data."""
        two[0].query(insert(keys[0][0], "'é'"))
        with instances[0].connect(autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute("SET client_encoding TO latin1")
            with pytest.raises(psycopg2.Error) as told:
                cursor.copy_expert("COPY members (id, email) FROM STDIN (ENCODING 'UTF8')", io.BytesIO(f"{keys[1][0]}\té\n".encode()))
            assert told.value.pgcode in ("0A000", "23505")  # a server is shown the row that cannot be read
        connection.close()
        assert no_value_twice(cluster) == 1

    @pytest.mark.parametrize("lost", [0, 1])
    def test_a_server_connection_that_is_lost(self, cluster, instances, two, keys, lost):
        """One shard waits for the value, another one's connection breaks."""
        one, other = two
        one.query("BEGIN")
        one.query(insert(keys[0][0], "'a'"))
        done = []
        copying = threading.Thread(target=lambda: done.append(self.copy(instances[1], self.rows((keys[1][0], "a"), (keys[0][1], "b")))), daemon=True)
        copying.start()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%claim_values%' AND wait_event_type = 'Lock'"
        wait_until(lambda: sum(shard.primary.value(waiting) for shard in cluster.shards) > 0, what="the COPY waits")
        # Not the connection of the one who has claimed the value, which is idle.
        killed = cluster.shards[lost].primary.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app' AND "
                                                    "(state = 'active' AND query LIKE '%claim_values%' OR query LIKE 'COPY members%')")
        assert len(killed) == 1
        one.query("ROLLBACK")
        copying.join(30)
        assert done and done[0].returncode != 0, "it waits for ever, or has succeeded"
        assert one.value("SELECT count(*) FROM members") == "0"


def no_value_twice(cluster):
    seen = [row[0] for shard in cluster.shards for row in shard.primary.query("SELECT email FROM members WHERE email IS NOT NULL")]
    assert len(seen) == len(set(seen))
    return len(seen)


def test_many_who_want_few_values(cluster, instances, two, start_braid):
    """Over two instances, one of which is killed again and again, with transactions that are rolled back, and deletions."""
    stop, wrong, kept = threading.Event(), [], []
    victim = start_braid(topology(cluster))

    def work(seed):
        r = random.Random(seed)
        while not stop.is_set():
            instance = victim if r.random() < 0.5 else instances[0]
            try:
                connection = instance.connect(autocommit=False)
            except psycopg2.OperationalError:
                continue
            try:
                with connection.cursor() as cursor:
                    for _ in range(r.randint(1, 4)):
                        key, email = r.randint(1, 400), f"v{r.randint(1, 25)}"
                        kind = r.random()
                        if kind < 0.5:
                            cursor.execute("INSERT INTO members (id, email) VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET email = excluded.email", (key, email))
                        elif kind < 0.7:
                            cursor.execute("UPDATE members SET email = %s WHERE id = %s", (email, key))
                        else:
                            cursor.execute("DELETE FROM members WHERE email = %s", (email,))
                connection.commit() if r.random() < 0.8 else connection.rollback()
                kept.append(1)
            except psycopg2.OperationalError:
                pass  # its instance was killed, or it was a deadlock
            except psycopg2.Error as error:
                if error.pgcode not in ("23505", "0A000", "40P01"):
                    wrong.append(str(error))
            finally:
                connection.close()

    workers = [threading.Thread(target=work, args=(seed,), daemon=True) for seed in range(6)]
    for worker in workers:
        worker.start()
    for _ in range(3):
        before = len(kept)
        wait_until(lambda: len(kept) > before + 60, 60, "transactions are carried out")
        victim.kill()
        victim.start()
    stop.set()
    for worker in workers:
        worker.join(30)
    assert not wrong, wrong[:3]
    wait_until(lambda: sum(shard.primary.value("SELECT count(*) FROM pg_prepared_xacts") for shard in cluster.shards) == 0, 30)
    assert no_value_twice(cluster) > 0
