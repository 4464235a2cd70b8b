"""Who may include whom: protocol and config nobody of ours, router only protocol, proxy all; every library only in the
folder that it is for. Run by ctest; prints every breach as file:line."""

import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
ALLOWED = {"protocol": {"protocol"}, "config": {"config"}, "router": {"router", "protocol"},
           "proxy": {"proxy", "router", "protocol", "config"}}
# Library headers by the folders that may include them.
LIBRARIES = [
    (re.compile(r"boost/(asio|beast)|sys/(socket|epoll)\.h|netinet/"), {"proxy"}),
    (re.compile(r"libpq-fe\.h|boost/json"), {"proxy/cluster"}),
    (re.compile(r"yaml-cpp/"), {"config"}),
    (re.compile(r"spdlog/"), {"proxy"}),
    (re.compile(r"pg_query"), {"router/sql"}),
]
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')


def breaches(path):
    folder = path.relative_to(TOP).parts[0]
    parent = path.relative_to(TOP).parent.as_posix()
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not (found := INCLUDE.match(line)):
            continue
        name = found.group(1)
        if name.split("/")[0] in ALLOWED and name.split("/")[0] not in ALLOWED[folder]:
            yield f"{path.relative_to(TOP)}:{number}: {folder} may not include {name}"
        for pattern, where in LIBRARIES:
            if pattern.match(name) and not any(parent == w or parent.startswith(w + "/") for w in where):
                yield f"{path.relative_to(TOP)}:{number}: {name} belongs to {', '.join(sorted(where))}"


def main():
    sources = [p for folder in ALLOWED for p in sorted((TOP / folder).rglob("*")) if p.suffix in (".cpp", ".hpp", ".h")]
    found = [breach for path in sources for breach in breaches(path)]
    print("\n".join(found) or f"{len(sources)} files include only what they may")
    return 1 if found or not sources else 0


if __name__ == "__main__":
    sys.exit(main())
