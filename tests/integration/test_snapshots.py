"""reads.snapshot: consistent. A commit over several shards is seen whole or not at all, whoever is killed in between."""

import contextlib
import os
import random
import threading
import time

import psycopg2
import pytest

from braid import Braid, sharded_topology
from waiting import wait_until
from wire import ServerError, bind, errors, execute, parse, query, rows, sync

OPENING = 1000
PAIRS = 8


def consistent(cluster, **changes):
    topology = sharded_topology(cluster, **changes)
    topology["databases"]["shop"]["reads"]["snapshot"] = "consistent"
    topology["monitor"]["catalog_interval"] = "200ms"
    return topology


@pytest.fixture(scope="module")
def whole(cluster):
    """pgbraid that shows commits over shards whole."""
    with Braid(consistent(cluster)) as process:
        yield process


@pytest.fixture
def accounts(cluster):
    """Keys of accounts, accounts[shard][i], each with the same balance."""
    keys = [cluster.keys_of(i, 2 + PAIRS)[2:] for i in range(2)]
    saved = [[cluster.shards[i].primary.value("SELECT balance FROM customers WHERE id = %s", (key,)) for key in keys[i]]
             for i in range(2)]

    def put(balances):
        for i in range(2):
            for key, balance in zip(keys[i], balances[i]):
                cluster.shards[i].primary.query("UPDATE customers SET balance = %s WHERE id = %s", (balance, key))
    put([[OPENING] * PAIRS] * 2)
    yield keys
    put(saved)


def listed(accounts):
    return ", ".join(str(key) for shard in accounts for key in shard)


@contextlib.contextmanager
def half_committed(cluster, accounts):
    """A transfer from the second shard to the first one that is committed on the first and only prepared on the second, as
    in the moment in between. Gives what ends it."""
    first, second = (shard.primary for shard in cluster.shards)
    with contextlib.closing(second.connect()) as writer:
        cursor = writer.cursor()
        for sql in ("BEGIN", f"UPDATE customers SET balance = balance - 1 WHERE id = {accounts[1][0]}",
                    "LOCK TABLE pgbraid.commit_gate IN ROW EXCLUSIVE MODE", "PREPARE TRANSACTION 'half'"):
            cursor.execute(sql)
        first.query("UPDATE customers SET balance = balance + 1 WHERE id = %s", (accounts[0][0],))
        ended = []

        def end():
            if not ended:
                ended.append(True)
                cursor.execute("COMMIT PREPARED 'half'")
        try:
            yield end
        finally:
            end()


def asks_for_gate(server):
    return server.value("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'pgbraid.commit_gate'::regclass") > 0


def in_thread(work):
    """Runs it beside the test; result() gives what it gave."""
    found = []

    def run():
        try:
            found.append((work(), None))
        except Exception as error:  # told where it is asked for
            found.append((None, error))
    thread = threading.Thread(target=run)
    thread.start()

    def result():
        thread.join(60)
        assert found, "it has not ended"
        value, error = found[0]
        if error:
            raise error
        return value
    return result


def numbers(client, *messages):
    client.send(*messages)
    got = client.until_ready()
    if errors(got):
        raise ServerError(errors(got)[0])
    return [int(float(row[0])) for row in rows(got)]


READS = {
    "sum": "SELECT sum(balance) FROM customers WHERE id IN ({})",
    "rows": "SELECT balance FROM customers WHERE id IN ({})",
    "sorted": "SELECT balance FROM customers WHERE id IN ({}) ORDER BY id",
    "gathered": "SELECT c.balance FROM customers c JOIN customers d ON d.balance = c.balance AND d.id = c.id + 0 WHERE c.id IN ({})",
}


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
@pytest.mark.parametrize("block", [None, "BEGIN", "BEGIN READ ONLY", "BEGIN ISOLATION LEVEL REPEATABLE READ"])
@pytest.mark.parametrize("kind", READS)
def test_no_read_sees_half_of_a_commit(cluster, whole, accounts, kind, block, extended):
    sql = READS[kind].format(listed(accounts))
    with contextlib.closing(whole.raw()) as client, half_committed(cluster, accounts) as end:
        if block:
            client.query(block)
        messages = (parse(sql), bind(), execute(), sync()) if extended else (query(sql),)
        result = in_thread(lambda: numbers(client, *messages))
        wait_until(lambda: asks_for_gate(cluster.shards[1].primary), 20, "the read waits for the commit")
        end()
        assert sum(result()) == 2 * PAIRS * OPENING
        if block:
            assert client.status == "T"
            assert sum(numbers(client, *messages)) == 2 * PAIRS * OPENING
            client.query("COMMIT")
        assert client.status == "I"


def test_a_portal_that_is_fetched_in_parts(cluster, whole, accounts):
    sql = READS["rows"].format(listed(accounts))
    with contextlib.closing(whole.connect()) as connection, half_committed(cluster, accounts) as end:
        cursor = connection.cursor(name="parts")
        cursor.itersize = 3
        result = in_thread(lambda: cursor.execute(sql) or [row[0] for row in cursor])
        wait_until(lambda: asks_for_gate(cluster.shards[1].primary), 20, "the read waits for the commit")
        end()
        assert sum(result()) == 2 * PAIRS * OPENING


def test_repeatable_read_is_one_state_of_all_shards(cluster, whole, accounts):
    with contextlib.closing(whole.connect()) as connection:
        connection.set_session(isolation_level="REPEATABLE READ")
        cursor = connection.cursor()
        cursor.execute("SELECT balance FROM customers WHERE id = %s", (accounts[0][0],))
        assert cursor.fetchone()[0] == OPENING
        for i, change in ((0, 5), (1, -5)):
            cluster.shards[i].primary.query("UPDATE customers SET balance = balance + %s WHERE id = %s", (change, accounts[i][0]))
        # The other shard's was taken with the first statement, though that was not asked for anything.
        cursor.execute("SELECT balance FROM customers WHERE id = %s", (accounts[1][0],))
        assert cursor.fetchone()[0] == OPENING
        cursor.execute(READS["sum"].format(listed(accounts)))
        assert cursor.fetchone()[0] == 2 * PAIRS * OPENING
        # A row that has been changed since may not be changed any more, as on one server.
        with pytest.raises(psycopg2.errors.SerializationFailure):
            cursor.execute("UPDATE customers SET balance = 0 WHERE id = %s", (accounts[1][0],))
        connection.rollback()
        for i in range(2):
            cursor.execute("UPDATE customers SET balance = %s WHERE id = %s", (OPENING, accounts[i][0]))
        connection.commit()


def test_what_is_locked_first_is_seen_as_it_was_left(cluster, whole, accounts):
    """LOCK takes no snapshot: REPEATABLE READ sees what it has waited for."""
    with contextlib.closing(whole.raw()) as client:
        client.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
        try:
            client.query("LOCK TABLE countries IN SHARE MODE")
        except ServerError as error:
            assert error.sqlstate == "0A000"
            return
        cluster.shards[0].primary.query("UPDATE customers SET balance = balance + 1 WHERE id = %s", (accounts[0][0],))
        assert numbers(client, query(READS["sum"].format(listed(accounts)))) == [2 * PAIRS * OPENING + 1]


def test_a_commit_that_does_not_end(cluster, whole, accounts):
    """Who waits for it too long is told; a transaction that fails so goes on from its savepoint."""
    with contextlib.closing(whole.raw()) as client, half_committed(cluster, accounts):
        with pytest.raises(ServerError) as failed:
            numbers(client, query(READS["sum"].format(listed(accounts))))
        assert failed.value.sqlstate == "55P03" and client.status == "I"
        # One shard is read as ever.
        assert numbers(client, query(f"SELECT balance FROM customers WHERE id = {accounts[0][0]}")) == [OPENING + 1]
        client.query("BEGIN")
        client.query("SAVEPOINT mine")
        with pytest.raises(ServerError) as failed:
            numbers(client, query(READS["rows"].format(listed(accounts))))
        assert failed.value.sqlstate == "55P03" and client.status == "E"
        client.query("ROLLBACK TO mine")
        assert numbers(client, query(f"SELECT balance FROM customers WHERE id = {accounts[1][0]}")) == [OPENING]
        client.query("COMMIT")


def test_a_client_that_cancels_while_it_waits(cluster, whole, accounts):
    with contextlib.closing(whole.connect(autocommit=True)) as connection, half_committed(cluster, accounts):
        cursor = connection.cursor()
        result = in_thread(lambda: cursor.execute(READS["sum"].format(listed(accounts))))
        wait_until(lambda: asks_for_gate(cluster.shards[1].primary), 20, "the read waits for the commit")
        connection.cancel()
        with pytest.raises(psycopg2.errors.QueryCanceled):
            result()


def test_nothing_stays_locked(cluster, whole, accounts):
    """Neither while a transaction goes on nor behind a failed statement."""
    held = "SELECT count(*) FROM pg_locks WHERE relation = 'pgbraid.commit_gate'::regclass"
    with contextlib.closing(whole.raw()) as client:
        client.query("BEGIN")
        client.query(f"UPDATE customers SET balance = balance WHERE id = {accounts[0][0]}")
        client.query("SET LOCAL lock_timeout = '7s'")
        numbers(client, query(READS["rows"].format(listed(accounts))))
        client.query("SELECT 1")
        assert client.value("SHOW lock_timeout") == "7s"
        for shard in cluster.shards:
            wait_until(lambda shard=shard: shard.primary.value(held) == 0, 20, "the gate is let go")
        # What was written before is still there.
        client.query("SAVEPOINT mine")
        with pytest.raises(ServerError) as failed:
            numbers(client, query(f"SELECT 1 / (balance - balance)::int FROM customers WHERE id IN ({listed(accounts)})"))
        assert failed.value.sqlstate == "22012"
        for shard in cluster.shards:
            wait_until(lambda shard=shard: shard.primary.value(held) == 0, 20, "the gate is let go")
        client.query("ROLLBACK TO mine")
        client.query(f"UPDATE customers SET balance = balance + 1 WHERE id = {accounts[0][1]}")
        numbers(client, parse(READS["sum"].format(listed(accounts))), bind(), execute(), sync())
        client.query("COMMIT")
    assert cluster.shards[0].primary.value("SELECT balance FROM customers WHERE id = %s", (accounts[0][1],)) == OPENING + 1


def test_nothing_stays_locked_between_the_statements_of_a_text(cluster, whole, accounts):
    locks = "SELECT count(*) FROM pg_locks WHERE relation = 'pgbraid.commit_gate'::regclass AND mode = 'ShareLock' AND granted"
    with whole.raw() as client:
        client.query(f"BEGIN; SELECT id FROM customers WHERE id IN ({listed(accounts)}); SELECT 1")
        assert client.status == "T"
        for shard in cluster.shards:
            wait_until(lambda shard=shard: shard.primary.value(locks) == 0, 20, "the gate is let go")
        with whole.raw() as other:
            other.query(f"UPDATE customers SET balance = balance WHERE id IN ({listed(accounts)}); SELECT sum(balance) FROM customers")
        client.query("COMMIT; SELECT sum(balance) FROM customers; SELECT sum(balance) FROM customers")


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_a_table_that_is_being_rewritten(cluster, whole, accounts, extended):
    """Who waits for ALTER TABLE sees the rows that it leaves, not the nothing that an older snapshot would find."""
    sql = READS["rows"].format(listed(accounts))
    with contextlib.closing(whole.raw()) as client, contextlib.closing(cluster.shards[0].primary.connect(autocommit=False)) as changing:
        cursor = changing.cursor()
        cursor.execute("ALTER TABLE customers ALTER COLUMN balance TYPE numeric(12, 2) USING balance + 0")
        result = in_thread(lambda: numbers(client, *((parse(sql), bind(), execute(), sync()) if extended else (query(sql),))))
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'customers'::regclass"
        wait_until(lambda: cluster.shards[0].primary.value(waits) > 0, 20, "the read waits for the table")
        changing.commit()
        assert sum(result()) == 2 * PAIRS * OPENING


def test_who_may_read_some_columns_only(cluster, start_braid, accounts):
    for shard in cluster.shards:
        shard.primary.query("CREATE ROLE narrow LOGIN PASSWORD 'narrow'; GRANT SELECT (id, balance) ON customers TO narrow")
    topology = consistent(cluster)
    topology["users"]["narrow"] = {"password": "narrow"}
    try:
        with contextlib.closing(start_braid(topology).raw(user="narrow", password="narrow")) as client:
            assert sum(numbers(client, query(READS["rows"].format(listed(accounts))))) == 2 * PAIRS * OPENING
    finally:
        for shard in cluster.shards:
            shard.primary.query("DROP OWNED BY narrow; DROP ROLE narrow")


def test_a_pipeline_with_writes_between_reads(cluster, whole, accounts):
    """What is written behind a read of several shards in one batch stays, whichever lock is let go."""
    total = READS["rows"].format(listed(accounts))
    add = f"UPDATE customers SET balance = balance + 1 WHERE id = {accounts[1][1]}"
    for block in (None, "BEGIN"):
        with contextlib.closing(whole.raw()) as client:
            before = cluster.shards[1].primary.value("SELECT balance FROM customers WHERE id = %s", (accounts[1][1],))
            if block:
                client.query(block)
            got = numbers(client, parse(total), bind(), execute(), parse(add), bind(), execute(), parse(total), bind(), execute(), sync())
            assert sum(got[2 * PAIRS:]) == sum(got[:2 * PAIRS]) + 1
            if block:
                client.query("COMMIT")
            after = cluster.shards[1].primary.value("SELECT balance FROM customers WHERE id = %s", (accounts[1][1],))
            assert after == before + 1


class Bank:
    """Transfers between shards and sums over them, by any number of clients through any of several addresses."""

    def __init__(self, braids, accounts, seed, kinds=("autocommit", "block", "repeatable", "rows")):
        self.braids, self.accounts, self.seed, self.kinds = braids, accounts, seed, kinds
        self.over = threading.Event()
        self.sums, self.fractured, self.acknowledged, self.unknown, self.trouble = 0, [], [0] * PAIRS, [0] * PAIRS, []
        self.lock = threading.Lock()

    def client(self, random_, **kw):
        return random_.choice(self.braids).connect(**kw)

    def transfers(self, pair):
        """Always from the second shard's account to the first one's, so that both tell how many there were."""
        random_ = random.Random(f"{self.seed} transfers {pair}")
        to, source = self.accounts[0][pair], self.accounts[1][pair]
        connection = None
        while not self.over.is_set():
            sent = False
            try:
                connection = connection or self.client(random_)
                cursor = connection.cursor()
                if random_.random() < 0.3:
                    connection.autocommit = True
                    sent = True
                    cursor.execute(f"UPDATE customers SET balance = balance + CASE id WHEN {to} THEN 1 ELSE -1 END WHERE id IN ({to}, {source})")
                    assert cursor.rowcount == 2
                else:
                    connection.autocommit = False
                    cursor.execute(f"UPDATE customers SET balance = balance + 1 WHERE id = {to}")
                    cursor.execute(f"UPDATE customers SET balance = balance - 1 WHERE id = {source}")
                    sent = True
                    connection.commit()
                self.acknowledged[pair] += 1
            except (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.InternalError):
                self.unknown[pair] += sent
                connection = self.closed(connection)
            except Exception as error:
                self.trouble.append(error)
                return
        self.closed(connection)

    @staticmethod
    def closed(connection):
        if connection is not None:
            connection.close()

    def sum_up(self, reader):
        random_ = random.Random(f"{self.seed} sums {reader}")
        rows_of = READS["rows"].format(listed(self.accounts))
        total = READS["sum"].format(listed(self.accounts))
        connection = None
        while not self.over.is_set():
            try:
                connection = connection or self.client(random_)
                kind = random_.choice(self.kinds)
                connection.set_session(autocommit=kind in ("autocommit", "rows"),
                                       isolation_level="REPEATABLE READ" if kind == "repeatable" else "DEFAULT")
                cursor = connection.cursor()
                found = []
                if kind == "repeatable":
                    for shard in random_.sample([0, 1], 2):
                        keys = ", ".join(map(str, self.accounts[shard]))
                        cursor.execute(f"SELECT balance FROM customers WHERE id IN ({keys})")
                        found += [row[0] for row in cursor.fetchall()]
                else:
                    cursor.execute(rows_of if kind == "rows" else total)
                    found = [row[0] for row in cursor.fetchall()]
                if not connection.autocommit:
                    connection.commit()
                with self.lock:
                    self.sums += 1
                    if sum(found) != 2 * PAIRS * OPENING:
                        self.fractured.append((kind, sum(found)))
            except (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.InternalError):
                connection = self.closed(connection)
            except Exception as error:
                self.trouble.append(error)
                return
        self.closed(connection)

    @contextlib.contextmanager
    def busy(self, readers=4):
        threads = [threading.Thread(target=self.transfers, args=(pair,)) for pair in range(PAIRS)]
        threads += [threading.Thread(target=self.sum_up, args=(reader,)) for reader in range(readers)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.over.set()
            for thread in threads:
                thread.join()


@pytest.mark.parametrize("answer", ["finished", "decided"])
def test_the_sum_stays_the_same(cluster, start_braid, accounts, answer):
    """Two instances, one of which is killed again and again. SNAPSHOT_SUMS and SNAPSHOT_SEED make it long, and another."""
    wanted = int(os.environ.get("SNAPSHOT_SUMS", "600"))
    seed = int(os.environ.get("SNAPSHOT_SEED", "1"))
    braids = [start_braid(consistent(cluster, commits={"answer": answer})) for _ in range(2)]
    bank = Bank(braids, accounts, seed)
    kills = 0
    with bank.busy():
        while bank.sums < wanted and not bank.trouble:
            between = bank.sums + wanted // 6
            struck = time.monotonic() + 5
            wait_until(lambda: bank.trouble or bank.sums >= min(wanted, between) or time.monotonic() > struck, 120, "sums go on")
            victim = braids[kills % 2]
            victim.kill()
            victim.start()
            kills += 1
    assert not bank.trouble
    doubt = "SELECT count(*) FROM pg_prepared_xacts WHERE gid LIKE 'pgbraid%%'"
    wait_until(lambda: all(shard.primary.value(doubt) == 0 for shard in cluster.shards), 30, "nothing is in doubt")
    print(f"seed {seed}: {bank.sums} sums, {sum(bank.acknowledged)} transfers, {sum(bank.unknown)} of unknown outcome, {kills} kills")
    assert bank.fractured == []
    for pair in range(PAIRS):
        there = [shard.primary.value("SELECT balance FROM customers WHERE id = %s", (accounts[i][pair],)) for i, shard in enumerate(cluster.shards)]
        assert there[0] - OPENING == OPENING - there[1]
        assert bank.acknowledged[pair] <= there[0] - OPENING <= bank.acknowledged[pair] + bank.unknown[pair]


def test_each_shard_by_itself_shows_halves(cluster, start_braid, accounts):
    """The same without it: the test above is not blind."""
    topology = sharded_topology(cluster)
    bank = Bank([start_braid(topology)], accounts, 1, ["autocommit", "block", "rows"])
    with bank.busy():
        wait_until(lambda: bank.fractured or bank.trouble, 120, "a sum is wrong")
    assert bank.fractured and not bank.trouble
