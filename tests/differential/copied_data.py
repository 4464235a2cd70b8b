"""Random data for COPY FROM in its three formats: mostly right, often broken, always odd."""

import struct
from dataclasses import dataclass

COLUMNS = {"by_number": ("id", "note", "n"), "by_text": ("n", "name", "note"), "by_price": ("note", "price"), "by_day": ("day", "note"),
           "by_moment": ("at", "note"), "by_uuid": ("note", "id"), "by_char": ("code", "note"), "by_short": ("note", "code"), "by_any": ("id", "note")}
SCHEMA = """
    CREATE TABLE by_number (id bigint NOT NULL, note text, n int);
    CREATE TABLE by_text (n int, name text NOT NULL, note text);
    CREATE TABLE by_price (note text, price numeric(8, 2) NOT NULL);
    CREATE TABLE by_day (day date NOT NULL, note text);
    CREATE TABLE by_moment (at timestamptz NOT NULL, note text);
    CREATE TABLE by_uuid (note text, id uuid NOT NULL);
    CREATE TABLE by_char (code char(5) NOT NULL, note text);
    CREATE TABLE by_short (note text, code varchar(5) NOT NULL);
    CREATE TABLE by_any (id bigint, note text);
    GRANT ALL ON by_number, by_text, by_price, by_day, by_moment, by_uuid, by_char, by_short, by_any TO app;
"""
KEYS = {"by_number": "id", "by_text": "name", "by_price": "price", "by_day": "day", "by_moment": "at", "by_uuid": "id", "by_char": "code",
        "by_short": "code", "by_any": "id"}
VALUES = {
    "id": ["1", "2", "3", "44", " 5 ", "-7", "+8", "123456789012", "007"], "n": ["1", "2", "-3"],
    "price": ["1", "2.5", "2.50", "-0.004", "1e3", "NaN", "123456.789"], "day": ["2024-01-02", "infinity", "2024-12-31 BC", "0099-03-04"],
    "at": ["2024-01-02 03:04:05+00", "2024-01-02T03:04:05.123456Z", "2024-06-01 00:00:00+02:30", "-infinity"],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "{A0EEBC999C0B4EF8BB6D6BB9BD380A12}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a13"],
    "code": ["a", "b ", "", "cde", "fghij", "k    ", "ä"], "name": ["a", "b", "", "c d", "it's", "é", "\\", "x,y", "t\tt", 'q"q', "l\nl", "r\rr"],
    "note": ["", "x", "two words", "a,b", 'say "no"', "back\\slash", "tab\there", "new\nline", "cr\rhere", "NULL", "\\N", "\\.", "ü", "'", "|"]}
WRONG = ["", "x", "1.5.5", "99999999999999999999999", "March 5", "2024-13-01", "now", "\x01"]


@dataclass
class Copy:
    table: str
    sql: str
    data: bytes
    pieces: list


class CopyGenerator:
    """Draws copies from a random.Random."""

    def __init__(self, random):
        self.random = random

    def draw(self):
        table = self.random.choice(list(COLUMNS))
        columns, named = list(COLUMNS[table]), ""
        if self.random.random() < 0.3:
            self.random.shuffle(columns)
            named = f" ({', '.join(columns)})"
        rows = [self.row(table, columns) for _ in range(self.random.choice([0, 1, 2, 5, 20]))]
        form = self.random.choice(["text", "csv", "text", "csv", "binary"])
        options, data = getattr(self, form)(columns, rows)
        if self.random.random() < 0.35 and data:
            data = self.damage(data, form)
        sql = f"COPY {table}{named} FROM STDIN" + (f" ({', '.join(options)})" if options else "")
        return Copy(table, sql, data, self.cut(data))

    def row(self, table, columns):
        out = []
        for column in columns:
            values = VALUES["uuid" if (table, column) == ("by_uuid", "id") else column]
            value = self.random.choice(values)
            if self.random.random() < 0.015:
                value = self.random.choice(WRONG)
            if self.random.random() < (0.01 if column == KEYS[table] else 0.1):
                value = None
            out.append(value)
        if self.random.random() < 0.01:
            out = out[:-1] if self.random.random() < 0.5 else out + ["more"]
        return out

    def text(self, columns, rows):
        options, delimiter, null = [], "\t", "\\N"
        if self.random.random() < 0.3:
            delimiter = self.random.choice(["|", ",", " ", ";", "'"])
            options.append(f"DELIMITER '{delimiter}'" if delimiter != "'" else "DELIMITER ''''")
        if self.random.random() < 0.3:
            null = self.random.choice(["", "NULL", "\\\\", "x"])
            options.append(f"NULL '{null}'")
        if self.random.random() < 0.2:
            options.append("FORMAT text")
        lines = [delimiter.join(null if v is None else self.escaped(v, delimiter) for v in row) for row in rows]
        return options, self.lines(lines, columns, delimiter, options)

    def escaped(self, value, delimiter):
        out = ""
        for c in value:
            if c in "\\\n\r\t" + delimiter:
                short = {"\n": "n", "\r": "r", "\t": "t"}.get(c, c)
                out += "\\" + self.random.choice([short] * 3 + [f"x{ord(c):02x}", f"{ord(c):03o}"] + ([c] if c not in "\r" else []))
            elif self.random.random() < 0.02 and c.isalpha() and c.isascii():
                out += f"\\{ord(c):03o}"
            else:
                out += c
        return out

    def csv(self, columns, rows):
        options, delimiter, null, quote = ["FORMAT csv"], ",", "", '"'
        if self.random.random() < 0.3:
            delimiter = self.random.choice(["|", "\t", ";", "x"])
            options.append(f"DELIMITER E'{delimiter}'".replace("\t", "\\t"))
        if self.random.random() < 0.3:
            null = self.random.choice(["NULL", "\\N", "nil"])
            options.append(f"NULL '{null}'")
        if self.random.random() < 0.3:
            quote = self.random.choice(["'", "|", "%"]) if delimiter != "|" else "'"
            options.append(f"QUOTE '{quote}'" if quote != "'" else "QUOTE ''''")
        escape = quote
        if self.random.random() < 0.3:
            escape = self.random.choice(["\\", "!", quote])
            options.append(f"ESCAPE '{escape}'" if escape != "'" else "ESCAPE ''''")
        for force in ("FORCE_NULL", "FORCE_NOT_NULL"):
            if self.random.random() < 0.15:
                options.append(f"{force} ({self.random.choice(columns)})")
        lines = []
        for row in rows:
            parts = []
            for value in row:
                if value is None:
                    parts.append(null)
                elif value == null or any(c in value for c in delimiter + quote + "\r\n") or self.random.random() < 0.2:
                    inside = "".join(escape + c if c in (quote, escape) else c for c in value)
                    parts.append(quote + inside + quote)
                else:
                    parts.append(value)
            lines.append(delimiter.join(parts))
        return options, self.lines(lines, columns, delimiter, options)

    def lines(self, lines, columns, delimiter, options):
        if self.random.random() < 0.25:
            choice = self.random.choice(["HEADER", "HEADER", "HEADER match", "HEADER off"])
            options.append(choice)
            if choice != "HEADER off":
                lines = [delimiter.join(columns if self.random.random() < 0.9 else ["any", "thing"])] + lines
        newline = self.random.choice(["\n"] * 4 + ["\r\n", "\r"])
        out = newline.join(lines) + (newline if lines and self.random.random() < 0.85 else "")
        if self.random.random() < 0.15:
            out += "\\." + self.random.choice([newline, newline + "what follows is not read" + newline, ""])
        return out.encode()

    def binary(self, columns, rows):
        out = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
        if self.random.random() < 0.1:
            out = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 5) + b"extra"
        for row in rows:
            out += struct.pack("!h", len(row))
            for at, value in enumerate(row):
                data = None if value is None else self.sent(columns[at] if at < len(columns) else "note", value)
                out += struct.pack("!i", -1) if data is None else struct.pack("!i", len(data)) + data
        if self.random.random() < 0.8:
            out += struct.pack("!h", -1)
        return ["FORMAT binary"], out

    @staticmethod
    def sent(column, value):
        """The value as its type sends it; what cannot be sent is sent as text."""
        try:
            if column == "n":
                return struct.pack("!i", int(value))
            if column == "id" and len(value) < 20:
                return struct.pack("!q", int(value))
        except (ValueError, struct.error):
            return value.encode()
        if column == "id":
            return bytes.fromhex("".join(c for c in value if c in "0123456789abcdefABCDEF")[:32].ljust(32, "0"))
        return {"day": struct.pack("!i", len(value) * 7), "at": struct.pack("!q", len(value) * 1_000_003),
                "price": struct.pack("!hhHhh", 1, 0, 0, 2, len(value))}.get(column, value.encode())

    def damage(self, data, form):
        at = self.random.randrange(len(data))
        what = self.random.choice(["cut", "drop", "insert", "swap", "twice"])
        if what == "cut":
            return data[:at]
        if what == "drop":
            return data[:at] + data[at + 1:]
        if what == "twice":
            return data + data[at:]
        odd = self.random.choice([b"\n", b"\r", b"\r\n", b"\\", b'"', b"'", b",", b"\t", b"\\.", b"\\.\n", b"\\\n", b"\xff", b"\0", b"x", b"|", b"\xc3"])
        return data[:at] + odd + data[at + (what == "swap"):]

    def cut(self, data):
        """The data in pieces, as CopyData messages may have it."""
        pieces, at, most = [], 0, self.random.choice([1, 2, 7, 100, 10_000])
        while at < len(data):
            size = self.random.randint(1, most)
            pieces.append(data[at:at + size])
            at += size
        return pieces
