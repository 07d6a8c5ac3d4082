"""The recordings of the replaced application, as a ratchet: tests/golden/passing.txt only grows.

Each step named there must pass, and a step that passes must be named there.  To write the list anew after a step
has come to pass:

    APIUM_TEST_GOLDEN_WRITE=1 pytest tests/http/test_golden.py       # adds what passes now; takes nothing out

A line is `recording > scenario > step`.  One that begins with `~ ` may pass or fail, because what it asks for hangs
on the moment; the comment above says why.
"""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import psycopg
import pytest

from apium import PATIENCE, TOP, Stack

GOLDEN = TOP / "tests/golden"
LIST = GOLDEN / "passing.txt"
RECORDINGS = ["login", "register", "tokens", "users", "account-mail", "products", "product-images", "lists", "http", "posts", "comments-tags", "reviews-variants", "library", "records"]
ADMIN = ("admin@example.com", "Sup3r-Secret-Pass!")
SECRET = "golden-secret-key-0123456789-0123456789"


@pytest.fixture(scope="module")
def replayed():
    """Servers, gateway and worker for the recordings alone: they look at lists and at mail."""
    with Stack(APIUM_SECRET_KEY=SECRET) as stack:
        stack.start_gateway()
        stack.start_worker()
        yield stack


def replay(stack, recording):
    """({steps that pass}, {steps that do not: why})"""
    # A recording that counts rows must not meet those of another one.
    with psycopg.connect(stack.postgres.url, autocommit=True) as connection:
        connection.execute("TRUNCATE users, categories CASCADE")
    stack.apium("createsuperuser", "--email", ADMIN[0], "--password-stdin", text=ADMIN[1] + "\n")
    report = stack.folder / f"{recording}.xml"
    done = subprocess.run(
        [sys.executable, str(GOLDEN / "replay.py"), "check", "--base", f"http://127.0.0.1:{stack.port}",
         "--secret", SECRET, "--mail-dir", str(stack.mail), "--admin", ":".join(ADMIN), "--jobs", "1",
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


def add_to_list(steps):
    with LIST.open("a") as out:
        out.writelines(step + "\n" for step in steps)


@pytest.mark.parametrize("recording", RECORDINGS)
def test_what_has_passed_passes(replayed, recording):
    passed, failed = replay(replayed, recording)
    must, may = read_list(recording)
    new = [step for step in sorted(passed) if step not in must | may]
    if os.environ.get("APIUM_TEST_GOLDEN_WRITE") == "1":
        add_to_list(new)
        new = []
    lost = [f"{step}\n{failed.get(step, 'is not in the recording')}" for step in sorted(must - passed)]
    assert not lost, "\n".join([f"{len(lost)} steps no longer pass:", *lost])
    assert not new, "\n".join(["these steps pass now; add them to tests/golden/passing.txt:", *new])


def test_the_list_names_only_what_is_recorded():
    known = tuple(f"{recording} > " for recording in RECORDINGS)
    lines = [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")]
    assert lines and all(line.removeprefix("~ ").startswith(known) for line in lines)
    assert len(set(lines)) == len(lines), "a step stands there twice"
