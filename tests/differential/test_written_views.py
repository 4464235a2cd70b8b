"""Writes through views over four shards: each carried out by one PostgreSQL and through pgbraid, in a transaction of its own.
Equal answers, and equal tables afterwards."""

from pathlib import Path

import pytest

from braid import Braid, Endpoint, sharded_topology
from cluster import Cluster
from sides import ask, both, compare, load, sharding_with
from statements import Statement
from test_writes import KEYS, STATE

VIEWS = """
CREATE VIEW rich AS SELECT id AS account, owner, balance FROM accounts WHERE balance > 100;
CREATE VIEW rich_checked AS SELECT id AS account, owner, balance, state FROM accounts WHERE balance > 100 WITH CHECK OPTION;
CREATE VIEW over_rich AS
  SELECT account AS no, balance AS money, owner FROM rich_checked WHERE balance < 100000 ORDER BY owner WITH LOCAL CHECK OPTION;
CREATE VIEW lines AS SELECT note, account_id, id, amount FROM entries;
CREATE VIEW lines_all AS SELECT day, at, note, account_id, id, amount FROM entries;
CREATE VIEW happenings AS SELECT account_id AS account, id, name, n FROM events;
CREATE VIEW ticket_lines AS SELECT account_id, title, id FROM tickets;
CREATE VIEW counted AS SELECT * FROM numbered;
CREATE VIEW no_key AS SELECT id, amount FROM entries;
CREATE VIEW computed AS SELECT id, upper(owner) AS owner, balance FROM accounts;
CREATE VIEW twice_shown AS SELECT id, owner, owner AS owner2 FROM accounts;
CREATE VIEW joined AS SELECT a.id, e.amount FROM accounts a JOIN entries e ON e.account_id = a.id;
CREATE VIEW rated AS SELECT id, owner FROM accounts WHERE owner IN (SELECT code FROM rates);
CREATE VIEW timed AS SELECT id, owner FROM accounts WHERE opened < now();
CREATE VIEW defaulted AS SELECT id, owner, state FROM accounts;
ALTER VIEW defaulted ALTER COLUMN state SET DEFAULT 'view';
CREATE VIEW ruled AS SELECT id, owner FROM accounts;
CREATE RULE nothing AS ON UPDATE TO ruled DO INSTEAD NOTHING;
CREATE VIEW triggered AS SELECT id, owner FROM accounts;
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER instead INSTEAD OF UPDATE ON triggered FOR EACH ROW EXECUTE FUNCTION instead();
CREATE VIEW seen AS SELECT id, owner, balance FROM accounts;
GRANT ALL ON rich, rich_checked, over_rich, lines, lines_all, happenings, ticket_lines, counted, no_key, computed, twice_shown, joined, rated,
  timed, defaulted, ruled, triggered TO app;
GRANT SELECT ON seen TO app;
ALTER TABLE entries OWNER TO app;
ALTER TABLE accounts OWNER TO app;
GRANT CREATE ON SCHEMA public TO app;
"""

GROUPS = {
    "INSERT": """
        INSERT INTO happenings (id, name, account, n) VALUES (2001, 'a', 3, 1), (2002, 'b', 4, 2), (2003, 'c', 5, 3) RETURNING *
        INSERT INTO happenings VALUES (7, 2001, 'a')
        INSERT INTO rich (account, owner, balance) VALUES (2001, 'x', 500) RETURNING account, owner
        INSERT INTO rich_checked (account, owner, balance) VALUES (2011, 'x', 5)
        INSERT INTO rich_checked (account, owner, balance, state) VALUES (2011, 'x', 500, 's')
        INSERT INTO over_rich VALUES (2041, 5, 'low')
        INSERT INTO over_rich VALUES (2043, 500000, 'high')
        INSERT INTO lines_all (account_id, id, amount) VALUES (5, 5011, 1), (6, 5012, 2), (7, 5013, 3)
        INSERT INTO lines_all (account_id, id, amount, day) VALUES (5, 5011, 1, DEFAULT), (6, 5012, 2, NULL) RETURNING day = current_date
        INSERT INTO lines_all (account_id, id, amount) VALUES (1, 120, 9), (6, 5012, 8) ON CONFLICT (account_id, id) DO UPDATE SET amount = lines_all.amount + excluded.amount RETURNING id, amount
        INSERT INTO ticket_lines (account_id, title) VALUES (3, 'a')
        INSERT INTO counted (id, name, price) VALUES (900, 'v', 5)
        INSERT INTO counted (id, name, code, price) OVERRIDING SYSTEM VALUE VALUES (900, 'v', 'c', 5)
        INSERT INTO happenings (id, account) VALUES (1000 + 1, 5), (1000 + 2, 6)
        INSERT INTO happenings (id, account) VALUES ((SELECT max(id) + 1 FROM events), 5)
        INSERT INTO happenings (id, nothing) VALUES (1, 'x')
        INSERT INTO happenings (name) VALUES ('nowhere')
        INSERT INTO happenings (id, name) VALUES (NULL, 'nowhere')
        INSERT INTO computed (id, owner) VALUES (1, 'x')
    """,
    "INSERT ... SELECT": """
        INSERT INTO happenings (account, id, n) SELECT id, account_id, 7 FROM entries WHERE id < 50 RETURNING id, account
        INSERT INTO happenings (id, account, n) SELECT id, id, 7 FROM accounts WHERE id < 50
        INSERT INTO happenings (id, account, n) SELECT 4000 + n, n, 7 FROM generate_series(1, 20) AS n RETURNING id
        INSERT INTO happenings (id, account, n) SELECT max(id), account % 5, 7 FROM happenings GROUP BY 2
        INSERT INTO lines_all (account_id, id, amount) SELECT id, 7000 + id, 1 FROM accounts
    """,
    "UPDATE": """
        UPDATE rich SET owner = 'renamed' WHERE account = 100 RETURNING *
        UPDATE rich SET owner = 'many' WHERE balance > 200 RETURNING account
        UPDATE rich r SET balance = 0 WHERE r.account IN (3, 7, 11, 100) RETURNING account, balance
        UPDATE rich SET account = account, owner = 'same' WHERE account < 50 RETURNING owner
        UPDATE rich_checked SET balance = 0 WHERE account = 30
        UPDATE rich_checked SET balance = balance - 60
        UPDATE over_rich SET money = money + 1 WHERE no < 60 RETURNING no
        UPDATE over_rich SET money = 100001
        UPDATE lines_all SET day = DEFAULT WHERE id < 40
        UPDATE rich r SET owner = e.name FROM events e WHERE e.id = r.account
        UPDATE rich r SET owner = s.note FROM entries s WHERE s.account_id = r.account AND s.id < 9 RETURNING r.account, r.owner
        UPDATE rich SET owner = 'sub' WHERE account IN (SELECT account_id FROM events WHERE n = 5)
        UPDATE rich r SET owner = e.name FROM events e WHERE e.account_id = r.account AND e.id = 7 RETURNING r.owner
        UPDATE lines_all SET amount = (SELECT max(rate) FROM rates) WHERE id = 5
        UPDATE rich SET nothing = 1
        UPDATE seen SET owner = 'x' WHERE id = 5
    """,
    "DELETE": """
        DELETE FROM rich WHERE account = 100 RETURNING owner
        DELETE FROM rich WHERE balance > 240 RETURNING account
        DELETE FROM over_rich
        DELETE FROM lines l USING accounts a WHERE a.id = l.account_id AND a.id < 4 RETURNING l.id
        DELETE FROM seen
    """,
    "refused": """
        0A000 INSERT INTO rich (account, owner, balance) VALUES (2001, 'x', 500), (2002, 'y', 1), (2003, 'z', 900), (2004, 'v', 900), (2005, 'u', 900)
        0A000 INSERT INTO lines (account_id, id, amount) SELECT id, 7000 + id, 1 FROM accounts
        0A000 UPDATE rich SET account = account + 1000
        0A000 UPDATE computed SET balance = 1 WHERE id = 5
        0A000 UPDATE twice_shown SET owner = 'x' WHERE id = 5
        0A000 DELETE FROM no_key WHERE id = 5
        0A000 UPDATE rated SET owner = 'x' WHERE id = 5
        0A000 UPDATE timed SET owner = 'x' WHERE id = 5
        0A000 INSERT INTO defaulted (id, owner) VALUES (2001, 'x')
        0A000 UPDATE ruled SET owner = 'x' WHERE id = 5
        0A000 UPDATE triggered SET owner = 'x' WHERE id = 5
        0A000 WITH a AS (UPDATE accounts SET owner = 'w' RETURNING id) UPDATE rich SET owner = 'v' WHERE account IN (SELECT id FROM a)
        0A000 WITH a AS (UPDATE rich SET owner = 'w' RETURNING account) SELECT count(*) FROM a
    """,
}


def statements():
    for group, lines in GROUPS.items():
        for i, line in enumerate(lines.strip().splitlines()):
            yield pytest.param(line.strip(), id=f"{group} {i}")


@pytest.fixture(scope="module")
def two_sides():
    """(one PostgreSQL with all rows, pgbraid over four shards), as raw clients."""
    whole, parts = Cluster(shards=1, replicas=0), Cluster(shards=4, replicas=0)
    try:
        whole.start(), parts.start()
        load(whole, parts, Path(__file__).with_name("writes.sql").read_text() + VIEWS, KEYS)
        for sequence in ("tickets_id_seq", "numbered_id_seq", "codes"):
            for shard in whole.shards + parts.shards:
                shard.primary.query(f"SELECT setval('{sequence}', 1000)", dbname="shop")
        with Braid(sharded_topology(parts, sharding=sharding_with(sharded_topology(parts), KEYS, ["rates", "kinds"]))) as braid:
            one, many = Endpoint(whole.shards[0].primary.port).raw(), braid.raw()
            yield one, many
            one.close(), many.close()
    finally:
        whole.stop(), parts.stop()


@pytest.mark.parametrize("protocol", ["simple", "extended"])
@pytest.mark.parametrize("line", statements())
def test_a_write(two_sides, line, protocol):
    refused, _, sql = line.partition(" ") if line[0].isdigit() else ("", "", line)
    statement = Statement(sql, writes=True, extended=protocol == "extended")
    verdict = both(two_sides, statement, STATE[:-1])  # not of a table that stands nowhere here
    assert verdict is (None if refused else True), verdict


def test_a_view_that_is_made_and_made_again(two_sides):
    answers = []
    for client in two_sides:
        answers.append([])
        for sql in ("CREATE VIEW fresh AS SELECT id, owner FROM accounts WHERE id < 100", "UPDATE fresh SET owner = 'fresh' WHERE id > 90",
                    "DROP VIEW fresh", "CREATE VIEW fresh AS SELECT account_id AS id, note AS owner FROM entries", "UPDATE fresh SET owner = 'fresh' WHERE id = 9",
                    "SELECT id, owner FROM accounts WHERE owner = 'fresh'", "SELECT id, note FROM entries WHERE note = 'fresh'", "DROP VIEW fresh"):
            answers[-1].append(ask(client, Statement(sql)))
    for one, many in zip(*answers):
        assert compare(Statement(""), one, many) is True


def test_policies_that_are_made_and_dropped(two_sides):
    """Each statement goes by the policies that are there when it comes, of views too: as their owner."""
    one, many = two_sides
    for sql in ("CREATE POLICY mine ON accounts USING (owner <> 'owner 3')", "ALTER TABLE accounts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
                "SELECT count(*) FROM accounts", "SELECT count(*), sum(balance) FROM accounts WHERE id IN (3, 4, 23, 43)",
                "UPDATE accounts SET state = 'seen' RETURNING id", "UPDATE rich SET owner = 'through' WHERE account IN (63, 83, 100) RETURNING account",
                "INSERT INTO accounts (id, owner) VALUES (6001, 'owner 3'), (6002, 'owner 4')", "CREATE POLICY mine ON accounts USING (true)",
                "ALTER POLICY mine ON accounts USING (owner <> 'owner 4') WITH CHECK (balance < 500)", "SELECT count(*) FROM accounts",
                "INSERT INTO accounts (id, owner, balance) VALUES (6001, 'owner 5', 600)", "ALTER POLICY mine ON accounts RENAME TO ours",
                "CREATE POLICY more ON accounts AS RESTRICTIVE FOR SELECT USING (id % 2 = 0)", "SELECT count(*), sum(balance) FROM accounts",
                "DROP POLICY mine ON accounts", "DROP POLICY IF EXISTS mine ON accounts", "DROP POLICY more ON accounts",
                "SELECT count(*) FROM accounts", "DROP POLICY ours ON accounts", "SELECT count(*) FROM accounts",
                "ALTER TABLE accounts DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY", "SELECT count(*) FROM accounts"):
        statement = Statement(sql)
        assert compare(statement, ask(one, statement), ask(many, statement)) is True, sql
