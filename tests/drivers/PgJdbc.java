// Checks of pgjdbc against the URL of the command line; prints "ok NAME" for each.
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.postgresql.PGConnection;

public class PgJdbc {
  static String url;

  interface Check { void run() throws Exception; }

  static Connection connect() throws SQLException { return DriverManager.getConnection(url); }

  static void same(Object expected, Object got) {
    if (!expected.equals(got)) throw new AssertionError("expected " + expected + ", got " + got);
  }

  static void refused(String state, Check check) throws Exception {
    try {
      check.run();
    } catch (SQLException e) {
      if (!state.equals(e.getSQLState())) throw new AssertionError("expected " + state + ", got " + e.getSQLState(), e);
      return;
    }
    throw new AssertionError("not refused with " + state);
  }

  static Object one(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(sql)) {
      r.next();
      return r.getObject(1);
    }
  }

  static void run(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement()) { s.execute(sql); }
  }

  static void values() throws Exception {
    try (Connection c = connect(); PreparedStatement s = c.prepareStatement("SELECT ?::int8, ?::text, ?::bytea, ?::numeric, ?::bool, ?::float8")) {
      for (int i = 0; i < 12; ++i) {
        s.setLong(1, 1L << 40);
        s.setString(2, "ä'" + i);

        s.setBytes(3, new byte[] {0, (byte) 255});
        s.setBigDecimal(4, new BigDecimal("1.50"));
        s.setBoolean(5, true);
        s.setDouble(6, 0.1);
        try (ResultSet r = s.executeQuery()) {
          r.next();
          same(1L << 40, r.getLong(1));
          same("ä'" + i, r.getString(2));
          same(true, Arrays.equals(new byte[] {0, (byte) 255}, r.getBytes(3)));
          same(new BigDecimal("1.50"), r.getBigDecimal(4));
          same(true, r.getBoolean(5));
          same(0.1, r.getDouble(6));
        }
      }
    }
  }

  static void errors() throws Exception {
    try (Connection c = connect()) {
      refused("42P01", () -> one(c, "SELECT * FROM nowhere"));
      refused("22012", () -> one(c, "SELECT 1 / 0"));
      refused("42601", () -> one(c, "SELEC 1"));
      same(1, one(c, "SELECT 1"));
    }
    refused("28P01", () -> DriverManager.getConnection(url.replace("password=", "password=x")).close());
  }

  // From the fifth execution on the statement has a name on the server, and results come in binary.
  static void threshold() throws Exception {
    try (Connection a = connect(); Connection b = connect();
         PreparedStatement x = a.prepareStatement("SELECT ?::int + 1, now() IS NOT NULL");
         PreparedStatement y = b.prepareStatement("SELECT ?::int + 2, current_date IS NOT NULL")) {
      for (int i = 0; i < 15; ++i) {
        for (PreparedStatement s : List.of(x, y)) {
          s.setInt(1, i);
          try (ResultSet r = s.executeQuery()) {
            r.next();
            same(i + (s == x ? 1 : 2), r.getInt(1));
          }
        }
      }
      for (int n = 0; n < 300; ++n) {
        try (PreparedStatement s = a.prepareStatement("SELECT ?::int + " + n)) {
          ((org.postgresql.PGStatement) s).setPrepareThreshold(1);
          s.setInt(1, 1);
          try (ResultSet r = s.executeQuery()) {
            r.next();
            same(n + 1, r.getInt(1));
          }
        }
      }
    }
  }

  static void transactions() throws Exception {
    try (Connection c = connect()) {
      run(c, "DROP TABLE IF EXISTS jdbc_t");
      run(c, "CREATE TABLE jdbc_t (id int PRIMARY KEY, name text)");
      c.setAutoCommit(false);
      run(c, "INSERT INTO jdbc_t VALUES (1, 'a')");
      Savepoint s = c.setSavepoint();
      refused("23505", () -> run(c, "INSERT INTO jdbc_t VALUES (1, 'b')"));
      refused("25P02", () -> run(c, "SELECT 1"));
      c.rollback(s);
      c.commit();
      run(c, "DELETE FROM jdbc_t");
      c.rollback();
      same("a", one(c, "SELECT name FROM jdbc_t"));
      c.commit();
      c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
      same("serializable", one(c, "SHOW transaction_isolation"));
      c.commit();
      c.setReadOnly(true);
      refused("25006", () -> run(c, "DELETE FROM jdbc_t"));
      c.rollback();
    }
  }

  static void batches() throws Exception {
    try (Connection c = connect()) {
      run(c, "DROP TABLE IF EXISTS jdbc_b");
      run(c, "CREATE TABLE jdbc_b (id int PRIMARY KEY, name text)");
      try (PreparedStatement s = c.prepareStatement("INSERT INTO jdbc_b VALUES (?, ?)")) {
        for (int i = 0; i < 500; ++i) {
          s.setInt(1, i);
          s.setString(2, "x".repeat(200));
          s.addBatch();
        }
        same(500, s.executeBatch().length);
        for (int i = 498; i < 502; ++i) {
          s.setInt(1, i);
          s.setString(2, "y");
          s.addBatch();
        }
        try {
          s.executeBatch();
          throw new AssertionError("accepted");
        } catch (BatchUpdateException e) {
          same("23505", e.getSQLState());
        }
      }
      same(500L, one(c, "SELECT count(*) FROM jdbc_b"));
      try (PreparedStatement s = c.prepareStatement("INSERT INTO jdbc_b VALUES (1000, 'k')", Statement.RETURN_GENERATED_KEYS)) {
        same(1, s.executeUpdate());
        try (ResultSet r = s.getGeneratedKeys()) {
          r.next();
          same(1000, r.getInt(1));
        }
      }
    }
  }

  static void fetch_size() throws Exception {
    try (Connection c = connect()) {
      c.setAutoCommit(false);
      try (PreparedStatement s = c.prepareStatement("SELECT n FROM generate_series(1, ?) n")) {
        s.setFetchSize(50);
        s.setInt(1, 1000);
        long sum = 0;
        try (ResultSet r = s.executeQuery()) {
          while (r.next()) {
            sum += r.getInt(1);
            if (r.getInt(1) == 500) same(1, one(c, "SELECT 1"));
          }
        }
        same(500500L, sum);
      }
      c.commit();
    }
  }

  static void copy() throws Exception {
    try (Connection c = connect()) {
      run(c, "DROP TABLE IF EXISTS jdbc_c");
      run(c, "CREATE TABLE jdbc_c (id int, name text)");
      var manager = c.unwrap(PGConnection.class).getCopyAPI();
      StringBuilder rows = new StringBuilder();
      for (int i = 0; i < 5000; ++i) rows.append(i).append("\tname ").append(i).append('\n');
      same(5000L, manager.copyIn("COPY jdbc_c FROM STDIN", new StringReader(rows.toString())));
      StringWriter out = new StringWriter();
      manager.copyOut("COPY (SELECT * FROM jdbc_c ORDER BY id) TO STDOUT", out);
      same(rows.toString(), out.toString());
      refused("22P04", () -> manager.copyIn("COPY jdbc_c FROM STDIN", new StringReader("1\t2\t3\n")));
      same(5000L, one(c, "SELECT count(*) FROM jdbc_c"));
    }
  }

  static void settings() throws Exception {
    try (Connection a = connect(); Connection b = connect()) {
      run(a, "SET jdbc.tag = 'a'");
      run(b, "SET jdbc.tag = 'b'");
      a.setSchema("pg_catalog");
      for (int i = 0; i < 6; ++i) {
        same("a", one(a, "SELECT current_setting('jdbc.tag')"));
        same("b", one(b, "SELECT current_setting('jdbc.tag')"));
        same("pg_catalog", a.getSchema());
        same("public", b.getSchema());
      }
    }
  }

  static void cancel() throws Exception {
    try (Connection c = connect(); Statement s = c.createStatement()) {
      s.setQueryTimeout(1);
      refused("57014", () -> s.execute("SELECT pg_sleep(60)"));
      s.setQueryTimeout(0);
      same(1, one(c, "SELECT 1"));
    }
  }

  static void ddl_under_a_statement() throws Exception {
    try (Connection c = connect(); Connection other = connect()) {
      run(c, "DROP TABLE IF EXISTS jdbc_d");
      run(c, "CREATE TABLE jdbc_d (a int)");
      run(c, "INSERT INTO jdbc_d VALUES (1)");
      try (PreparedStatement s = c.prepareStatement("SELECT a FROM jdbc_d WHERE a = ?")) {
        for (int i = 0; i < 10; ++i) {
          s.setInt(1, 1);
          try (ResultSet r = s.executeQuery()) { same(true, r.next()); }
          if (i == 7) run(other, "CREATE INDEX ON jdbc_d (a)");
        }
      }
    }
  }

  static void fifty() throws Exception {
    try (Connection c = connect()) {
      run(c, "DROP TABLE IF EXISTS jdbc_n");
      run(c, "CREATE TABLE jdbc_n AS SELECT 0 AS n");
    }
    ExecutorService threads = Executors.newFixedThreadPool(50);
    List<Future<?>> all = new ArrayList<>();
    for (int i = 0; i < 50; ++i) {
      final int number = i;
      all.add(threads.submit(() -> {
        try (Connection c = connect()) {
          c.setAutoCommit(false);
          try (PreparedStatement add = c.prepareStatement("UPDATE jdbc_n SET n = n + ?")) {
            for (int turn = 0; turn < 8; ++turn) {
              run(c, "SET jdbc.tag = '" + number + "." + turn + "'");
              add.setInt(1, 1);
              same(1, add.executeUpdate());
              c.commit();
              same(number + "." + turn, one(c, "SELECT current_setting('jdbc.tag')"));
              c.commit();
            }
          }
        }
        return null;
      }));
    }
    for (Future<?> each : all) each.get();
    threads.shutdown();
    try (Connection c = connect()) {
      c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
      c.setAutoCommit(false);
      same(400, one(c, "SELECT n FROM jdbc_n FOR UPDATE"));
      c.rollback();
    }
  }

  static void check(String name, Check check) throws Exception {
    try {
      check.run();
    } catch (Throwable e) {
      // Threads that still run must not keep the process.
      e.printStackTrace();
      System.exit(1);
    }
    System.out.println("ok " + name);
  }

  public static void main(String[] arguments) throws Exception {
    url = arguments[0];
    check("values", PgJdbc::values);
    check("errors", PgJdbc::errors);
    check("threshold", PgJdbc::threshold);
    check("transactions", PgJdbc::transactions);
    check("batches", PgJdbc::batches);
    check("fetch size", PgJdbc::fetch_size);
    check("copy", PgJdbc::copy);
    check("settings", PgJdbc::settings);
    check("cancel", PgJdbc::cancel);
    check("ddl under a statement", PgJdbc::ddl_under_a_statement);
    check("fifty", PgJdbc::fifty);
  }
}
