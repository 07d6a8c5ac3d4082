"""Bodies of messages as Python's `json` reads them: what it takes comes back the same, what it refuses is a dead letter with its bytes.

Kept samples, the corpora of the fuzz targets, and the same with a byte changed.
"""

import base64
import json
import math
import random
from pathlib import Path

import pytest

from jobs_stack import Stack, envelope, wait_for

CORPUS = Path(__file__).resolve().parents[1] / "fuzz/corpus"
SAMPLES = [
    b"null", b"true", b"false", b"0", b"-0", b"-0.0", b"1E400", b"-1e400", b"1e-400", b"5e-324", b"0.1", b"1.0", b"1e5", b"1E+05",
    b"123456789012345678901234567890", b"1180591620717411303424", b"9007199254740993", b"1.7976931348623157e308", b"NaN", b"Infinity",
    b"-Infinity", b"nan", b"+1", b"01", b"1.", b".5", b"1e", b"--1", b"0x10", b"tru", b"nulll", b'""', b'"\\u00e9\\n\\t\\/\\b\\f\\r\\""',
    b'"\\ud83d\\ude00"', b'"\\ud800"', b'"\\udc00\\ud800"', '"ěř☃ 😀"'.encode(), b'"a\\x"', b'"\\u12"', b'"\\u12G4"', b'"a\nb"', b'"\x00"',
    b'"\x7f"', b'"open', b"'single'", b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\xaf"', b"[]", b"[ ]", b"[1,2 ,\t3\r\n]", b"[1,]", b"[,1]", b"[1 2]",
    b"[[[[[[[[]]]]]]]]", b"[", b"]", b"{}", b'{"a":1,"a":2}', b'{"":0}', b'{"a" : {"b" : [null]}}', b'{"a":1,}', b'{"a"}', b"{a:1}",
    b'{"a":1 "b":2}', b"{1:2}", b"\xef\xbb\xbf1", b"1 // x", b"/* x */ 1", b"\x0b1", b"\xa01", b"",
]


def samples():
    kept = SAMPLES + [file.read_bytes() for file in sorted((CORPUS / "json").iterdir()) if file.stat().st_size < 100_000]
    changed, pick = [], random.Random(11)
    for sample in kept:
        for _ in range(5 if 0 < len(sample) < 200 else 0):
            at = pick.randrange(len(sample))
            changed.append(sample[:at] + bytes([pick.choice(b'{}[]",:0123456789eE+-.\\u nt\x80\xff')]) + sample[at + pick.randrange(2):])
    return kept + changed


def same(mine, theirs):
    """Equal in type and value; NaN is NaN, 0.0 is not -0.0."""
    if type(mine) is not type(theirs):
        return False
    if isinstance(theirs, float):
        return math.isnan(mine) and math.isnan(theirs) or (mine == theirs and math.copysign(1, mine) == math.copysign(1, theirs))
    if isinstance(theirs, list):
        return len(mine) == len(theirs) and all(map(same, mine, theirs))
    if isinstance(theirs, dict):
        return list(mine) == list(theirs) and all(same(mine[key], theirs[key]) for key in theirs)
    return mine == theirs


def read(body):
    """The keyword arguments that Python finds in it; None: it refuses it, or it is no job."""
    try:
        parsed = json.loads(body.decode())
    except (ValueError, RecursionError):
        return None
    is_job = isinstance(parsed, list) and len(parsed) == 3 and parsed[0] == [] and isinstance(parsed[1], dict)
    return parsed[1] if is_job and isinstance(parsed[2], dict) else None


@pytest.fixture(scope="module")
def apium():
    with Stack(worker=True, APIUM_QUEUES="celery") as stack:
        yield stack


def test_bodies_are_read_as_python_reads_them(apium):
    jobs = {}
    for sample in samples():
        body = b'[[], {"v": ' + sample + b'}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'
        job, message = envelope("diag.echo")
        message = json.loads(message)
        message["body"] = base64.b64encode(body).decode()
        jobs[job] = body
        apium.redis.call("LPUSH", "celery", json.dumps(message))
    wait_for(lambda: all(apium.result(job) is not None for job in jobs), "the end of them all")
    letters = {record["id"]: raw for record, raw in apium.letters("celery")}  # written together with the results
    wrong, taken = [], 0
    for job, body in jobs.items():
        expected, document = read(body), apium.result(job)
        taken += expected is not None
        if expected is None:
            if job not in letters or document["status"] != "FAILURE":
                wrong.append(f"taken: {body!r}")
            elif body not in base64.b64decode(json.loads(letters[job])["body"]):
                wrong.append(f"its bytes are not kept: {body!r}")
        elif document["status"] != "SUCCESS" or not same(document["result"], expected):
            wrong.append(f"{body!r}: {document['status']} {document['result']!r}, not {expected!r}")
    assert not wrong, "\n".join([f"{len(wrong)} of {len(jobs)}", *wrong])
    assert 60 < taken < len(jobs) - 60
