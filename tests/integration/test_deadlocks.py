"""Transactions that wait for each other on different shards: one is ended, the other goes on."""

import threading

import psycopg2
import pytest

from wire import ServerError


def add(key):
    return f"UPDATE customers SET balance = balance + 1 WHERE id = {key}"


class Waits(threading.Thread):
    """Runs a statement on a thread of its own; outcome is None, or the error's SQLSTATE."""

    def __init__(self, run, sql):
        super().__init__(daemon=True)
        self.run_statement, self.sql, self.outcome = run, sql, None
        self.start()

    def run(self):
        try:
            self.run_statement(self.sql)
        except ServerError as error:
            self.outcome = error.sqlstate

    def done(self):
        self.join(30)
        assert not self.is_alive(), "it waits for ever"
        return self.outcome


@pytest.mark.parametrize("extended", [False, True])
def test_the_youngest_is_ended(cluster, braid, keys, extended):
    before = [cluster.shards[i].primary.value("SELECT balance FROM customers WHERE id = %s", (keys[i][0],)) for i in range(2)]
    with braid.raw() as old, braid.raw() as young:
        for number, client in enumerate((old, young)):
            client.query("BEGIN")
            client.query(add(keys[number][0]))
        waiting = [Waits(client.extended if extended else client.query, add(keys[1 - number][0]))
                   for number, client in enumerate((old, young))]
        assert [w.done() for w in waiting] == [None, "40P01"]
        assert (old.status, young.status) == ("T", "E")
        old.query("COMMIT")
        young.query("ROLLBACK")
        assert young.value("SELECT 1") == "1"
    after = [cluster.shards[i].primary.value("SELECT balance FROM customers WHERE id = %s", (keys[i][0],)) for i in range(2)]
    assert after == [b + 1 for b in before]


def test_others_may_stand_in_between(cluster, braid, keys):
    """old waits for a session of the server's own, which waits for young, which waits for old."""
    direct = cluster.shards[1].primary.connect()
    direct.autocommit = False
    with braid.raw() as old, braid.raw() as young, direct.cursor() as cursor:
        old.query("BEGIN")
        old.query(add(keys[0][0]))
        young.query("BEGIN")
        young.query(add(keys[1][0]))
        cursor.execute(add(keys[1][1]))

        def run(sql):
            try:
                cursor.execute(sql)
            except psycopg2.Error as error:
                raise ServerError({"C": error.pgcode, "M": str(error)}) from error

        waiting = [Waits(run, add(keys[1][0])), Waits(old.query, add(keys[1][1])), Waits(young.query, add(keys[0][0]))]
        assert waiting[2].done() == "40P01"
        young.query("ROLLBACK")
        assert waiting[0].done() is None
        direct.rollback()
        assert waiting[1].done() is None
        old.query("ROLLBACK")
    direct.close()


def test_who_only_waits_is_left_alone(cluster, braid, keys):
    """Two wait, over two shards each, for locks that are given up in the end."""
    holders = [shard.primary.connect() for shard in cluster.shards]
    for holder, key in zip(holders, keys):
        holder.autocommit = False
        holder.cursor().execute(add(key[0]))
    with braid.raw() as one, braid.raw() as two:
        for number, client in enumerate((one, two)):
            client.query("BEGIN")
            client.query(add(keys[1 - number][1]))
        waiting = [Waits(client.query, add(keys[number][0])) for number, client in enumerate((one, two))]
        waiting[0].join(3)
        assert all(w.is_alive() for w in waiting)
        for holder in holders:
            holder.rollback()
            holder.close()
        assert [w.done() for w in waiting] == [None, None]
        for client in (one, two):
            client.query("ROLLBACK")
