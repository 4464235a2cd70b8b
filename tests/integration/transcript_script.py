"""The scripts of tests/transcripts, taken apart for a driver that speaks the protocol itself.

A script is what psql reads. The driver sends its statements one by one; statements that psql would send as one string
(separated by a backslash and a semicolon) stay together. Lines that begin with "--:" are steps of the extended
protocol, a comment to psql: `parse NAME SQL`, `bind PORTAL STATEMENT VALUES...`, `describe-statement NAME`,
`describe-portal NAME`, `execute PORTAL LIMIT`, `close-statement NAME`, `close-portal NAME`, `flush` and `sync`, where
"-" names the unnamed one.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import wire

SCRIPTS = Path(__file__).resolve().parents[1] / "transcripts"
_DOLLAR = re.compile(r"\$([A-Za-z_]\w*)?\$")
_COPY_IN = re.compile(r"\bCOPY\b.*\bFROM\s+STDIN\b", re.IGNORECASE | re.DOTALL)


@dataclass
class Entry:
    """Statements of one string, with the data that follows if it is a COPY; or one step of the protocol."""
    statements: list = field(default_factory=list)
    copy_data: bytes = b""
    step: str = ""


def header(path, name):
    """The value of a `-- name: value` line among the leading comments, "" for `-- name`, None without one."""
    for line in path.read_text().splitlines():
        if not line.startswith("--"):
            return None
        if line == f"-- {name}" or line.startswith(f"-- {name}:"):
            return line.partition(":")[2].strip()
    return None


def entries(text):
    """The entries of a script. psql's own commands are left out."""
    found, statements, start, at, copy_lines = [], [], 0, 0, None
    while at < len(text):
        c = text[at]
        if text.startswith("--", at):
            end = text.find("\n", at)
            line = text[at:end]
            if line.startswith("--: "):
                found.append(Entry(step=line[4:]))
            if not text[start:at].strip():
                start = end + 1
            at = end + 1
        elif text.startswith("/*", at):
            at = text.index("*/", at) + 2
        elif c == "'":
            escapes = text[at - 1:at] in ("E", "e")
            at += 1
            while text[at] != "'":
                at += 2 if escapes and text[at] == "\\" else 1
            at += 1
        elif c == '"':
            at = text.index('"', at + 1) + 1
        elif c == "$" and (quote := _DOLLAR.match(text, at)):
            at = text.index(quote.group(), quote.end()) + len(quote.group())
        elif c == "\\" and text[at + 1] == ";":
            statements.append(text[start:at].strip())
            at = start = at + 2
        elif c == "\\":
            # Of psql's commands only those that send the statement before them mean something here.
            end = text.find("\n", at)
            if (statement := text[start:at].strip()) and re.match(r"\\(gx?|gset|gexec)\b", text[at:end]):
                found.append(Entry([*statements, statement]))
            if text.startswith("\\copy", at) and re.search(r"from stdin", text[at:end], re.IGNORECASE):
                end = text.index("\n\\.", at) + 3
            statements, at = [], end + 1
            start = at
        elif c == ";":
            statements.append(text[start:at].strip())
            entry = Entry(statements)
            found.append(entry)
            at = start = at + 1
            statements = []
            if any(_COPY_IN.search(s) for s in entry.statements) and text.find("\n\\.\n", at) >= 0:
                copy_lines = text.index("\n", at) + 1
                end = text.index("\\.\n", copy_lines)
                # A statement that the server refuses takes no data; psql then reads the lines as SQL.
                if "\nSELECT" not in text[copy_lines:end] and "\nCOPY" not in text[copy_lines - 1:end]:
                    entry.copy_data = text[copy_lines:end].encode()
                    at = start = end + 3
        else:
            at += 1
    return found


def step_messages(step):
    """The protocol's messages for one step."""
    what, _, rest = step.partition(" ")
    words = ["" if word == "-" else word for word in rest.split()]
    if what == "parse":
        name, _, sql = rest.partition(" ")
        return [wire.parse(sql, "" if name == "-" else name)]
    if what == "bind":
        return [wire.bind(words[2:], words[1], words[0])]
    if what == "execute":
        return [wire.execute(words[0], int(words[1]) if len(words) > 1 else 0)]
    named = {"describe-statement": wire.describe_statement, "describe-portal": wire.describe_portal,
             "close-statement": wire.close_statement, "close-portal": wire.close_portal}
    if what in named:
        return [named[what](words[0])]
    return [{"flush": wire.flush, "sync": wire.sync}[what]()]
