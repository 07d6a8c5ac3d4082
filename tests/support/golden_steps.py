"""The recordings replayed against a running gateway, and the list of the steps that pass (tests/golden/README.md)."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import psycopg

from apium import PATIENCE, TOP

GOLDEN = TOP / "tests/golden"
LIST = GOLDEN / "passing.txt"
ADMIN = ("admin@example.com", "Sup3r-Secret-Pass!")


def replay(stack, recording, secret):
    """({steps that pass}, {steps that do not: why})"""
    # A recording that counts rows must not meet those of another one.
    with psycopg.connect(stack.postgres.url, autocommit=True) as connection:
        connection.execute("TRUNCATE users, categories CASCADE")
    stack.apium("createsuperuser", "--email", ADMIN[0], "--password-stdin", text=ADMIN[1] + "\n")
    report = stack.folder / f"{recording.replace('/', '-')}.xml"
    done = subprocess.run(
        [sys.executable, str(GOLDEN / "replay.py"), "check", "--base", f"http://127.0.0.1:{stack.port}",
         "--secret", secret, "--mail-dir", str(stack.mail), "--admin", ":".join(ADMIN), "--jobs", "1",
         "--timeout", str(8 * PATIENCE), "--junit", str(report), str(GOLDEN / f"{recording}.json")],
        capture_output=True, text=True, timeout=120 * PATIENCE)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    passed, failed = set(), {}
    for suite in ElementTree.parse(report).getroot():
        scenario = suite.get("name").split(": ", 1)[1]
        for case in suite:
            step = f"{recording} > {scenario} > {case.get('name')}"
            fault = next(iter(case), None)
            if fault is None:
                passed.add(step)
            else:
                failed[step] = fault.text or fault.get("message")
    return passed, failed


def read_list(recording):
    """({steps that must pass}, {steps that may})"""
    must, may = set(), set()
    for line in LIST.read_text().splitlines():
        if line.startswith(f"{recording} > "):
            must.add(line)
        elif line.startswith(f"~ {recording} > "):
            may.add(line.removeprefix("~ "))
    return must, may


def hold(stack, recording, secret):
    """Asserts that just the steps of the list pass; APIUM_TEST_GOLDEN_WRITE=1 adds to it what passes now."""
    passed, failed = replay(stack, recording, secret)
    must, may = read_list(recording)
    new = [step for step in sorted(passed) if step not in must | may]
    if os.environ.get("APIUM_TEST_GOLDEN_WRITE") == "1":
        with LIST.open("a") as out:
            out.writelines(step + "\n" for step in new)
        new = []
    lost = [f"{step}\n{failed.get(step, 'is not in the recording')}" for step in sorted(must - passed)]
    assert not lost, "\n".join([f"{len(lost)} steps no longer pass:", *lost])
    assert not new, "\n".join(["these steps pass now; add them to tests/golden/passing.txt:", *new])
