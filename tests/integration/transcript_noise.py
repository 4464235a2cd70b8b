"""Other clients of the same user, that keep a pool's server connections turning and leave state of their own behind."""

import threading

import wire
from cluster import ROLES

# What one client does between two connections of its own. Whatever of it met another client would show there.
LITTER = [
    "SET work_mem TO '3333kB'", "SET search_path TO noise, public", "SET timezone TO 'Pacific/Chatham'",
    "SELECT 1", "BEGIN", "SET LOCAL lock_timeout TO '33s'", "SELECT count(*) FROM pg_class", "COMMIT",
    "PREPARE p AS SELECT 'noise'", "EXECUTE p", "CREATE TEMP TABLE t (noise int)", "CREATE TEMP TABLE pids (noise int)",
    "LISTEN noise", "NOTIFY noise", "SELECT pg_advisory_lock(333)", "DECLARE c CURSOR WITH HOLD FOR SELECT 'noise'",
    "SELECT set_config('my.tenant', 'noise', false)", "SELECT 1 / 0", "DO $$ BEGIN SET lock_timeout TO '3s'; END $$",
    "BEGIN", "SELECT nonsense", "ROLLBACK", "SELECT 1",
]
# And one that holds on to nothing: its statements are what the others' connections are wanted for.
SHORT = ["SELECT 1", "BEGIN", "SELECT count(*) FROM pg_class", "COMMIT", "SET work_mem TO '2222kB'", "SELECT 2",
         "SET timezone TO 'Asia/Kathmandu'", "SELECT now()", "RESET ALL"]


class Noise:
    """Use as a context manager. `failures` holds what went wrong with the noise itself."""

    def __init__(self, port, database):
        self.port, self.database, self.failures = port, database, []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(statements, again), daemon=True)
                         for statements, again in ((LITTER, 1), (SHORT, 40))]

    def _run(self, statements, again):
        while not self._stop.is_set():
            try:
                with wire.Client(self.port, "app", ROLES["app"][1], self.database) as client:
                    for _ in range(again):
                        for sql in statements:
                            # A pause: the noise is there for its variety, the processor for the scripts.
                            if self._stop.wait(0.005):
                                return
                            client.send(wire.query(sql))
                            client.until_ready()
                            client.send(wire.parse("SELECT $1::int", "s1"), wire.bind([1], "s1"), wire.execute(),
                                        wire.close_statement("s1"), wire.sync())
                            client.until_ready()
            except Exception as error:  # noqa: BLE001 told by the test
                self.failures.append(repr(error))
                return

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind, value, trace):
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
