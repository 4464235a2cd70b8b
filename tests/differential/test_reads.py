"""What applications and reports ask: a fixed list over four shards, each answered as one PostgreSQL answers it."""

from pathlib import Path

import pytest

from braid import Braid, Endpoint, sharded_topology
from cluster import Cluster
from sides import ask, compare, load, sharding_with
from statements import Statement

KEYS = {"shops": "id", "sales": "shop_id", "visits": "shop_id", "stalls": "id"}

# One statement in a line; rows are compared in their order where the statement ends with ORDER BY and more.
GROUPS = {
    "what is no filter on the key, and what is one": """
        SELECT id = 7, name FROM shops ORDER BY id
        SELECT CASE WHEN id = 7 THEN 'this' ELSE name END, id FROM shops ORDER BY id
        SELECT s.id, x.id FROM shops s LEFT JOIN sales x ON x.shop_id = s.id AND s.id = 7 ORDER BY 1, 2
        SELECT s.id, x.shop_id FROM shops s LEFT JOIN sales x ON s.id = 7 AND x.shop_id = 7 AND x.id < 20 ORDER BY 1, 2
        SELECT count(*) FROM shops WHERE id = 7 OR name = 'shop 3'
        SELECT id FROM shops WHERE NOT id = 7 AND id < 20 ORDER BY id
        SELECT id FROM shops WHERE NOT (id = 7 AND name = 'shop 7') AND id < 9 ORDER BY id
        SELECT id FROM shops WHERE (id = 7) IS NOT TRUE AND id < 9 ORDER BY id
        SELECT id FROM shops WHERE id IN (1, 1 + 1, 3 * 5) ORDER BY id
        SELECT id FROM shops WHERE id IN (1, NULL, 17) ORDER BY id
        SELECT id FROM shops WHERE id = '42'
        SELECT id FROM shops WHERE id = 42::bigint OR id = '43'::int8 ORDER BY id
        SELECT id FROM shops WHERE id = -5
        SELECT id FROM shops WHERE id = 4.2e1
        SELECT id FROM shops WHERE id = 42.5
        SELECT id FROM shops WHERE id = 42.0::numeric
        WITH unread AS (SELECT id FROM shops WHERE id = 99999999999999999999::bigint) SELECT 1
        WITH read AS (SELECT id FROM shops WHERE id = 99999999999999999999::bigint) SELECT id FROM read
        SELECT id FROM shops WHERE id = NULL
        SELECT id FROM shops WHERE id = 7 AND id = 8
        SELECT id FROM shops WHERE (id, name) IN ((7, 'shop 7'), (8, 'shop 8'), (9, 'other')) ORDER BY id
        SELECT id FROM shops WHERE (id, name) = (7, 'shop 7')
        SELECT name FROM shops WHERE id = 7 UNION SELECT name FROM shops WHERE id = 8 ORDER BY 1
        SELECT name FROM shops WHERE id = 7 UNION ALL SELECT name FROM shops WHERE id = 44 ORDER BY 1
        SELECT id FROM shops WHERE id IN (5, 6, 7) EXCEPT SELECT shop_id FROM sales WHERE shop_id = 6 ORDER BY 1
        SELECT coalesce(sum(amount), 0), round(avg(amount), 2), sum(amount) / count(*) FROM sales WHERE day > '2030-01-01' HAVING true
        SELECT coalesce(sum(amount), 0), round(avg(amount), 2), sum(amount) / count(*), sum(DISTINCT amount), count(DISTINCT seller) FROM sales
        SELECT min(seller), max(seller), min(name), max(name) FROM shops JOIN sales ON shop_id = shops.id
        SELECT id, count(*) OVER (), rank() OVER (ORDER BY name), sum(id) OVER (PARTITION BY mood ORDER BY id) FROM shops ORDER BY id
        SELECT seller, count(*) FROM sales GROUP BY seller HAVING count(*) > 100 ORDER BY 1
        SELECT upper(seller) AS s, extract(month FROM day), count(*) FROM sales GROUP BY s, 2 ORDER BY 1 DESC NULLS LAST, 2
        SELECT id FROM sales ORDER BY seller NULLS FIRST, amount DESC, id OFFSET 7 LIMIT 5
        SELECT a.id, b.id FROM shops a JOIN shops b ON a.id = b.id + 1 ORDER BY 1
        SELECT sum(x), avg(x), min(x), max(x) FROM (SELECT CASE id % 4 WHEN 0 THEN 'NaN' WHEN 1 THEN '-0' ELSE id::text END::float8 AS x FROM shops) v
        SELECT max(x), min(x), sum(y) FROM (SELECT CASE id % 3 WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity' ELSE '2020-01-01' END::timestamp AS x, 'infinity'::numeric AS y FROM shops) v
    """,
    "a primary key in GROUP BY": """
        SELECT s.id, s.name, count(*) FROM shops s JOIN sales x ON x.shop_id = s.id GROUP BY s.id ORDER BY s.id
        SELECT s.id, s.name, s.mood, count(x.id), sum(x.amount) FROM shops s LEFT JOIN sales x ON x.shop_id = s.id AND x.day < '2024-02-01' GROUP BY s.id HAVING count(x.id) > 2 ORDER BY sum(x.amount) DESC, s.id LIMIT 5
        SELECT s.*, count(*) FROM shops s JOIN visits v ON v.shop_id = s.id GROUP BY s.id ORDER BY s.id
        SELECT id, name, max(day) FROM shops JOIN sales USING (id) GROUP BY shops.id ORDER BY 1
        SELECT name, count(*) FROM shops, sales WHERE shop_id = shops.id GROUP BY shops.id ORDER BY shops.id, name
        SELECT s.id AS shop, upper(s.name) AS n, count(*) FROM shops s JOIN sales x ON x.shop_id = s.id GROUP BY 1 ORDER BY 1
        SELECT s.id AS shop, s.name, count(*) FROM shops s JOIN sales x ON x.shop_id = s.id GROUP BY shop ORDER BY shop
        SELECT (s.name), x.shop_id, x.id, x.amount, count(v.at) FROM sales x JOIN shops s ON s.id = x.shop_id LEFT JOIN visits v ON v.shop_id = s.id GROUP BY x.id, s.id, (x.shop_id) ORDER BY x.id
        SELECT s.name, (SELECT max(v.visitor) FROM visits v WHERE v.visitor < s.name), count(*) FROM shops AS s(id, name) JOIN sales x ON x.shop_id = s.id GROUP BY s.id ORDER BY s.id
        SELECT t.n, count(*) FROM (SELECT s.id, s.name AS n, count(*) AS c FROM shops s JOIN sales x ON x.shop_id = s.id GROUP BY s.id) t GROUP BY t.n ORDER BY 1
        SELECT s.name, count(*) FROM shops s GROUP BY s.name, s.mood ORDER BY s.name, 2
        SELECT s.id, s.name, count(*) FROM shops s GROUP BY ROLLUP (s.id), s.name ORDER BY 1, 2
        SELECT x.amount FROM sales x GROUP BY x.id
    """,
    "names with a schema, ONLY, WITH": """
        SELECT count(*) FROM public.sales
        SELECT sales.seller, sum(sales.amount) FROM public.sales GROUP BY sales.seller ORDER BY 1
        SELECT public.sales.seller, max(public.sales.amount) FROM public.sales GROUP BY public.sales.seller ORDER BY public.sales.seller
        SELECT s.name, sum(amount) FROM public.shops AS s JOIN "public"."sales" ON sales.shop_id = s.id GROUP BY s.name ORDER BY 1
        SELECT count(*) FROM ONLY sales
        SELECT count(*), count(visitor) FROM ONLY public.visits v, shops * WHERE v.shop_id <> shops.id
        SELECT count(*) FROM ONLY (public.visits) v, ONLY(sales) s
        WITH sales AS (SELECT * FROM sales WHERE amount > 300) SELECT count(*), sum(amount) FROM sales
        WITH shops AS (SELECT id FROM public.shops WHERE id < 50), x AS (SELECT shop_id FROM sales) SELECT count(*) FROM shops JOIN x ON x.shop_id = shops.id
        WITH RECURSIVE sales (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM sales WHERE n < 5) SELECT n, (SELECT count(*) FROM public.sales o WHERE o.shop_id = sales.n) FROM sales ORDER BY n
        SELECT count(*) FROM sales WHERE shop_id IN (WITH sales AS (SELECT id FROM shops WHERE id % 3 = 0) SELECT id FROM sales)
        TABLE public.visits ORDER BY shop_id, at LIMIT 4
        (TABLE public.visits EXCEPT ALL TABLE visits) UNION ALL TABLE ONLY public.visits ORDER BY 1, 2 LIMIT 3
    """,
    "views": """
        SELECT * FROM shop_sales ORDER BY id
        SELECT count(*), sum(taken) FROM good_shops
        SELECT g.label, v.visitor FROM good_shops g JOIN visits v ON v.shop_id = g.shop WHERE v.visitor = 'v3' ORDER BY 1, 2
        SELECT * FROM days ORDER BY 1
        SELECT * FROM public.monthly ORDER BY month
        SELECT a.month, b.taken FROM monthly a JOIN monthly b USING (month) ORDER BY 1
        SELECT count(*) FROM flagged f JOIN sales ON sales.shop_id = f.id WHERE rent > 100
        SELECT * FROM shop_sales WHERE id = 7
        SELECT s.id FROM shop_sales s WHERE total > (SELECT avg(taken) FROM good_shops) ORDER BY 1
        SELECT nonsense FROM shop_sales
        WITH good_shops AS (SELECT 1 AS shop) SELECT * FROM good_shops
        SELECT row_to_json(f) FROM flagged f ORDER BY id LIMIT 2
    """,
    "types of one's own and whole rows": """
        SELECT mood, count(*), sum(rent), avg(rent) FROM shops GROUP BY mood ORDER BY mood
        SELECT id, spot, (spot).street, (spot).number FROM shops ORDER BY (spot).street, id LIMIT 7
        SELECT DISTINCT tags FROM shops ORDER BY 1
        SELECT tag, count(*) FROM shops, unnest(tags) AS tag GROUP BY tag ORDER BY tag
        SELECT info->>'size' AS size, count(*) FROM shops WHERE info @> '{"open": true}' GROUP BY 1 ORDER BY 1
        SELECT jsonb_agg(info ORDER BY id) FROM shops WHERE id < 6
        SELECT max(mood), min(mood), array_agg(DISTINCT mood) FROM shops
        SELECT s.id FROM shops s WHERE s.mood = 'happy'::mood ORDER BY s.rent DESC NULLS LAST, s.id LIMIT 3
        SELECT row_to_json(s) FROM shops s ORDER BY s.id LIMIT 3
        SELECT json_agg(x ORDER BY x.id) FROM sales x WHERE x.id < 5
        SELECT count(s), count(DISTINCT s) FROM shops s
        SELECT s::text, s.* IS NOT NULL FROM shops s ORDER BY s.id LIMIT 2
        SELECT ROW(s.*), json_build_object('shop', s) FROM shops AS s ORDER BY s.id DESC LIMIT 2
        SELECT g, tag, count(*) FROM generate_series(1, 3) AS g, shops, unnest(tags) AS tag WHERE id % 3 = g GROUP BY g, tag ORDER BY 1, 2
        SELECT s.id, to_jsonb(x) FROM shops s LEFT JOIN sales x ON x.shop_id = s.id AND x.id < 20 ORDER BY s.id, x.id LIMIT 30
        SELECT s IS NULL, x IS NOT NULL, count(*) FROM shops s FULL JOIN visits x ON x.shop_id = s.id + 150 GROUP BY 1, 2 ORDER BY 1, 2
    """,
    "keys": """
        SELECT count(*) FROM sales WHERE shop_id = ANY ('{1,2,3}'::bigint[])
        SELECT shop_id, sum(amount) FROM sales WHERE shop_id = ANY (ARRAY[1, 2, 3, NULL]) GROUP BY 1 ORDER BY 1
        SELECT count(*) FROM sales WHERE shop_id = 40 + 2
        SELECT id FROM sales WHERE shop_id = abs(-7) ORDER BY id
        SELECT count(*), max(id) FROM sales WHERE shop_id BETWEEN 10 AND 5
        SELECT id FROM sales WHERE shop_id BETWEEN 5 AND 10 AND shop_id > 12
        SELECT shop_id, id FROM sales WHERE shop_id IN (3, 4, 5) ORDER BY id DESC LIMIT 6
        SELECT * FROM sales WHERE shop_id = 5 OR shop_id = 9 ORDER BY shop_id, id
        SELECT count(*) FROM shops a JOIN shops b ON b.id = a.id + 1 WHERE a.id = 5
        SELECT count(*) FROM shops a, shops b WHERE a.id = 5 AND b.id = 6
        SELECT count(*) FROM sales WHERE (shop_id, id) IN ((1, 200), (2, 1), (3, 2))
        SELECT count(*) FROM shops WHERE id = (SELECT max(shop_id) FROM sales)
        SELECT count(*) FROM shops WHERE id NOT IN (SELECT shop_id FROM visits)
    """,
    "reports": """
        SELECT day, sum(amount), sum(sum(amount)) OVER (ORDER BY day) FROM sales GROUP BY day ORDER BY day
        SELECT shop_id, id, rank() OVER (PARTITION BY seller ORDER BY amount DESC, id) FROM sales ORDER BY shop_id, id LIMIT 20
        SELECT seller, mood, grouping(seller, mood), count(*) FROM sales JOIN shops ON shops.id = shop_id GROUP BY CUBE (seller, mood) ORDER BY 1, 2, 3
        SELECT DISTINCT ON (seller) seller, amount, id FROM sales ORDER BY seller, amount DESC, id
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount), mode() WITHIN GROUP (ORDER BY seller) FROM sales
        SELECT date_trunc('week', day)::date AS week, count(*) FILTER (WHERE amount > 500) AS big, string_agg(DISTINCT seller, ',' ORDER BY seller) FROM sales GROUP BY 1 ORDER BY 1
        SELECT s.name, l.amount FROM shops s CROSS JOIN LATERAL (SELECT amount FROM sales x WHERE x.shop_id = s.id ORDER BY amount DESC LIMIT 2) l ORDER BY s.id, l.amount DESC LIMIT 10
        SELECT d::date, coalesce(sum(amount), 0) FROM generate_series(DATE '2024-01-01', DATE '2024-01-10', INTERVAL '1 day') d LEFT JOIN sales ON day = d GROUP BY 1 ORDER BY 1
        WITH RECURSIVE chain AS (SELECT id, 1 AS depth FROM shops WHERE id = 1 UNION ALL SELECT s.id, depth + 1 FROM chain c JOIN shops s ON s.id = c.id + 3 WHERE depth < 6) SELECT * FROM chain ORDER BY depth
        SELECT id FROM shops WHERE EXISTS (SELECT FROM sales WHERE shop_id = shops.id AND amount > 700) INTERSECT SELECT shop_id FROM visits ORDER BY 1
        SELECT shop_id, count(*) FROM sales GROUP BY shop_id HAVING count(*) > (SELECT avg(c) FROM (SELECT count(*) AS c FROM visits GROUP BY shop_id) q) ORDER BY 1 FETCH FIRST 3 ROWS ONLY
        SELECT lag(amount) OVER w, amount, first_value(day) OVER w FROM sales WHERE shop_id < 4 WINDOW w AS (PARTITION BY shop_id ORDER BY id) ORDER BY id
        SELECT count(*), n.name FROM customers c JOIN countries n ON n.code = c.country GROUP BY n.code ORDER BY 2
    """,
    "aggregates in two steps": """
        SELECT (SELECT max(s.amount)) FROM sales s
        SELECT (SELECT count(*) FROM unnest(array_agg(s.seller)) x) FROM sales s
        SELECT (SELECT count(s.amount) FROM (SELECT 1) q) FROM sales s
        SELECT s.seller, (SELECT string_agg(x, ',' ORDER BY x) FROM unnest(ARRAY[s.seller, 'm']) x) FROM sales s
        SELECT count(*) FROM sales
        SELECT count(*), count(seller), sum(amount), avg(amount), min(amount), max(amount), min(seller), max(day) FROM sales
        SELECT count(*), sum(amount), avg(amount), min(seller), bool_and(amount > 1) FROM sales WHERE day > '2030-01-01'
        SELECT seller, count(*) FROM sales GROUP BY seller ORDER BY count(*) DESC, seller NULLS FIRST LIMIT 3 OFFSET 1
        SELECT seller AS who, Sum ( amount ) AS total, AVG(amount)::numeric(10,3) "the ""mean"" x" FROM sales GROUP BY who HAVING count(*) > 100 AND max(amount) < 713 ORDER BY 2 DESC, 1
        SELECT date_trunc('month', day) AS month, count(*) * 2 + 1, sum(amount) / count(*) FROM sales GROUP BY 1 ORDER BY month
        SELECT extract(month FROM day), avg(extract(day FROM day)), sum(id), avg(id), sum(id::int), avg(id::int), sum(id::int2), avg(id::float8) FROM sales GROUP BY extract(month FROM day) ORDER BY 1
        SELECT day, seller, count(*) FILTER (WHERE amount > 300), avg(amount) FILTER (WHERE amount > 700) FROM sales GROUP BY day, sales.seller ORDER BY sales.day DESC, public.sales.seller NULLS LAST LIMIT 20
        SELECT s.name, count(x.id), sum(x.amount), max(x.day) - min(x.day) FROM shops s LEFT JOIN sales x ON x.shop_id = s.id AND x.id % 3 = 0 GROUP BY s.name ORDER BY s.name
        SELECT n.name, count(*) FROM customers c JOIN countries n ON n.code = c.country GROUP BY n.name ORDER BY 1
        SELECT case when amount > 400 then 'big' when amount > 100 then 'middle' else 'small' end AS size, count(*), min(id) FROM sales GROUP BY 1 ORDER BY size
        SELECT amount > 400, every(id > 0), bool_or(seller IS NULL), bit_and(id), bit_or(id) FROM sales GROUP BY amount > 400 ORDER BY 1
        SELECT DISTINCT count(*) FROM sales GROUP BY seller ORDER BY 1
        SELECT upper(seller), lower(seller), count(*) FROM sales GROUP BY seller ORDER BY seller DESC NULLS FIRST
        SELECT coalesce(seller, 'nobody') AS seller, count(*) FROM sales GROUP BY coalesce(seller, 'nobody') ORDER BY 1
        SELECT coalesce(seller, 'nobody') AS seller, count(*) FROM sales GROUP BY seller ORDER BY 1
        SELECT count(*) FROM sales GROUP BY seller, day HAVING sum(amount) > 700 ORDER BY sum(amount), 1
        SELECT count(*) AS n FROM sales HAVING count(*) > 5000
        SELECT 1 FROM sales GROUP BY day
        SELECT mood, count(*), max(tags), min(spot) FROM shops GROUP BY mood ORDER BY mood
        SELECT max(visitor), min(visitor), count(*) FROM visits
        SELECT visitor, count(*), min(at) FROM visits GROUP BY visitor ORDER BY visitor
        SELECT shop_id % 7 AS k, sum(amount), count(*) FROM sales WHERE seller IN (SELECT name FROM countries) OR amount > 200 GROUP BY 1 ORDER BY 1
        SELECT sum(rent), avg(rent), max(rent), rent IS NULL FROM shops GROUP BY rent IS NULL ORDER BY 4
        SELECT sum(rent::float4), avg(rent::float4) > 0, count(*) FROM shops WHERE rent < 300
        SELECT sum(id - 1000), -sum(id), sum(-id), count(id) = count(*) FROM sales
        SELECT avg(at - '2024-01-01'), sum(at - '2024-01-01'), min(at::time), max(at::date) FROM visits
        SELECT count(*) / (count(*) - count(*)) FROM sales
        SELECT sum(amount / (id - 77)) FROM sales
        SELECT sum(9223372036854775807::bigint - id) FROM sales
        SELECT sum(nonsense), count(*) FROM sales
        SELECT seller, amount, count(*) FROM sales GROUP BY seller
        SELECT count(*) FROM sales WHERE day = '2024-01-05' ORDER BY day
        SELECT count(DISTINCT seller), max(DISTINCT amount), sum(amount) FROM sales
        SELECT day::text, count(*) FROM sales GROUP BY day ORDER BY day LIMIT 4
        SELECT count(*), /* FROM shops */ max(seller) AS "FROM" FROM sales GROUP BY 'x' || seller ORDER BY 2
        SELECT seller, count(*) FROM sales x (a, b, day, c, seller) GROUP BY x.seller ORDER BY 1
        SELECT shop_id, day, count(*), sum(sales.amount) FROM sales JOIN visits USING (shop_id) GROUP BY shop_id, day ORDER BY 1, 2 LIMIT 30
        SELECT q.n, count(*) FROM sales, generate_series(1, 2) AS q(n) WHERE id % 2 = q.n - 1 GROUP BY q.n ORDER BY 1
        SELECT greatest(count(*), 5), nullif(count(*), 0), count(*) BETWEEN 1 AND 9999, count(*) IN (1, 2000), count(*) IS DISTINCT FROM 3, NOT bool_and(id > 0) FROM sales
    """,
    "first rows of each shard": """
        SELECT * FROM sales ORDER BY amount DESC, shop_id, id LIMIT 10
        SELECT id, amount FROM sales WHERE seller IS NOT NULL ORDER BY seller DESC, id LIMIT 5 OFFSET 7
        SELECT s.id AS amount, s.seller FROM sales s ORDER BY amount, seller LIMIT 4
        SELECT id, day + 1 AS day FROM sales ORDER BY day DESC, id LIMIT 4
        SELECT upper(seller), id FROM sales ORDER BY upper, id LIMIT 4
        SELECT id, length(name) FROM shops ORDER BY length(name) DESC, name, id FETCH FIRST 6 ROWS ONLY
        SELECT amount FROM sales ORDER BY 1 LIMIT 3
        SELECT visitor, at FROM visits ORDER BY visitor NULLS FIRST, at OFFSET 590
        SELECT visitor FROM visits ORDER BY visitor FETCH FIRST 4 ROWS WITH TIES
        SELECT id FROM shops ORDER BY id LIMIT 0
        SELECT id FROM shops ORDER BY id LIMIT NULL
        SELECT id FROM shops ORDER BY id LIMIT -1
        SELECT id, rank() OVER (ORDER BY rent, id) FROM shops ORDER BY id LIMIT 3
        SELECT DISTINCT seller FROM sales ORDER BY seller LIMIT 3
        SELECT tags FROM shops ORDER BY tags, id LIMIT 3
        SELECT s.spot FROM shops s ORDER BY (s.spot).number DESC LIMIT 3
    """,
    "rows that functions make of one": """
        SELECT unnest(marks) FROM stalls ORDER BY id LIMIT 3
        SELECT unnest(marks), id FROM stalls ORDER BY abs(id), 1 LIMIT 4
        SELECT count(*) FROM (SELECT unnest(marks) AS mark FROM stalls LIMIT 7) q
        SELECT id FROM stalls ORDER BY id, generate_series(1, 2) LIMIT 5
        SELECT id, unnest(marks) FROM stalls ORDER BY id + 0 LIMIT 3 OFFSET 2
        SELECT id, jsonb_array_elements_text(info -> 'kinds') AS kind FROM shops ORDER BY abs(id) DESC, 2 LIMIT 5
        SELECT id, regexp_matches(name, '^stall [34]') FROM stalls ORDER BY id + 0 LIMIT 4
        COPY (SELECT unnest(marks) FROM stalls ORDER BY id LIMIT 3) TO STDOUT
    """,
    "expressions that look alike": """
        SELECT make_interval(days => id::int), make_interval(hours => id::int), count(*) FROM stalls GROUP BY 1, 2
        SELECT array_to_string(marks[:2], '/'), array_to_string(marks[2:], '/'), count(*) FROM stalls GROUP BY 1, 2
        SELECT sales BETWEEN SYMMETRIC 5 AND 1, sales NOT BETWEEN SYMMETRIC 5 AND 1, count(*) FROM stalls GROUP BY 1, 2
        SELECT name AS g, count(*) FROM stalls, generate_series(1, 3) AS g GROUP BY name, g
        SELECT stalls.name AS g, count(*) FROM stalls JOIN (VALUES ('stall 1', 'p'), ('stall 1', 'q')) AS v (code, g) ON v.code = stalls.name GROUP BY stalls.name, g
        SELECT id, p.fee FROM stalls JOIN (SELECT DISTINCT ON (name) name, fee FROM prices) p ON p.name = stalls.name
        SELECT id, (ARRAY(SELECT fee FROM prices ORDER BY fee DESC))[1] FROM stalls
    """,
    "the alias of USING": """
        SELECT ja.shop_id, s.amount FROM sales s JOIN visits v USING (shop_id) AS ja
        SELECT ja.*, ja.shop_id = s.shop_id FROM sales s JOIN visits USING (shop_id) AS ja WHERE ja.shop_id = 5
        SELECT ja FROM sales JOIN visits USING (shop_id) AS ja WHERE ja.shop_id < 9
        SELECT row_to_json(ja), count(ja.*) FROM sales JOIN visits USING (shop_id) AS ja GROUP BY ja.*
        SELECT ja.shop_id, count(*), sum(amount) FROM sales JOIN visits USING (shop_id) AS ja GROUP BY ja.shop_id ORDER BY ja.shop_id
        SELECT ja.shop_id, s.amount, v.at FROM sales s JOIN visits v USING (shop_id) AS ja ORDER BY ja.shop_id, s.id, v.at LIMIT 20
        SELECT ja.id, shops.name, count(*) FROM shops JOIN sales USING (id) AS ja GROUP BY ja.id ORDER BY 1
        SELECT ja.id, shops.name, count(*) FROM shops LEFT JOIN sales USING (id) AS ja GROUP BY ja.id ORDER BY 1
        SELECT ja.id, shops.name, count(*) FROM sales RIGHT JOIN shops USING (id) AS ja GROUP BY ja.id ORDER BY 1
        SELECT ja.id, shops.name, count(*) FROM sales FULL JOIN shops USING (id) AS ja GROUP BY ja.id ORDER BY 1
        SELECT ja.id, count(*) FROM sales FULL JOIN shops USING (id) AS ja GROUP BY ja.id ORDER BY 1
        SELECT ja.id FROM stalls JOIN shops USING (id) AS ja ORDER BY ja.id
        SELECT sum(ja.id), sum(id), max(ja.id) FROM shops JOIN stalls USING (id) AS ja
        SELECT ja.name FROM stalls JOIN shops USING (id) AS ja
        SELECT * FROM (shops JOIN stalls USING (id) AS ja) AS o WHERE ja.id = 4
        SELECT count(*) FROM sales a JOIN visits b USING (shop_id) AS x JOIN shops v ON v.id = x.shop_id AND x.shop_id IN (3, 5)
        SELECT x.shop_id FROM sales a JOIN visits b USING (shop_id) AS x WHERE EXISTS (SELECT FROM shops s WHERE s.id = x.shop_id AND s.mood = 'sad')
        SELECT a.id FROM shops a JOIN stalls USING (id) AS a
        SELECT j.shop_id FROM sales JOIN visits USING (shop_id) AS j WHERE j.shop_id IN (4, 5) FOR UPDATE OF sales
        SELECT j.shop_id FROM sales JOIN visits USING (shop_id) AS j FOR UPDATE OF j
    """,
    "columns merged of two types": """
        SELECT id FROM stalls JOIN shops USING (id) ORDER BY id
        SELECT id FROM shops JOIN stalls USING (id) ORDER BY id LIMIT 7
        SELECT id FROM stalls LEFT JOIN shops USING (id) ORDER BY id DESC LIMIT 2
        SELECT id, shops.name FROM shops RIGHT JOIN stalls USING (id) ORDER BY id LIMIT 3
        SELECT id FROM stalls JOIN shops USING (id) ORDER BY stalls.id LIMIT 3
        SELECT stalls.id, sales FROM stalls NATURAL JOIN prices ORDER BY sales, stalls.id
        SELECT stalls.id FROM stalls JOIN shops ON shops.id = stalls.id ORDER BY stalls.id DESC LIMIT 3
    """,
    "merged in their order": """
        SELECT * FROM sales ORDER BY id
        SELECT shop_id, id, amount FROM sales ORDER BY amount DESC, id
        SELECT id, rent FROM shops ORDER BY rent DESC, id DESC
        SELECT id, rent FROM shops ORDER BY rent NULLS FIRST, 1 LIMIT 30
        SELECT id, day AS d FROM sales ORDER BY d DESC, id LIMIT 100
        SELECT visitor, at, shop_id FROM visits ORDER BY visitor, at
        SELECT visitor, at FROM visits ORDER BY visitor DESC NULLS LAST, at DESC LIMIT 150
        SELECT at FROM visits ORDER BY at
        SELECT seller, id FROM sales ORDER BY seller, id
        SELECT s.id, x.id AS x, x.amount FROM shops s LEFT JOIN sales x ON x.shop_id = s.id AND x.id % 2 = 0 ORDER BY x.id, s.id
        SELECT id FROM sales WHERE shop_id IN (1, 2, 3, 4, 5) ORDER BY id DESC
        SELECT id FROM sales WHERE false ORDER BY id
        SELECT id FROM sales ORDER BY id LIMIT 0
        SELECT s.name, s.id, repeat('x', 3000) FROM shops s ORDER BY id DESC
        SELECT id, amount FROM sales WHERE 1 / (id - 1500) = 0 ORDER BY id
        SELECT nonsense FROM sales ORDER BY id
        SELECT id FROM sales ORDER BY nonsense
    """,
    "functions": """
        SELECT twice(sum(amount)), thrice(max(amount)) FROM sales
        SELECT spoken(id::int) AS s, count(*) FROM shops GROUP BY 1 ORDER BY 1 LIMIT 5
        SELECT id, spoken(spoken(id::int)) FROM shops WHERE spoken(id::int) % 3 = 0
        SELECT label(id, name), count(*) FROM shops WHERE id < 30 GROUP BY 1 ORDER BY 1
        SELECT id, thrice(amount) FROM sales WHERE thrice(amount) > 2000 ORDER BY id
        SELECT twice(rent) FROM shops WHERE id = 5
        SELECT current_database(), version(), pg_typeof(max(amount)), count(*) FROM sales
        SELECT max(make_interval(days => id::int, hours => 3)) FROM sales
        SELECT id FROM shops WHERE id BETWEEN SYMMETRIC 9 AND 5 ORDER BY id
        SELECT count(*) FROM shops WHERE id NOT BETWEEN SYMMETRIC 9 AND 5
    """,
    "functions that are told by their schema": """
        SELECT replace(name, 'SHOP', 'x') FROM shops WHERE id < 20 ORDER BY id
        SELECT year_of(day), count(*) FROM sales GROUP BY 1
        SELECT count(*) FROM shops WHERE replace(name, 'shop ', '') = '7'
    """,
    "walks of a graph": """
        WITH RECURSIVE t(id, next) AS (SELECT id, id + 50 FROM shops WHERE id < 4 UNION ALL SELECT s.id, s.id + 50 FROM t JOIN shops s ON s.id = t.next) SEARCH DEPTH FIRST BY id SET place SELECT id, next FROM t ORDER BY place
        WITH RECURSIVE t(id) AS (SELECT 1::bigint UNION ALL SELECT s.id % 3 + 1 FROM t JOIN shops s ON s.id = t.id) CYCLE id SET round USING path SELECT id, round FROM t ORDER BY 1, 2
        WITH RECURSIVE t(id) AS (SELECT id FROM shops WHERE id = 5 UNION ALL SELECT id + 1 FROM t WHERE id < 8) SEARCH BREADTH FIRST BY id SET place SELECT count(*), max(t.id) FROM t JOIN sales ON shop_id = t.id
    """,
    "COPY": """
        COPY (SELECT * FROM sales ORDER BY shop_id, id) TO STDOUT
        COPY (SELECT seller, sum(amount) FROM public.sales GROUP BY 1 ORDER BY 1) TO STDOUT WITH (FORMAT csv, HEADER, FORCE_QUOTE (seller))
        COPY (SELECT id, 'it''s \\\\ (' || name, spot, info FROM shops ORDER BY id) TO STDOUT CSV
        COPY (SELECT id FROM shops WHERE id IN (1, 2, 3) ORDER BY id) TO STDOUT (FORMAT binary)
        COPY (SELECT * FROM shop_sales ORDER BY id) TO STDOUT (DELIMITER '|', NULL 'none')
        COPY shops TO STDOUT
        COPY sales (seller, id) TO STDOUT WITH (FORMAT csv, HEADER)
        COPY public.visits TO STDOUT
        COPY (SELECT nonsense FROM sales) TO STDOUT
        COPY (WITH a AS (SELECT 1) SELECT count(*) FROM sales, a) TO STDOUT
        COPY (VALUES (1), (2)) TO STDOUT
    """,
}


def check(two_sides, statement):
    one, many = (ask(client, statement) for client in two_sides)
    assert compare(statement, one, many) is True, f"{statement.sql}: {compare(statement, one, many)} {many[4]}"


def statements():
    return [(group, line.strip()) for group, lines in GROUPS.items() for line in lines.strip().splitlines()]


@pytest.fixture(scope="module")
def two_sides():
    """(one PostgreSQL with all rows, pgbraid over four shards), as raw clients."""
    whole, parts = Cluster(shards=1, replicas=0), Cluster(shards=4, replicas=0)
    try:
        whole.start(), parts.start()
        load(whole, parts, Path(__file__).with_name("shops.sql").read_text(), KEYS)
        topology = sharded_topology(parts)
        with Braid(sharded_topology(parts, sharding=sharding_with(topology, KEYS, ["prices"]))) as braid:
            one, many = Endpoint(whole.shards[0].primary.port).raw(), braid.raw()
            yield one, many
            one.close(), many.close()
    finally:
        whole.stop(), parts.stop()


@pytest.mark.parametrize("sql", [pytest.param(sql, id=f"{group} {i}") for i, (group, sql) in enumerate(statements())])
def test_read(two_sides, sql):
    ordered = "ORDER BY" in sql.rsplit(")", 1)[-1]
    check(two_sides, Statement(sql, ordered=ordered))


@pytest.mark.parametrize("sql", [
    "SELECT s.id, s.name, count(*) FROM shops s JOIN sales x ON x.shop_id = s.id WHERE s.id < $1 GROUP BY s.id ORDER BY s.id",
    "SELECT shop_id, count(*) FROM public.sales WHERE shop_id IN ($1, $2, $3) GROUP BY 1 ORDER BY 1",
    "SELECT * FROM sales WHERE shop_id IN ($1, $2, $3)", "SELECT * FROM good_shops WHERE shop > $1 ORDER BY 1",
    "SELECT count(*), sum(amount), $1 + count(*) FROM sales", "SELECT seller, count(*) FROM sales WHERE id < $1 * 100 AND amount > $2 GROUP BY 1 ORDER BY 1",
    "SELECT count(*) FILTER (WHERE id > $2) FROM sales WHERE id > $1 HAVING count(*) > $3", "SELECT count(*) FROM sales WHERE id > $1 AND amount > $1",
    "SELECT id FROM sales WHERE id > $1 ORDER BY amount, id LIMIT $2", "SELECT id FROM sales WHERE id > $1 AND amount < $2 * 50 ORDER BY amount, id LIMIT 4",
    "SELECT max(id + $1), $2 FROM sales GROUP BY seller ORDER BY 1", "SELECT sum(amount) FROM sales LIMIT $1",
    "SELECT id, amount FROM sales WHERE id > $1 ORDER BY amount DESC, id", "SELECT id FROM sales WHERE id % $1 = 0 ORDER BY 1 DESC LIMIT 9",
    "SELECT row_to_json(s) FROM shops s WHERE id < $1 ORDER BY id", "SELECT count(*) FROM sales WHERE shop_id = $1 + $2",
    "SELECT id FROM shops WHERE id IN (1, $1, NULL) ORDER BY id", "SELECT id FROM shops WHERE (id, name) IN (($1, 'shop 5'), (8, 'shop ' || $2)) ORDER BY id"])
def test_read_with_parameters(two_sides, sql):
    values = tuple(range(5, 5 + sql.count("$")))
    check(two_sides, Statement(sql, values, ordered="ORDER BY" in sql))


@pytest.mark.parametrize("value", ["{7}", "{7,8,NULL,200}", "{}", "{{1,2},{3,4}}"])
def test_read_with_an_array(two_sides, value):
    check(two_sides, Statement("SELECT id FROM shops WHERE id = ANY ($1) ORDER BY id", (value,), ordered=True, types=(1016,)))


@pytest.mark.parametrize("sql", [
    "SELECT counted()", "SELECT indirect()", "SELECT asking(1)", "SELECT mixed(1)", "SELECT asking(id::int), count(*) FROM shops GROUP BY 1",
    "SELECT s FROM shops s ORDER BY id", "SELECT array_agg(s) FROM shops s", "SELECT count(*) FROM sales TABLESAMPLE SYSTEM (100)",
    "SELECT max(xmin::text) FROM shops", "SELECT pg_relation_size('sales'), count(*) FROM sales"])
def test_refused(two_sides, sql):
    """What each shard would answer for itself alone."""
    refused = ask(two_sides[1], Statement(sql))[4]
    assert refused[0]["C"] == "0A000" and refused[0]["H"], refused


@pytest.mark.parametrize("sql,lines", [
    ("EXPLAIN SELECT count(*) FROM sales", ["in two steps", "Aggregate", "Shard "]),
    ("EXPLAIN (ANALYZE, COSTS OFF) SELECT id, name FROM shops ORDER BY name", ["rows are gathered", "Execution Time"]),
    ("EXPLAIN VERBOSE (SELECT max(id) FROM sales)", ["Asked of each shard", "Scan"]),
    ("EXPLAIN WITH a AS (SELECT id FROM shops) SELECT count(*) FROM a", ["rows are gathered", "Asked of each shard"]),
    ("EXPLAIN SELECT day FROM visits JOIN sales USING (shop_id)", ["pgbraid: ", "Scan"])])
def test_explain(two_sides, sql, lines):
    many = ask(two_sides[1], Statement(sql))
    text = "\n".join(row[0].decode() for row in many[2])
    assert many[0] is None and all(line in text for line in lines), many
    assert many[1] == ask(two_sides[0], Statement(sql))[1] and many[3] == ["EXPLAIN"]


def test_a_cursor(two_sides):
    for client in two_sides:
        client.query("BEGIN")
    for sql in ("DECLARE c SCROLL CURSOR FOR SELECT s.id, s.name, count(*) FROM shops s JOIN public.sales x ON x.shop_id = s.id GROUP BY s.id ORDER BY s.id",
                "FETCH 3 FROM c", "FETCH BACKWARD 2 FROM c", "MOVE 10 IN c", "FETCH c", "SELECT count(*) FROM visits", "FETCH LAST FROM c", "CLOSE c", "FETCH c"):
        check(two_sides, Statement(sql, ordered=True))
    for client in two_sides:
        client.query("ROLLBACK")
