-- TPC-C's nine tables, small: 6 warehouses of 3 districts of 20 customers, 60 items. Nothing is left to chance.
CREATE TABLE item (i_id bigint PRIMARY KEY, i_im_id int, i_name varchar(24), i_price numeric(5, 2), i_data varchar(50));
CREATE TABLE warehouse (w_id bigint PRIMARY KEY, w_name varchar(10), w_state char(2), w_zip char(9), w_tax numeric(4, 4), w_ytd numeric(12, 2));
CREATE TABLE district (
  d_w_id bigint REFERENCES warehouse, d_id int, d_name varchar(10), d_tax numeric(4, 4), d_ytd numeric(12, 2), d_next_o_id int,
  PRIMARY KEY (d_w_id, d_id));
CREATE TABLE tpcc_customer (
  c_w_id bigint, c_d_id int, c_id int, c_first varchar(16), c_middle char(2), c_last varchar(16), c_since timestamp, c_credit char(2),
  c_credit_lim numeric(12, 2), c_discount numeric(4, 4), c_balance numeric(12, 2), c_ytd_payment numeric(12, 2), c_payment_cnt int,
  c_delivery_cnt int, c_data varchar(500), PRIMARY KEY (c_w_id, c_d_id, c_id),
  FOREIGN KEY (c_w_id, c_d_id) REFERENCES district);
CREATE INDEX ON tpcc_customer (c_w_id, c_d_id, c_last, c_first);
CREATE TABLE history (
  h_c_id int, h_c_d_id int, h_c_w_id bigint, h_d_id int, h_w_id bigint NOT NULL, h_date timestamp, h_amount numeric(6, 2), h_data varchar(24));
CREATE TABLE oorder (
  o_w_id bigint, o_d_id int, o_id int, o_c_id int, o_entry_d timestamp, o_carrier_id int, o_ol_cnt int, o_all_local int,
  PRIMARY KEY (o_w_id, o_d_id, o_id), FOREIGN KEY (o_w_id, o_d_id, o_c_id) REFERENCES tpcc_customer);
CREATE TABLE new_order (
  no_w_id bigint, no_d_id int, no_o_id int, PRIMARY KEY (no_w_id, no_d_id, no_o_id), FOREIGN KEY (no_w_id, no_d_id, no_o_id) REFERENCES oorder);
CREATE TABLE stock (
  s_w_id bigint REFERENCES warehouse, s_i_id bigint REFERENCES item, s_quantity int, s_dist text, s_ytd int, s_order_cnt int, s_remote_cnt int,
  s_data varchar(50), PRIMARY KEY (s_w_id, s_i_id));
CREATE TABLE order_line (
  ol_w_id bigint, ol_d_id int, ol_o_id int, ol_number int, ol_i_id bigint REFERENCES item, ol_supply_w_id bigint, ol_delivery_d timestamp,
  ol_quantity int, ol_amount numeric(6, 2), ol_dist_info char(24), PRIMARY KEY (ol_w_id, ol_d_id, ol_o_id, ol_number),
  FOREIGN KEY (ol_w_id, ol_d_id, ol_o_id) REFERENCES oorder);
INSERT INTO item SELECT n, n * 7 % 100, 'item ' || n, (n * 37 % 9900) / 100.0 + 1, CASE WHEN n % 10 = 0 THEN 'ORIGINAL' ELSE 'data' END
  FROM generate_series(1, 60) AS n;
INSERT INTO warehouse SELECT n, 'w' || n, 'S' || n, n || '1111', n * 0.013, 90000 FROM generate_series(1, 6) AS n;
INSERT INTO district SELECT w, d, 'd' || d, d * 0.021, 30000, 21 FROM generate_series(1, 6) AS w, generate_series(1, 3) AS d;
INSERT INTO tpcc_customer
SELECT w, d, c, 'first' || c * 7 % 20, 'OE', 'BAR' || c % 6, '2024-01-01', CASE WHEN c % 10 = 0 THEN 'BC' ELSE 'GC' END, 50000, c * 0.011, -10, 10, 1, 0,
       'some data'
  FROM generate_series(1, 6) AS w, generate_series(1, 3) AS d, generate_series(1, 20) AS c;
INSERT INTO history SELECT c_id, c_d_id, c_w_id, c_d_id, c_w_id, '2024-01-01', 10, 'first' FROM tpcc_customer;
INSERT INTO oorder SELECT c_w_id, c_d_id, c_id, 21 - c_id, '2024-01-02', CASE WHEN c_id < 14 THEN c_id % 10 + 1 END, 5 + c_id % 3, 1 FROM tpcc_customer;
INSERT INTO new_order SELECT o_w_id, o_d_id, o_id FROM oorder WHERE o_carrier_id IS NULL;
INSERT INTO stock SELECT w, i, 10 + (w * 17 + i * 3) % 90, 'dist ' || i, 0, 0, 0, CASE WHEN i % 10 = 0 THEN 'ORIGINAL' ELSE 'data' END
  FROM generate_series(1, 6) AS w, generate_series(1, 60) AS i;
INSERT INTO order_line
SELECT o_w_id, o_d_id, o_id, n, (o_id * 7 + n * 11) % 60 + 1, o_w_id, CASE WHEN o_carrier_id IS NOT NULL THEN o_entry_d END, 5,
       CASE WHEN o_carrier_id IS NULL THEN (o_id * n % 999) / 1.7 ELSE 0 END, 'dist info'
  FROM oorder, LATERAL generate_series(1, o_ol_cnt) AS n;
GRANT ALL ON item, warehouse, district, tpcc_customer, history, oorder, new_order, stock, order_line TO app;
