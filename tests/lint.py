"""The house rules that a machine can check: includes, banned words, lines, files, generated documents.

Prints every offence with its place; exit status 1 if there is one.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent

# DESIGN: arrows point down.  The same table builds the include views (common/meson.build).
BELOW = {
    "base": "",
    "loop": "base",
    "db": "base loop",
    "redis": "base loop",
    "storage": "base loop",
    "image": "base loop",
    "mail": "base loop",
    "coord": "base loop db redis",
    "http": "base loop db redis storage coord",
    "auth": "base loop db redis storage coord http",
    "queue": "base loop db redis storage image mail coord http",
    "beat": "base loop db redis storage image mail coord http queue",
    "resource": "base loop db redis storage image mail coord http auth queue",
    "gateway": "base loop db redis storage image mail coord http auth queue resource",
}
# word: what to use instead
BANNED = {
    "strcpy": "buf_add_c or arena_c", "strcat": "buf_add_c", "sprintf": "snprintf or buf_printf",
    "vsprintf": "buf_vprintf", "strtok": "str_cut", "gmtime": "civil_from_realtime",
    "localtime": "civil_from_realtime", "atoi": "str_to_i64", "atol": "str_to_i64", "atof": "str_to_double",
    "strtol": "str_to_i64", "strtoul": "str_to_u64", "alloca": "arena_alloc", "system": "process_start",
    "rand": "random_below", "srand": "world_set", "fork": "process_start", "gethostbyname": "uv_getaddrinfo",
}
CALL = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(BANNED))
OPEN = re.compile(r"\b(TODO|FIXME|XXX)\b")
NOT_OURS = re.compile(r"/(?:work|root|farm)/")


def files(*patterns):
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", *patterns], cwd=TOP, check=True,
                            capture_output=True, text=True).stdout.split("\n")
    return [TOP / name for name in listed if name and (TOP / name).is_file()]


def without_comments(text):
    """The same lines, comments and string literals blanked."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match[0])
    return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def check_includes(path, text):
    folder = path.relative_to(TOP).parts
    if folder[0] != "common" or folder[1] not in BELOW:
        return
    allowed = set(BELOW[folder[1]].split()) | {folder[1]}
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'#include "([^"]+)"', line)
        if match and match[1].split("/")[0] not in allowed:
            yield number, f'{folder[1]} must not include "{match[1]}"'


def check_code(path, text):
    plain = without_comments(text)
    # Tests fork servers and copy into arrays of their own; the product does not.
    if path.relative_to(TOP).parts[0] != "tests":
        for number, line in enumerate(plain.splitlines(), 1):
            for match in CALL.finditer(line):
                yield number, f"{match[1]} is banned: use {BANNED[match[1]]}"
    lines = text.splitlines()
    if len(lines) > 800 and "better whole" not in "\n".join(lines[:60]):
        yield 1, f"{len(lines)} lines: say at its head why the file is better whole, or divide it"
    if path.suffix == ".h" and "#ifndef" in text and not text.lstrip().startswith("/*"):
        yield 1, "a header begins with its manual"
    # A function's body is closed by a brace in the first column.
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            if number - start > 70 and "better whole" not in "\n".join(lines[max(0, start - 25):start + 5]):
                yield start, f"a function of {number - start} lines: say above it why it is better whole"
            start = None


def check_text(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        if OPEN.search(line) and path.name != "lint.py":
            yield number, "leaves something open"
        if NOT_OURS.search(line) and path.name != "lint.py":
            yield number, "names a folder of one machine"
        if line != line.rstrip() and path.suffix in {".c", ".h", ".py", ".def", ".sql"}:
            yield number, "white space at the end"


def check_documents():
    """What `./dev docs` writes must be what stands in docs/."""
    program = TOP / "build/apium"
    if not program.exists():
        yield TOP / "docs", 1, "cannot be compared with the tables: ./dev build comes first"
        return
    environment = {name: value for name, value in os.environ.items() if not name.startswith("APIUM_")}
    with tempfile.TemporaryDirectory(prefix="apium-docs-") as folder:
        subprocess.run([program, "docs", folder], check=True, env=environment)
        for written in sorted(Path(folder).rglob("*")):
            path = TOP / "docs" / written.relative_to(folder)
            if written.is_file() and (not path.exists() or path.read_bytes() != written.read_bytes()):
                yield path, 1, "is not what the tables say: ./dev docs writes it"


def check_resources():
    """docs/resources.md names every word of the tables of fields, and every type."""
    header = (TOP / "common/resource/field.h").read_text()
    told = (TOP / "docs/resources.md").read_text()
    words = re.findall(r"^#define ([A-Z][A-Z_]+)(?:\(\w+_\b.*?\))?\s+\.\w+ =", header, re.M)
    types = re.findall(r"^\tFIELD_([A-Z]+),", header, re.M)
    assert len(words) > 30 and "TEXT" in types, "the lint no longer understands field.h"
    for word in [*words, *(name for name in types if name != "TYPES")]:
        if not re.search(rf"\b{word}\b", told):
            yield TOP / "docs/resources.md", 1, f"does not explain {word} (common/resource/field.h)"


def check_operations():
    """docs/operations.md speaks of every metric and every alert."""
    text = (TOP / "docs/operations.md").read_text()
    for number, line in enumerate((TOP / "common/base/metrics.def").read_text().splitlines(), 1):
        match = re.match(r'METRIC\([^"]*"([a-z_]+)"', line)
        if match and match[1] not in text:
            yield TOP / "common/base/metrics.def", number, f"docs/operations.md does not speak of {match[1]}"
    known = set(re.findall(r'METRIC\([^"]*"([a-z_]+)"', (TOP / "common/base/metrics.def").read_text()))
    for path in (TOP / "deploy/prometheus/alerts.yml", TOP / "deploy/grafana/dashboard.json", TOP / "docs/operations.md"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for name in re.findall(r"\b(?:apium_(?:build|http|fiber|sql|redis|queue|task|host|outbox|beat)|process)_[a-z_]+", line):
                if name not in known and re.sub("_(bucket|sum|count)$", "", name) not in known:
                    yield path, number, f"{name} is no metric"
    for number, line in enumerate((TOP / "deploy/prometheus/alerts.yml").read_text().splitlines(), 1):
        match = re.match(r"\s*- alert: (\w+)", line)
        if match and match[1] not in text:
            yield TOP / "deploy/prometheus/alerts.yml", number, f"docs/operations.md does not speak of {match[1]}"


def main():
    offences = 0
    for path, number, sentence in (*check_documents(), *check_operations(), *check_resources()):
        print(f"{path.relative_to(TOP)}:{number}: {sentence}")
        offences += 1
    for path in files("*.c", "*.h", "*.def", "*.py", "*.sql", "*.md", "dev", "*.build"):
        text = path.read_text(errors="replace")
        checks = [check_text(path, text)]
        if path.suffix in {".c", ".h"}:
            checks += [check_includes(path, text), check_code(path, text)]
        for check in checks:
            for number, sentence in check:
                print(f"{path.relative_to(TOP)}:{number}: {sentence}")
                offences += 1
    print(f"lint: {offences} offences" if offences else "lint: clean")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
