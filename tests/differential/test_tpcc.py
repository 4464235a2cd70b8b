"""The five transactions of TPC-C's specification (clauses 2.4 to 2.8) over four shards, sharded by warehouse: each statement
gets one PostgreSQL's answer, and the tables are the same afterwards. One in ten lines of an order and one in seven payments
are of another warehouse, so that many transactions commit over several shards."""

from pathlib import Path

import pytest

from braid import Braid, Endpoint, sharded_topology
from cluster import Cluster
from drawing import Drawing
from sides import ask, compare, load, sharding_with
from statements import Statement

KEYS = {"warehouse": "w_id", "district": "d_w_id", "tpcc_customer": "c_w_id", "history": "h_w_id", "oorder": "o_w_id", "new_order": "no_w_id",
        "stock": "s_w_id", "order_line": "ol_w_id"}
TRANSACTIONS = 250
WAREHOUSES, DISTRICTS, CUSTOMERS, ITEMS = 6, 3, 20, 60
INT, BIG, TEXT, NUMERIC = 23, 20, 25, 1700


@pytest.fixture(scope="module")
def two_sides():
    """(one PostgreSQL with all rows, pgbraid over four shards), as raw clients."""
    whole, parts = Cluster(shards=1, replicas=0), Cluster(shards=4, replicas=0)
    try:
        whole.start(), parts.start()
        # A foreign key must not keep rows from being sorted out.
        sql = Path(__file__).with_name("tpcc.sql").read_text()
        load(whole, parts, sql, dict(reversed(KEYS.items())))
        with Braid(sharded_topology(parts, sharding=sharding_with(sharded_topology(parts), KEYS, ["item"]))) as braid:
            one, many = Endpoint(whole.shards[0].primary.port).raw(), braid.raw()
            yield one, many
            one.close(), many.close()
    finally:
        whole.stop(), parts.stop()


class Terminal:
    """Carries out each statement on both sides, and gives the rows of the one."""

    def __init__(self, two_sides, source):
        self.two_sides, self.random, self.statements = two_sides, source, 0

    def run(self, sql, *values, types=(), ordered=False):
        """A statement by the simple protocol, or, with values ($1, ...), by the extended one."""
        statement = Statement(sql, values=values, types=types or tuple(INT if isinstance(v, int) else TEXT for v in values), ordered=ordered)
        one, many = (ask(client, statement) for client in self.two_sides)
        verdict = compare(statement, one, many)
        assert verdict is True, f"{sql} {values}: {verdict} {many[4]}"
        self.statements += 1
        return [[None if v is None else v.decode() for v in row] for row in one[2]]

    def value(self, *arguments, **named):
        return self.run(*arguments, **named)[0][0]

    def place(self):
        return self.random.randint(1, WAREHOUSES), self.random.randint(1, DISTRICTS)

    def elsewhere(self, warehouse):
        return self.random.choice([w for w in range(1, WAREHOUSES + 1) if w != warehouse])

    def customer(self, w, d):
        """By name in six of ten cases: the one in the middle."""
        if self.random.random() < 0.4:
            return self.random.randint(1, CUSTOMERS)
        last = f"BAR{self.random.randint(0, 5)}"
        found = self.run("SELECT c_id, c_first FROM tpcc_customer WHERE c_w_id = $1 AND c_d_id = $2 AND c_last = $3 ORDER BY c_first, c_id", w, d, last,
                         types=(BIG, INT, TEXT), ordered=True)
        assert len(found) == int(self.value(f"SELECT count(c_id) FROM tpcc_customer WHERE c_w_id = {w} AND c_d_id = {d} AND c_last = '{last}'"))
        return int(found[(len(found) - 1) // 2][0])

    def new_order(self, moment):
        w, d = self.place()
        c = self.random.randint(1, CUSTOMERS)
        lines = [(self.random.randint(1, ITEMS), self.elsewhere(w) if self.random.random() < 0.1 else w, self.random.randint(1, 10))
                 for _ in range(self.random.randint(5, 9))]
        wrong = self.random.random() < 0.05
        self.run("BEGIN")
        self.run("SELECT c_discount, c_last, c_credit, w_tax FROM tpcc_customer, warehouse WHERE w_id = $1 AND c_w_id = w_id AND c_d_id = $2 AND c_id = $3",
                 w, d, c, types=(BIG, INT, INT))
        order = int(self.run(f"SELECT d_next_o_id, d_tax FROM district WHERE d_id = {d} AND d_w_id = {w} FOR UPDATE")[0][0])
        self.run("UPDATE district SET d_next_o_id = d_next_o_id + 1 WHERE d_id = $1 AND d_w_id = $2", d, w, types=(INT, BIG))
        local = int(all(supply == w for _, supply, _ in lines))
        self.run(f"INSERT INTO oorder (o_id, o_d_id, o_w_id, o_c_id, o_entry_d, o_ol_cnt, o_all_local)"
                 f" VALUES ({order}, {d}, {w}, {c}, '{moment}', {len(lines)}, {local})")
        self.run("INSERT INTO new_order (no_o_id, no_d_id, no_w_id) VALUES ($1, $2, $3)", order, d, w, types=(INT, INT, BIG))
        for number, (item, supply, quantity) in enumerate(lines, 1):
            found = self.run("SELECT i_price, i_name, i_data FROM item WHERE i_id = $1", 10**6 if wrong and number == len(lines) else item, types=(BIG,))
            if not found:
                return self.run("ROLLBACK")
            stock = int(self.run(f"SELECT s_quantity, s_data, s_dist FROM stock WHERE s_i_id = {item} AND s_w_id = {supply} FOR UPDATE")[0][0])
            left = stock - quantity if stock > quantity + 10 else stock - quantity + 91
            self.run("UPDATE stock SET s_quantity = $1, s_ytd = s_ytd + $2, s_order_cnt = s_order_cnt + 1, s_remote_cnt = s_remote_cnt + $3"
                     " WHERE s_i_id = $4 AND s_w_id = $5", left, quantity, int(supply != w), item, supply, types=(INT, INT, INT, BIG, BIG))
            self.run(f"INSERT INTO order_line (ol_o_id, ol_d_id, ol_w_id, ol_number, ol_i_id, ol_supply_w_id, ol_quantity, ol_amount, ol_dist_info)"
                     f" VALUES ({order}, {d}, {w}, {number}, {item}, {supply}, {quantity}, {quantity} * {found[0][0]}, 'dist')")
        self.run("COMMIT")

    def payment(self, moment):
        w, d = self.place()
        cw, cd = (self.elsewhere(w), self.random.randint(1, DISTRICTS)) if self.random.random() < 0.15 else (w, d)
        amount = f"{self.random.randint(100, 500000) / 100}"
        self.run("BEGIN")
        self.run("UPDATE warehouse SET w_ytd = w_ytd + $1 WHERE w_id = $2", amount, w, types=(NUMERIC, BIG))
        warehouse = self.value(f"SELECT w_name, w_state, w_zip FROM warehouse WHERE w_id = {w}")
        self.run(f"UPDATE district SET d_ytd = d_ytd + {amount} WHERE d_w_id = {w} AND d_id = {d}")
        district = self.value("SELECT d_name FROM district WHERE d_w_id = $1 AND d_id = $2", w, d, types=(BIG, INT))
        c = self.customer(cw, cd)
        credit = self.run(f"SELECT c_credit, c_first, c_balance, c_since FROM tpcc_customer WHERE c_w_id = {cw} AND c_d_id = {cd} AND c_id = {c} FOR UPDATE")[0][0]
        data = f", c_data = left('{c} {cd} {cw} {d} {w} {amount} | ' || c_data, 500)" if credit == "BC" else ""
        self.run(f"UPDATE tpcc_customer SET c_balance = c_balance - {amount}, c_ytd_payment = c_ytd_payment + {amount}, c_payment_cnt = c_payment_cnt + 1{data}"
                 f" WHERE c_w_id = {cw} AND c_d_id = {cd} AND c_id = {c} RETURNING c_balance, c_data")
        self.run("INSERT INTO history VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", c, cd, cw, d, w, moment, amount, f"{warehouse}    {district}",
                 types=(INT, INT, BIG, INT, BIG, 1114, NUMERIC, 1043))
        self.run("COMMIT")

    def order_status(self, _):
        w, d = self.place()
        self.run("BEGIN")
        c = self.customer(w, d)
        self.run(f"SELECT c_balance, c_first, c_middle, c_last FROM tpcc_customer WHERE c_w_id = {w} AND c_d_id = {d} AND c_id = {c}")
        last = self.run("SELECT o_id, o_entry_d, o_carrier_id FROM oorder WHERE o_w_id = $1 AND o_d_id = $2 AND o_c_id = $3 ORDER BY o_id DESC LIMIT 1",
                        w, d, c, types=(BIG, INT, INT), ordered=True)
        if last:
            self.run(f"SELECT ol_i_id, ol_supply_w_id, ol_quantity, ol_amount, ol_delivery_d FROM order_line"
                     f" WHERE ol_o_id = {last[0][0]} AND ol_d_id = {d} AND ol_w_id = {w}")
        self.run("COMMIT")

    def delivery(self, moment):
        w, carrier = self.random.randint(1, WAREHOUSES), self.random.randint(1, 10)
        self.run("BEGIN")
        for d in range(1, DISTRICTS + 1):
            oldest = self.run(f"SELECT no_o_id FROM new_order WHERE no_d_id = {d} AND no_w_id = {w} ORDER BY no_o_id LIMIT 1 FOR UPDATE", ordered=True)
            if not oldest:
                continue
            order = int(oldest[0][0])
            self.run("DELETE FROM new_order WHERE no_o_id = $1 AND no_d_id = $2 AND no_w_id = $3", order, d, w, types=(INT, INT, BIG))
            c = self.value(f"UPDATE oorder SET o_carrier_id = {carrier} WHERE o_id = {order} AND o_d_id = {d} AND o_w_id = {w} RETURNING o_c_id")
            self.run("UPDATE order_line SET ol_delivery_d = $1 WHERE ol_o_id = $2 AND ol_d_id = $3 AND ol_w_id = $4", moment, order, d, w,
                     types=(1114, INT, INT, BIG))
            total = self.value(f"SELECT sum(ol_amount) FROM order_line WHERE ol_o_id = {order} AND ol_d_id = {d} AND ol_w_id = {w}")
            self.run(f"UPDATE tpcc_customer SET c_balance = c_balance + {total}, c_delivery_cnt = c_delivery_cnt + 1"
                     f" WHERE c_id = {c} AND c_d_id = {d} AND c_w_id = {w}")
        self.run("COMMIT")

    def stock_level(self, _):
        w, d = self.place()
        following = int(self.value("SELECT d_next_o_id FROM district WHERE d_w_id = $1 AND d_id = $2", w, d, types=(BIG, INT)))
        self.run(f"SELECT count(DISTINCT s_i_id) FROM order_line, stock WHERE ol_w_id = {w} AND ol_d_id = {d} AND ol_o_id < {following}"
                 f" AND ol_o_id >= {following - 20} AND s_w_id = {w} AND s_i_id = ol_i_id AND s_quantity < {self.random.randint(10, 60)}")


# Clause 3.3.2, each of which must find nothing, and what the tables hold, over all shards.
CONDITIONS = (
    "SELECT w_id FROM warehouse WHERE w_ytd - 90000 <> (SELECT sum(d_ytd - 30000) FROM district WHERE d_w_id = w_id)",
    "SELECT d_w_id, d_id FROM district WHERE d_next_o_id - 1 <> (SELECT max(o_id) FROM oorder WHERE o_w_id = d_w_id AND o_d_id = d_id)",
    "SELECT no_w_id, no_d_id FROM new_order GROUP BY 1, 2 HAVING max(no_o_id) - min(no_o_id) + 1 <> count(*)",
    "SELECT o_w_id, o_d_id FROM oorder GROUP BY 1, 2 HAVING sum(o_ol_cnt) <>"
    " (SELECT count(*) FROM order_line WHERE ol_w_id = o_w_id AND ol_d_id = o_d_id)",
    "SELECT * FROM oorder o WHERE (o_carrier_id IS NULL) <> EXISTS (SELECT FROM new_order WHERE no_w_id = o_w_id AND no_d_id = o_d_id AND no_o_id = o_id)",
    "SELECT * FROM order_line JOIN oorder ON (o_w_id, o_d_id, o_id) = (ol_w_id, ol_d_id, ol_o_id)"
    " WHERE (ol_delivery_d IS NULL) <> (o_carrier_id IS NULL)",
    "SELECT w_id FROM warehouse JOIN history ON h_w_id = w_id GROUP BY w_id, w_ytd HAVING w_ytd - 90000 <> sum(h_amount) - 600",
)


def test_transactions(two_sides):
    drawing = Drawing(TRANSACTIONS)
    terminal = Terminal(two_sides, drawing.source)
    for number in drawing:
        pick = terminal.random.choices([terminal.new_order, terminal.payment, terminal.order_status, terminal.delivery, terminal.stock_level],
                                       [45, 43, 4, 4, 4])[0]
        pick(f"2024-02-01 {number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}")
    for table in KEYS:
        assert terminal.run(f"SELECT * FROM {table}")
    for condition in CONDITIONS:
        assert terminal.run(condition) == [], condition
    print(f"{drawing and number + 1} transactions of {terminal.statements} statements: all equal")
