"""What share of the lines the tests ran through, of the folders and of what must be above a bound.

Reads what `./dev coverage` left in a build folder.  Exit status 1 if a row of NEEDED is below its bound.
"""

import fnmatch
import json
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent

# What must be covered: name, share in percent, files.
NEEDED = [
    ("handlers", 90, ["services/gateway/*.c", "workers/tasks/*.c"]),
    ("validators", 90, [
        "common/resource/coerce.c", "common/resource/validate.c", "common/resource/nested.c", "common/resource/field.c",
        "common/resource/email_address.c", "common/resource/url.c", "common/resource/slug.c", "common/resource/errors.c",
        "common/resource/python.c", "common/auth/password_rules.c"]),
    ("SQL builder", 90, [
        "common/db/sql.c", "common/resource/sql.c", "common/resource/plan.c", "common/resource/filter.c",
        "common/resource/search.c", "common/resource/selection.c", "common/resource/page.c", "common/resource/cursor.c",
        "common/resource/save.c", "common/resource/bulk.c", "common/resource/row.c"]),
    ("posts", 95, ["services/gateway/posts.c", "services/gateway/comments.c", "services/gateway/tags.c"]),
]


def counted(build):
    """{file: (lines, lines that were run, [numbers of the others])}"""
    report = subprocess.run(
        ["gcovr", "--root", str(TOP), "--object-directory", str(build), "--json", "-", "--exclude-unreachable-branches",
         "--gcov-ignore-parse-errors", "--filter", "common/", "--filter", "services/", "--filter", "workers/",
         "--filter", "proto/", "--filter", "tools/", "--exclude", ".*/view/.*", str(build)],
        cwd=TOP, check=True, capture_output=True, text=True)
    found = {}
    for file in json.loads(report.stdout)["files"]:
        # A line of a header or a macro may be counted several times.
        lines = {}
        for line in file["lines"]:
            if not line["gcovr/noncode"]:
                lines[line["line_number"]] = lines.get(line["line_number"], 0) + line["count"]
        found[file["file"]] = (len(lines), sum(count > 0 for count in lines.values()),
                               sorted(number for number, count in lines.items() if count == 0))
    return found


def share(rows):
    lines, ran = sum(row[0] for row in rows), sum(row[1] for row in rows)
    return (100 * ran / lines if lines else 0.0), ran, lines


def spans(numbers):
    """3, 4, 5, 9 -> 3-5, 9"""
    found = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in found)


def main():
    files = counted((TOP / sys.argv[1]).resolve())
    folders = sorted({str(Path(name).parent) for name in files})
    for folder in folders:
        percent, ran, lines = share([row for name, row in files.items() if str(Path(name).parent) == folder])
        print(f"{folder:<28} {percent:6.1f} %  {ran:6} of {lines:6} lines")
    print()
    is_enough = True
    for name, least, patterns in NEEDED:
        chosen = {file: row for file, row in files.items() if any(fnmatch.fnmatch(file, p) for p in patterns)}
        percent, ran, lines = share(chosen.values())
        is_enough &= percent > least
        print(f"{name:<28} {percent:6.1f} %  {ran:6} of {lines:6} lines; must be above {least} %")
        for file, row in sorted(chosen.items()):
            if row[2]:
                print(f"    {file}: not run: {spans(row[2])}")
    return 0 if is_enough else 1


if __name__ == "__main__":
    sys.exit(main())
