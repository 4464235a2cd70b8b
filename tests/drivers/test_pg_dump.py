"""pg_dump and pg_restore: what is dumped through pgbraid is what the server itself would dump, and can be restored."""

import re

from braid import Endpoint
from clients import run_program


def text_of(where, dbname, *arguments):
    """A plain dump without what differs from run to run."""
    out = run_program(where, "pg_dump", "--no-owner", "--no-privileges", *arguments, dbname=dbname)
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", out)


def test_plain_dump_is_the_servers(braid, primary):
    assert text_of(braid, "shop") == text_of(Endpoint(primary.port), "shop")
    assert text_of(braid, "shop", "--inserts", "--rows-per-insert=50", "--data-only") == \
        text_of(Endpoint(primary.port), "shop", "--inserts", "--rows-per-insert=50", "--data-only")


def test_restored_in_parallel(braid, primary, tmp_path):
    """Two connections at a time, a directory dump with its shared snapshot, and back into an empty database."""
    target = tmp_path / "dump"
    run_program(braid, "pg_dump", "-Fd", "-j", "1", "-f", target)
    run_program(braid, "pg_restore", "-j", "2", "--no-owner", "--no-privileges", "--clean", "--if-exists", "-d", "spare", target, dbname="spare")
    server = Endpoint(primary.port)
    assert text_of(server, "spare") == text_of(server, "shop")


def test_custom_format_in_one_transaction(braid, primary, tmp_path):
    primary.query("CREATE TABLE dumped (id int PRIMARY KEY, body text); GRANT ALL ON dumped TO app;"
                  "INSERT INTO dumped SELECT n, repeat(n::text, 50) FROM generate_series(1, 3000) n; CREATE INDEX ON dumped (body)")
    target = tmp_path / "dump.custom"
    run_program(braid, "pg_dump", "-Fc", "-t", "dumped", "-f", target)
    for _ in range(2):
        run_program(braid, "pg_restore", "--no-owner", "--no-privileges", "--clean", "--if-exists", "-1", "-d", "spare", target,
                    dbname="spare")
    sums = "SELECT count(*), sum(id), md5(string_agg(body, ',' ORDER BY id)) FROM dumped"
    assert primary.query(sums, dbname="spare") == primary.query(sums)
    primary.query("DROP TABLE dumped")
    primary.query("DROP TABLE dumped", dbname="spare")
