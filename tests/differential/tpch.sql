-- The tables of TPC-H's specification, very small, with rows made by arithmetic: the same everywhere. Some values are
-- drawn so that every query has an answer.
CREATE TABLE region (r_regionkey bigint PRIMARY KEY, r_name char(25), r_comment varchar(152));
CREATE TABLE nation (n_nationkey bigint PRIMARY KEY, n_name char(25), n_regionkey bigint, n_comment varchar(152));
CREATE TABLE supplier (s_suppkey bigint PRIMARY KEY, s_name char(25), s_address varchar(40), s_nationkey bigint, s_phone char(15),
                       s_acctbal numeric(15, 2), s_comment varchar(101));
CREATE TABLE part (p_partkey bigint PRIMARY KEY, p_name varchar(55), p_mfgr char(25), p_brand char(10), p_type varchar(25), p_size int,
                   p_container char(10), p_retailprice numeric(15, 2), p_comment varchar(23));
CREATE TABLE partsupp (ps_partkey bigint, ps_suppkey bigint, ps_availqty int, ps_supplycost numeric(15, 2), ps_comment varchar(199),
                       PRIMARY KEY (ps_partkey, ps_suppkey));
CREATE TABLE customer (c_custkey bigint PRIMARY KEY, c_name varchar(25), c_address varchar(40), c_nationkey bigint, c_phone char(15),
                       c_acctbal numeric(15, 2), c_mktsegment char(10), c_comment varchar(117));
CREATE TABLE tpch_orders (o_orderkey bigint PRIMARY KEY, o_custkey bigint, o_orderstatus char(1), o_totalprice numeric(15, 2), o_orderdate date,
                          o_orderpriority char(15), o_clerk char(15), o_shippriority int, o_comment varchar(79));
CREATE TABLE lineitem (l_orderkey bigint, l_partkey bigint, l_suppkey bigint, l_linenumber int, l_quantity numeric(15, 2),
                       l_extendedprice numeric(15, 2), l_discount numeric(15, 2), l_tax numeric(15, 2), l_returnflag char(1), l_linestatus char(1),
                       l_shipdate date, l_commitdate date, l_receiptdate date, l_shipinstruct char(25), l_shipmode char(10), l_comment varchar(44),
                       PRIMARY KEY (l_orderkey, l_linenumber));

INSERT INTO region SELECT n, (ARRAY['AFRICA', 'AMERICA', 'ASIA', 'EUROPE', 'MIDDLE EAST'])[n + 1], 'region ' || n FROM generate_series(0, 4) n;
INSERT INTO nation
SELECT n - 1, (ARRAY['ALGERIA', 'ARGENTINA', 'BRAZIL', 'CANADA', 'EGYPT', 'ETHIOPIA', 'FRANCE', 'GERMANY', 'INDIA', 'INDONESIA', 'IRAN', 'IRAQ',
                     'JAPAN', 'JORDAN', 'KENYA', 'MOROCCO', 'MOZAMBIQUE', 'PERU', 'CHINA', 'ROMANIA', 'SAUDI ARABIA', 'VIETNAM', 'RUSSIA',
                     'UNITED KINGDOM', 'UNITED STATES'])[n],
       (ARRAY[0, 1, 1, 1, 4, 0, 3, 3, 2, 2, 4, 4, 2, 4, 0, 0, 0, 1, 2, 3, 4, 2, 3, 3, 1])[n], 'nation ' || n FROM generate_series(1, 25) n;
INSERT INTO supplier
SELECT n, 'Supplier#' || lpad(n::text, 9, '0'), 'address ' || n, n * 7 % 25, 10 + n * 7 % 25 || '-555-' || n, (n * 7919 % 1099800 - 99900) / 100.0,
       CASE WHEN n % 17 = 0 THEN 'they had Customer many Complaints' ELSE 'comment ' || n END
  FROM generate_series(1, 40) n;
INSERT INTO part
SELECT n, (ARRAY['green', 'forest', 'almond', 'blue', 'ivory'])[n % 5 + 1] || ' ' || (ARRAY['metallic', 'green', 'plum'])[n % 3 + 1],
       'Manufacturer#' || n % 5 + 1, 'Brand#' || n % 5 + 1 || n / 5 % 5 + 1,
       (ARRAY['STANDARD', 'SMALL', 'MEDIUM', 'LARGE', 'ECONOMY', 'PROMO'])[n % 6 + 1] || ' ' || (ARRAY['ANODIZED', 'BURNISHED', 'PLATED', 'POLISHED'])[n % 4 + 1]
         || ' ' || (ARRAY['TIN', 'NICKEL', 'BRASS', 'STEEL', 'COPPER'])[n % 5 + 1],
       n * 11 % 50 + 1, (ARRAY['SM', 'LG', 'MED', 'JUMBO', 'WRAP'])[n % 5 + 1] || ' ' || (ARRAY['CASE', 'BOX', 'BAG', 'PKG', 'PACK'])[n / 5 % 5 + 1],
       900 + n % 200 + n / 100.0, 'part ' || n
  FROM generate_series(1, 300) n;
INSERT INTO partsupp
SELECT p, (p + i * 10) % 40 + 1, (p * 31 + i * 97) % 9999 + 1, (p * 53 + i * 211) % 100000 / 100.0, 'partsupp'
  FROM generate_series(1, 300) p, generate_series(0, 3) i;
INSERT INTO customer
SELECT n, 'Customer#' || lpad(n::text, 9, '0'), 'address ' || n, n * 11 % 25, 10 + n * 11 % 25 || '-555-' || n, (n * 6971 % 1099800 - 99900) / 100.0,
       (ARRAY['AUTOMOBILE', 'BUILDING', 'FURNITURE', 'MACHINERY', 'HOUSEHOLD'])[n % 5 + 1], 'customer ' || n
  FROM generate_series(1, 200) n;
INSERT INTO tpch_orders
SELECT n, n * 13 % 200 + 1, (ARRAY['F', 'O', 'P'])[n % 3 + 1], 1000 + n * 7919 % 400000 / 1.01, DATE '1992-01-01' + n * 37 % 2400,
       (ARRAY['1-URGENT', '2-HIGH', '3-MEDIUM', '4-NOT SPECIFIED', '5-LOW'])[n % 5 + 1], 'Clerk#' || n % 10, 0,
       CASE WHEN n % 11 = 0 THEN 'some special handling requests' ELSE 'order ' || n END
  FROM generate_series(1, 1500) n WHERE n * 13 % 200 % 3 > 0;
INSERT INTO lineitem
SELECT o_orderkey, (o_orderkey * 7 + i * 3) % 300 + 1, ((o_orderkey * 7 + i * 3) % 300 + 1 + (o_orderkey + i) % 4 * 10) % 40 + 1, i,
       (o_orderkey * 17 + i * 5) % 50 + 1 + CASE WHEN o_orderkey % 97 = 0 THEN 60 ELSE 0 END,
       (o_orderkey * 331 + i * 1013) % 90000 / 1.0 + 900, (o_orderkey + i) % 11 / 100.0, (o_orderkey + i) % 9 / 100.0,
       (ARRAY['R', 'A', 'N'])[(o_orderkey + i) % 3 + 1], (ARRAY['O', 'F'])[(o_orderkey + i) % 2 + 1],
       o_orderdate + (o_orderkey * 3 + i * 11)::int % 121 + 1, o_orderdate + 30 + (o_orderkey * 7 + i * 13)::int % 61,
       o_orderdate + (o_orderkey * 3 + i * 11)::int % 121 + 2 + (o_orderkey + i)::int % 30,
       (ARRAY['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'])[(o_orderkey + i) % 4 + 1],
       (ARRAY['AIR', 'AIR REG', 'MAIL', 'SHIP', 'RAIL', 'TRUCK', 'FOB'])[(o_orderkey + i) % 7 + 1], 'line'
  FROM tpch_orders, generate_series(1, 4) i WHERE i <= o_orderkey % 4 + 1;
GRANT SELECT ON region, nation, supplier, part, partsupp, customer, tpch_orders, lineitem TO app;
ANALYZE region, nation, supplier, part, partsupp, customer, tpch_orders, lineitem;
