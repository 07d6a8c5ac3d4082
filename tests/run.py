"""Runs the suites, counts every test, and says by name what failed or could not run.

A suite is a criterion program of the build (tests/unit/test-*) or a folder of pytest files.  Each starts the
servers it needs by itself, but that the criterion programs get a database each on one PostgreSQL: making a
cluster costs more than most of them do.  The last line is `N passed, N failed`; the exit status is 0 only if all passed.
"""

import argparse
import concurrent.futures
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests/support"))

import psycopg  # noqa: E402

import apium  # noqa: E402

# folder of tests/, is it part of --quick, seconds it may take, does it come behind the others: what waits for
# processes to die and leases to end goes where no compiler and no attack is at work, the longest first
PYTHON_SUITES = [
    ("http", True, 480, False),
    ("engine", False, 240, False),
    ("attacks", False, 480, False),
    ("tools", False, 300, False),
    ("e2e", False, 300, True),
    ("tutorial", False, 400, False),
    ("deploy", False, 400, False),
    ("jobs", False, 900, True),
    ("interop", False, 900, True),
]
# Suites of their own, which only their name runs: they need more than a Debian machine has, or take minutes.
NAMED_SUITES = [
    ("compose", 3000),
    ("differential", 900),
]
UNIT_SECONDS = 240
# The criterion programs that take long, the longest first: the short ones fill the gaps behind them.
LONG_UNITS = ("test-db", "test-queue", "test-http", "test-image", "test-services", "test-auth")
SANITIZER_PATIENCE = 4  # as tests/support/apium.py has it for what the tests wait for
AT_ONCE = 2
# Criterion suites that --quick leaves out: they start servers of their own for each test, or compute for seconds.
NOT_QUICK = ("db_connection", "lane", "relay", "cancel", "password", "weigh")
# The quick suites mostly wait for something; together they must not take a minute.
QUICK_AT_ONCE = 4


class Cluster:
    """One PostgreSQL that the criterion programs share (see tests/support/servers.h)."""

    def __init__(self, folder):
        self.port = apium.free_port()
        self.server = apium.Postgres(folder, ["listen_addresses=127.0.0.1", f"port={self.port}", "fsync=off",
                                              "full_page_writes=off", "max_connections=300"], self.port)
        self.names = iter(f"suite_{number}" for number in range(1000))

    def environment(self):
        """Of one more suite, with a database of its own."""
        name = next(self.names)
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return {
            "APIUM_TEST_DATABASE_URL":
                f"postgresql:///{name}?host={self.server.folder}&port={self.port}&user=postgres",
            "APIUM_TEST_DATABASE_URL_TCP": f"postgresql://postgres@127.0.0.1:{self.port}/{name}",
        }


@contextlib.contextmanager
def shared_cluster(is_wanted):
    if not is_wanted:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="apium-suites-") as folder:
        Path(folder).chmod(0o755)
        cluster = Cluster(Path(folder))
        try:
            yield cluster
        finally:
            cluster.server.stop("immediate")


def run(command, seconds, environment, log):
    """The exit status, or a sentence when it had to be ended."""
    with open(log, "wb") as out:
        process = subprocess.Popen(command, cwd=TOP, env=environment, stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 15)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
            return f"ended after {seconds} s"


def read_junit(path):
    """(passed, [name of each failed one])"""
    passed, failed = 0, []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        if case.get("status") == "SKIPPED" or case.find("skipped") is not None:
            failed.append(f"{case.get('classname') or ''}::{case.get('name')} (skipped)")
        elif case.find("failure") is not None or case.find("error") is not None:
            failed.append(f"{case.get('classname') or ''}::{case.get('name')}")
        else:
            passed += 1
    return passed, failed


def read_tap(path, is_quick):
    passed, failed = 0, []
    for line in path.read_text(errors="replace").splitlines():
        match = re.match(r"(not )?ok - (\S+)", line)
        if match and "# SKIP" in line:
            if not is_quick:
                failed.append(f"{match[2]} (skipped)")
        elif match and match[1]:
            failed.append(match[2])
        elif match:
            passed += 1
    return passed, failed


class Unit:
    is_late = False

    def __init__(self, program, is_quick):
        self.program = program
        self.is_quick = is_quick
        self.name = "unit/" + program.name.removeprefix("test-")
        self.seconds = UNIT_SECONDS

    def command(self, folder):
        chosen = ["--filter", f"!({'|'.join(NOT_QUICK)})/*"] if self.is_quick else []
        return [str(self.program), f"--tap={folder / 'result'}", "--jobs", "2", *chosen]

    def read(self, folder):
        return read_tap(folder / "result", self.is_quick)


class Python:
    def __init__(self, folder, seconds, keyword, is_quick, is_late):
        self.is_late = is_late
        self.folder, self.keyword, self.is_quick = folder, keyword, is_quick
        self.name = folder
        self.seconds = seconds

    def command(self, folder):
        command = [sys.executable, "-m", "pytest", "-q",
                   "-p", "no:cacheprovider", f"--junitxml={folder / 'result'}", f"tests/{self.folder}"]
        if self.keyword:
            command += ["-k", self.keyword]
        if self.is_quick:
            command += ["-m", "not slow"]
        return command

    def read(self, folder):
        return read_junit(folder / "result")


def suites(build, quick, name):
    programs = [program for program in sorted((build / "tests/unit").glob("test-*"))
                if program.is_file() and os.access(program, os.X_OK)]
    programs.sort(key=lambda program: LONG_UNITS.index(program.name) if program.name in LONG_UNITS else len(LONG_UNITS))
    found = [Unit(program, quick) for program in programs]
    # The longest first, so that they overlap with the many short ones.
    for folder, is_quick, seconds, is_late in reversed(PYTHON_SUITES):
        if (TOP / "tests" / folder).is_dir() and (is_quick or not quick):
            found.insert(0, Python(folder, seconds, None, quick, is_late))
    if not name:
        return found
    named = [Python(folder, seconds, None, False, True) for folder, seconds in NAMED_SUITES if folder == name]
    if named:
        return named
    whole = [suite for suite in found if name in suite.name]
    if whole:
        return whole
    return [Python(folder, seconds, name, False, is_late) for folder, _, seconds, is_late in PYTHON_SUITES
            if (TOP / "tests" / folder).is_dir()]


def run_suite(suite, build, cluster):
    with tempfile.TemporaryDirectory(prefix="apium-test-") as temporary:
        folder = Path(temporary)
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith("APIUM_") or key.startswith("APIUM_TEST_")
                       or (key == "APIUM_COMPOSE" and suite.name == "compose")}
        environment.update(APIUM_TEST_BUILD=str(build), APIUM_TEST_TOP=str(TOP), PYTHONDONTWRITEBYTECODE="1",
                           PYTHONPATH=str(TOP / "tests/support"))
        if isinstance(suite, Unit):
            environment.update(cluster.environment())
        if "asan" in build.name:
            # criterion forks per test and keeps its own memory: leaks are counted by base/live.h there.
            leaks = 0 if isinstance(suite, Unit) else 1
            environment["ASAN_OPTIONS"] = f"detect_leaks={leaks}:detect_stack_use_after_return=0:abort_on_error=1"
            environment["LSAN_OPTIONS"] = f"suppressions={TOP}/tests/support/lsan.supp:print_suppressions=0"
            environment["UBSAN_OPTIONS"] = "halt_on_error=1:print_stacktrace=1"
        start = time.monotonic()
        patience = SANITIZER_PATIENCE if "asan" in build.name else 1
        status = run(suite.command(folder), suite.seconds * patience, environment, folder / "log")
        passed, failed = 0, []
        if (folder / "result").exists():
            passed, failed = suite.read(folder)
        nothing_chosen = status == 5 and isinstance(suite, Python) and suite.keyword
        if status != 0 and not failed and not nothing_chosen:
            failed.append(f"{suite.name}: {status if isinstance(status, str) else f'exit status {status}'}")
        elif passed + len(failed) == 0 and not nothing_chosen:
            failed.append(f"{suite.name}: ran no test")
        report = ""
        if passed or failed:
            report = (f"{'ok  ' if not failed else 'FAIL'} {suite.name:<16} {passed:4} passed {len(failed):3} failed "
                  f"{time.monotonic() - start:6.1f} s\n")
        if failed:
            text = (folder / "log").read_text(errors="replace")
            report += "".join(f"     | {line}\n" for line in text.splitlines()[-120:])
        print(report, end="", flush=True)
        return passed, failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("name", nargs="?")
    options = parser.parse_args()
    build = (TOP / options.build).resolve()
    chosen = suites(build, options.quick, options.name)
    passed, failed = 0, []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the cluster is stopped then too
    with shared_cluster(any(isinstance(suite, Unit) for suite in chosen)) as cluster:
        with concurrent.futures.ThreadPoolExecutor(QUICK_AT_ONCE if options.quick else AT_ONCE) as pool:
            results = list(pool.map(lambda suite: run_suite(suite, build, cluster), [s for s in chosen if not s.is_late]))
            results += pool.map(lambda suite: run_suite(suite, build, cluster), [s for s in chosen if s.is_late])
    for more, names in results:
        passed += more
        failed += names
    if not passed and not failed:
        failed.append(f"no test is named {options.name}")
    for name in failed:
        print(f"failed: {name}")
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
