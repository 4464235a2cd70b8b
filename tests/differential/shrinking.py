"""What is left of a statement and of rows when all is taken away that a finding does not need."""

import re
import time

TOKEN = re.compile(r"""E?'(?:[^']|'')*'|"(?:[^"]|"")*"|\$\d+|\d+(?:\.\d+)?|\w+|::|\|\||<>|>=|<=|->>|->|@>|&&|\S""")
# Where these are left, every ORDER BY must be one that the statement had: what it gives would be left open otherwise.
ORDER_MATTERS = {"LIMIT", "OFFSET", "FETCH", "OVER", "DISTINCT", "array_agg", "string_agg", "jsonb_agg"}


def joined(tokens):
    text = " ".join(tokens)
    return re.sub(r" (?=[,)\].])|(?<=[(\[.]) | ?:: ?", lambda m: "::" if "::" in m.group(0) else "", text)


def orders(tokens):
    """The ORDER BY clauses."""
    found = []
    for at, token in enumerate(tokens):
        if token == "ORDER":
            depth, end = 0, at
            while end < len(tokens) and (depth or tokens[end] not in (")", "LIMIT", "OFFSET", "FETCH", "ROWS")):
                depth += (tokens[end] == "(") - (tokens[end] == ")")
                end += 1
            found.append(" ".join(tokens[at:end]))
    return found


def balanced(tokens):
    depth = 0
    for token in tokens:
        depth += (token in "([") - (token in ")]")
        if depth < 0:
            return False
    return depth == 0


def pairs(tokens):
    """Places of parentheses that belong together."""
    stack, found = [], []
    for at, token in enumerate(tokens):
        if token == "(":
            stack.append(at)
        elif token == ")" and stack:
            found.append((stack.pop(), at))
    return found


def candidates(tokens):
    size = len(tokens) * 3 // 4
    while size:
        for at in range(len(tokens) - size + 1):
            if balanced(tokens[at:at + size]):
                yield tokens[:at] + tokens[at + size:]
        size = size * 3 // 4 if size > 6 else size - 1
    for first, last in pairs(tokens):
        yield tokens[:first] + tokens[first + 1:last] + tokens[last + 1:]
        if first and re.match(r"\w", tokens[first - 1]):
            yield tokens[:first - 1] + tokens[first + 1:last] + tokens[last + 1:]
            yield tokens[:first - 1] + ["NULL"] + tokens[last + 1:]


def shrunk_text(sql, holds, seconds):
    """The shortest text that is found for which holds(text) is true, as it is for `sql`."""
    end, tokens, allowed = time.monotonic() + seconds, TOKEN.findall(sql), set(orders(TOKEN.findall(sql)))
    if not holds(joined(tokens)):
        return sql
    tried, smaller = set(), True
    while smaller and time.monotonic() < end:
        smaller = False
        for candidate in candidates(tokens):
            text = joined(candidate)
            if text in tried or time.monotonic() > end:
                continue
            tried.add(text)
            if ORDER_MATTERS & set(candidate) and not set(orders(candidate)) <= allowed:
                continue
            if holds(text):
                tokens, smaller = candidate, True
                break
    return joined(tokens)


def shrunk_rows(rows, holds, seconds):
    """The fewest rows of each table, {name: rows}, for which holds(rows) is true."""
    end = time.monotonic() + seconds
    for name in rows:
        size = len(rows[name])
        while size and time.monotonic() < end:
            at = 0
            while at < len(rows[name]) and time.monotonic() < end:
                fewer = rows | {name: rows[name][:at] + rows[name][at + size:]}
                if holds(fewer):
                    rows = fewer
                else:
                    at += size
            size = min(size // 2, len(rows[name]) // 2 or size // 2)
    return rows
