"""Read-after-write through psycopg2 in its default transactions, before a replica whose replay stands still for 5 s.

PGBRAID_PAUSED_READS is the number of reads of what was just written (1,000 here, 10,000 in `tests/run faults`).
"""

import os
import threading
from collections import Counter

import pytest

from braid import plain_topology
from waiting import wait_until

READS = int(os.environ.get("PGBRAID_PAUSED_READS") or "1000")
PAUSE = 5.0
NAME = "SELECT name, current_setting('cluster_name') FROM customers WHERE id = %s"
# Nobody writes to this one.
OTHER = "SELECT code, current_setting('cluster_name') FROM countries LIMIT 1"


@pytest.mark.parametrize("consistency", ["session", "global"])
def test_nothing_stale(shard, start_braid, consistency):
    braid = start_braid(plain_topology(shard.servers, reads={"consistency": consistency, "treat_as_read": ["current_setting"]}))
    replica = shard.replicas[0]
    wait_until(lambda: f"{replica.address} is a replica, usable" in braid.log(), 20, "the replica is known")
    # Two connections: what one has written the other reads too, where that is promised.
    writer, reader = braid.connect(), braid.connect()
    written, others, stale = Counter(), Counter(), []

    def ask(connection, sql, *arguments):
        with connection.cursor() as cursor:
            cursor.execute(sql, arguments)
            row = cursor.fetchone() if cursor.description else None
        connection.commit()
        return row

    wait_until(lambda: ask(writer, OTHER)[1] == replica.name, 20, "reads go to the replica")
    resume = threading.Timer(PAUSE, lambda: replica.query("SELECT pg_wal_replay_resume()"))
    try:
        for i in range(READS):
            if i == READS // 10:
                replica.query("SELECT pg_wal_replay_pause()")
                resume.start()
            ask(writer, "UPDATE customers SET name = %s WHERE id = 1", f"turn {i}")
            name, server = ask(writer if consistency == "session" or i % 2 else reader, NAME, 1)
            written[server] += 1
            if name != f"turn {i}":
                stale.append((i, server, name))
            others[ask(writer, OTHER)[1]] += 1
        resume.join(30)
    finally:
        resume.cancel()
        replica.query("SELECT pg_wal_replay_resume()")
    share = others[replica.name] / READS
    print(f"\n{consistency}: {len(stale)} stale of {READS} reads, {written[replica.name]} of them on the replica; "
          f"of tables not written {share:.1%} on the replica")
    assert not stale, f"{len(stale)} stale reads: {stale[:5]}"
    if consistency == "global":
        assert share >= 0.9, others
    # The pause was long enough to matter: nothing that was written then could have been read on the replica.
    assert written[shard.primary.name] > READS // 2
    for connection in (writer, reader):
        connection.close()
