// Checks of node-postgres against the server of the environment; prints "ok NAME" for each.
'use strict';
const assert = require('assert');
const { Client, Pool } = require('pg');
const Cursor = require('pg-cursor');

const options = { ssl: process.env.CHECK_TLS ? { rejectUnauthorized: false } : false };

async function client(more = {}) {
  const made = new Client({ ...options, ...more });
  await made.connect();
  return made;
}

async function refused(promise, code) {
  await assert.rejects(promise, (e) => e.code === code || assert.fail(`${e.code} ${e.message} instead of ${code}`));
}

const checks = {
  async values() {
    const c = await client();
    const { rows } = await c.query('SELECT $1::int8 AS big, $2::text AS text, $3::jsonb AS json, $4::bytea AS bytes, $5::int[] AS list, $6::timestamptz AS at',
      ['9007199254740993', 'ä\'"', { a: [1] }, Buffer.from([0, 255]), [1, null, 3], new Date(0)]);
    assert.deepStrictEqual(rows, [{ big: '9007199254740993', text: 'ä\'"', json: { a: [1] }, bytes: Buffer.from([0, 255]), list: [1, null, 3], at: new Date(0) }]);
    const empty = await c.query('');
    assert.strictEqual(empty.command, null);
    await c.end();
  },
  async errors() {
    const c = await client();
    await refused(c.query('SELECT * FROM nowhere'), '42P01');
    await refused(c.query('SELECT $1::int / 0', [1]), '22012');
    await refused(c.query('SELECT $1::int', ['x']), '22P02');
    assert.strictEqual((await c.query('SELECT 1 AS n')).rows[0].n, 1);
    await c.end();
    await refused(client({ password: 'wrong' }), '28P01');
    await refused(client({ database: 'nowhere' }), '3D000');
  },
  async transactions() {
    const c = await client();
    await c.query('DROP TABLE IF EXISTS node_t; CREATE TABLE node_t (id int PRIMARY KEY, name text)');
    await c.query('BEGIN');
    await c.query('INSERT INTO node_t VALUES ($1, $2)', [1, 'a']);
    await c.query('SAVEPOINT s');
    await refused(c.query('INSERT INTO node_t VALUES ($1, $2)', [1, 'b']), '23505');
    await refused(c.query('SELECT 1'), '25P02');
    await c.query('ROLLBACK TO s');
    await c.query('COMMIT');
    await c.query('BEGIN');
    await c.query('DELETE FROM node_t');
    await c.query('ROLLBACK');
    assert.deepStrictEqual((await c.query('SELECT * FROM node_t')).rows, [{ id: 1, name: 'a' }]);
    await c.end();
  },
  async prepared() {
    const many = await Promise.all([client(), client(), client()]);
    for (let turn = 0; turn < 5; ++turn) {
      // The same name for another text on each client.
      const answers = await Promise.all(many.map((c, i) => c.query({ name: 'same', text: `SELECT $1::int + ${i} AS n`, values: [turn] })));
      assert.deepStrictEqual(answers.map((a) => a.rows[0].n), [turn, turn + 1, turn + 2]);
    }
    await Promise.all(many.map((c) => c.end()));
  },
  async 'several results'() {
    const c = await client();
    const results = await c.query('SELECT 1 AS a; SELECT 2 AS b; CREATE TEMP TABLE gone (n int)');
    assert.deepStrictEqual(results.map((r) => r.command), ['SELECT', 'SELECT', 'CREATE']);
    await c.end();
  },
  async cursor() {
    const c = await client();
    const cursor = c.query(new Cursor('SELECT n FROM generate_series(1, 1000) n', []));
    let sum = 0;
    for (let rows = await cursor.read(64); rows.length > 0; rows = await cursor.read(64)) sum += rows.reduce((s, r) => s + r.n, 0);
    assert.strictEqual(sum, 500500);
    const early = c.query(new Cursor('SELECT n FROM generate_series(1, 100000) n', []));
    assert.strictEqual((await early.read(3)).length, 3);
    await early.close();
    assert.strictEqual((await c.query("SELECT 'in step' AS x")).rows[0].x, 'in step');
    await c.end();
  },
  async settings() {
    const [a, b] = await Promise.all([client({ application_name: 'node a' }), client({ application_name: 'node b', statement_timeout: 54321 })]);
    await a.query("SET node.tag = 'a'");
    await b.query("SET node.tag = 'b'");
    for (let i = 0; i < 5; ++i) {
      const rows = await Promise.all([a, b].map((c) => c.query("SELECT current_setting('node.tag') AS tag, current_setting('application_name') AS name, current_setting('statement_timeout') AS t")));
      assert.deepStrictEqual(rows.map((r) => r.rows[0]), [{ tag: 'a', name: 'node a', t: '0' }, { tag: 'b', name: 'node b', t: '54321ms' }]);
    }
    await Promise.all([a.end(), b.end()]);
  },
  async notifications() {
    const [listener, speaker] = await Promise.all([client(), client()]);
    const heard = new Promise((resolve) => listener.once('notification', resolve));
    await listener.query('LISTEN node_channel');
    await speaker.query("SELECT pg_notify('node_channel', 'hello')");
    assert.strictEqual((await heard).payload, 'hello');
    await Promise.all([listener.end(), speaker.end()]);
  },
  async 'cancelled by timeout'() {
    const c = await client({ statement_timeout: 50 });
    await refused(c.query('SELECT pg_sleep(30)'), '57014');
    assert.strictEqual((await c.query('SELECT 1 AS n')).rows[0].n, 1);
    await c.end();
  },
  async 'pool of fifty'() {
    const pool = new Pool({ ...options, max: 50 });
    await pool.query('DROP TABLE IF EXISTS node_sum; CREATE TABLE node_sum AS SELECT 0 AS n');
    await Promise.all(Array.from({ length: 50 }, async (_, i) => {
      const c = await pool.connect();
      try {
        for (let turn = 0; turn < 6; ++turn) {
          await c.query('BEGIN');
          await c.query("SELECT set_config('node.tag', $1, true)", [`${i}.${turn}`]);
          await c.query({ name: 'add', text: 'UPDATE node_sum SET n = n + $1', values: [1] });
          assert.strictEqual((await c.query("SELECT current_setting('node.tag') AS tag")).rows[0].tag, `${i}.${turn}`);
          await c.query('COMMIT');
        }
      } finally {
        c.release();
      }
    }));
    await pool.end();
    const c = await client();
    await c.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    assert.strictEqual((await c.query('SELECT n FROM node_sum FOR UPDATE')).rows[0].n, 300);
    await c.query('ROLLBACK');
    await c.end();
  },
};

(async () => {
  for (const [name, check] of Object.entries(checks)) {
    await check();
    console.log(`ok ${name}`);
  }
})().catch((e) => {
  console.error(e);
  process.exit(1);
});
