"""Clients that write until they are told to stop, and what became of each of their writes."""

import threading

import psycopg2

TABLE = "CREATE TABLE journal (client int, number int); GRANT ALL ON journal TO app"


class Writer(threading.Thread):
    """One client: rows (client, 0), (client, 1), ... each written once, in a transaction of its own if `blocks`."""

    def __init__(self, braid, client, blocks):
        super().__init__(daemon=True)
        self.braid, self.client, self.blocks = braid, client, blocks
        self.stopped, self.acknowledged, self.failed, self.wrong = threading.Event(), set(), {}, None

    def run(self):
        try:
            connection = self.braid.connect(autocommit=not self.blocks)
            number = 0
            while not self.stopped.is_set():
                try:
                    with connection.cursor() as cursor:
                        cursor.execute("INSERT INTO journal VALUES (%s, %s)", (self.client, number))
                        if self.blocks:
                            cursor.execute("SELECT count(*) FROM journal WHERE client = %s AND number = %s", (self.client, number))
                            assert cursor.fetchone() == (1,)
                    if self.blocks:
                        connection.commit()
                    self.acknowledged.add(number)
                except psycopg2.Error as e:
                    self.failed[number] = e.pgcode
                    connection.rollback()
                number += 1
            connection.close()
        except BaseException as e:  # noqa: BLE001 told by whoever stops it
            self.wrong = repr(e)


class Writers:
    """Many of them, and the verdict."""

    def __init__(self, braid, count):
        self.all = [Writer(braid, i, blocks=i % 2 == 1) for i in range(count)]

    def __enter__(self):
        for writer in self.all:
            writer.start()
        return self

    def __exit__(self, *_):
        for writer in self.all:
            writer.stopped.set()
        for writer in self.all:
            writer.join(60)

    def acknowledged(self):
        return sum(len(w.acknowledged) for w in self.all)

    def all_write(self):
        """A condition for wait_until: every client has had a write acknowledged since this was called."""
        before = [len(w.acknowledged) for w in self.all]
        return lambda: self.must_live() and all(len(w.acknowledged) > b for w, b in zip(self.all, before))

    def must_live(self):
        assert not any(w.wrong for w in self.all), [w.wrong for w in self.all if w.wrong]
        return True

    def check(self, primary):
        """Nothing acknowledged is lost, nothing was done twice, and what is said to be undone is. Returns the SQLSTATEs of
        what failed, with the number of each."""
        assert not any(w.is_alive() for w in self.all)
        self.must_live()
        rows = primary.query("SELECT client, number, count(*) FROM journal GROUP BY 1, 2")
        assert not [r for r in rows if r[2] > 1]
        there = {(r[0], r[1]) for r in rows}
        told = {}
        for w in self.all:
            lost = [n for n in w.acknowledged if (w.client, n) not in there]
            assert not lost, f"client {w.client}: acknowledged and lost: {lost}"
            for number, state in w.failed.items():
                told[state] = told.get(state, 0) + 1
                assert state == "40003" or (w.client, number) not in there, f"client {w.client}: {number} failed with {state} and is there"
        return told
