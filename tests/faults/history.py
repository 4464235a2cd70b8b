"""What clients did and saw, and whether one PostgreSQL could have shown it to them.

Two kinds of objects. A register belongs to one client, which writes 1, 2, 3, ... to it, and everybody reads it. To a list
everybody appends items that nobody else has; the server orders them. From what was acknowledged, what was read and what is
there in the end the checker finds: acknowledged writes that are lost, writes that were done twice, reads that do not show
their own client's last acknowledged write, and reads on a replica that show less than that client has seen before on one.
Where all clients' writes count (`among_all`), a read that began after anybody's write was acknowledged must show it.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf


@dataclass
class Event:
    """One operation of one client. `outcome`: ok, failed (certainly not done), unknown."""

    client: int
    kind: str  # write, append, read register, read list
    key: int
    value: object  # written, or read: a number, or a list of items
    outcome: str = "ok"
    server: str = ""  # that a read was answered by
    replica: bool = False  # it was none of those that were ever primary
    number: int = 0  # how many the client had done before
    began: float = 0.0  # seconds of one clock for all clients
    ended: float = 0.0


@dataclass
class Final:
    """What is there when all is over."""

    registers: dict = field(default_factory=dict)
    lists: dict = field(default_factory=dict)


def is_prefix(short, whole):
    return list(whole[:len(short)]) == list(short)


def check(events, final, among_all=False):
    """Every violation, as a line of text; none is what is promised."""
    found = _check_among_all(events) if among_all else []
    by_client = defaultdict(list)
    for event in events:
        by_client[event.client].append(event)
    for client, own in sorted(by_client.items()):
        found += _check_client(client, own)
    found += _check_final(events, final)
    return found


def _check_client(client, events):
    """One client's own order of things: it must see what it has been told, and never less than before."""
    found = []
    written, attempted = {}, defaultdict(int)  # register -> last acknowledged, highest tried
    appended = defaultdict(set)  # list -> items acknowledged
    seen_value, seen_items = defaultdict(int), {}  # on replicas
    for e in sorted(events, key=lambda e: e.number):
        where = f"client {client}, operation {e.number} on {e.server}: {e.kind} {e.key}"
        if e.kind == "write":
            attempted[e.key] = max(attempted[e.key], e.value)
            if e.outcome == "ok":
                written[e.key] = e.value
        elif e.kind == "append" and e.outcome == "ok":
            appended[e.key].add(e.value)
        elif e.outcome != "ok":
            continue
        elif e.kind == "read register":
            if e.value < written.get(e.key, 0):
                found.append(f"stale own read: {where} gave {e.value} after {written[e.key]} was acknowledged")
            if e.value < seen_value[e.key]:
                found.append(f"non-monotonic read: {where} gave {e.value} after {seen_value[e.key]} was seen")
            if e.replica:
                seen_value[e.key] = max(seen_value[e.key], e.value)
        elif e.kind == "read list":
            missing = appended[e.key] - set(e.value)
            if missing:
                found.append(f"stale own read: {where} misses {sorted(missing)[:3]}, which were acknowledged")
            before = seen_items.get(e.key, [])
            if len(e.value) < len(before):
                found.append(f"non-monotonic read: {where} gave {len(e.value)} items after {len(before)} were seen")
            if e.replica:
                seen_items[e.key] = max(before, list(e.value), key=len)
    return found


def _check_among_all(events):
    """What was acknowledged to anybody before a read began is seen by it."""
    found = []
    acknowledged = defaultdict(list)  # (kind, key) -> (when, value), in order
    for e in sorted(events, key=lambda e: e.ended):
        if e.kind in ("write", "append") and e.outcome == "ok":
            acknowledged[e.kind, e.key].append((e.ended, e.value))
    longest = {}  # list -> what was read of it at most
    for e in events:
        if e.kind == "read list" and e.outcome == "ok":
            longest[e.key] = max(longest.get(e.key, ()), e.value, key=len)
    place = {key: {item: i for i, item in enumerate(items)} for key, items in longest.items()}
    # How far a read must show an object at least, by the number of writes that were acknowledged before it.
    least = {(kind, key): list(accumulate((value if kind == "write" else place.get(key, {}).get(value, inf) + 1 for _, value in known), max))
             for (kind, key), known in acknowledged.items()}
    for e in events:
        if e.outcome != "ok" or not e.kind.startswith("read "):
            continue
        register = e.kind == "read register"
        what = "write" if register else "append", e.key
        known = acknowledged[what]
        count = bisect_left(known, (e.began,))
        shown = e.value if register else len(e.value)
        if count == 0 or (least[what][count - 1] <= shown and (register or is_prefix(e.value, longest[e.key]))):
            continue
        before = [value for _, value in known[:count]]
        missing = [value for value in before if value > e.value] if register else sorted(set(before) - set(e.value))
        if missing:
            found.append(f"stale read among all: client {e.client}, operation {e.number} on {e.server}: {e.kind} {e.key} gave "
                         f"{e.value if register else len(e.value)}, without {missing[:3]}, acknowledged before it began")
    return found


def _check_final(events, final):
    found = []
    for key, items in final.lists.items():
        twice = [item for item, times in Counter(items).items() if times > 1]
        if twice:
            found.append(f"done twice: list {key} has {twice[:3]} more than once")
    last, highest = defaultdict(int), defaultdict(int)
    for e in events:
        if e.kind == "write":
            highest[e.key] = max(highest[e.key], e.value)
            if e.outcome == "ok":
                last[e.key] = max(last[e.key], e.value)
        elif e.kind == "append":
            there = e.value in final.lists.get(e.key, ())
            if e.outcome == "ok" and not there:
                found.append(f"acknowledged write lost: client {e.client} appended {e.value} to list {e.key}")
            if e.outcome == "failed" and there:
                found.append(f"undone write done: client {e.client} was told that {e.value} is not in list {e.key}")
        elif e.kind == "read list" and e.outcome == "ok" and not is_prefix(e.value, final.lists.get(e.key, ())):
            found.append(f"history rewritten: client {e.client}, operation {e.number} on {e.server}: list {e.key} did not grow from what was read")
    for key, value in final.registers.items():
        if value < last[key]:
            found.append(f"acknowledged write lost: register {key} is {value}, {last[key]} was acknowledged")
        if value > highest[key]:
            found.append(f"write out of nothing: register {key} is {value}, {highest[key]} was the last")
    return found
