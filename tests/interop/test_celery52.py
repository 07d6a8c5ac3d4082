"""The Celery that Debian 12 has (5.2, in an environment of its own), as client and as a worker beside this one."""

import json
import os
import subprocess
import textwrap

import pytest

from jobs_stack import Stack, wait_for

PYTHON = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), ".venv-celery52", "bin", "python")

CLIENT = """
    import json, sys
    import celery
    app = celery.Celery(broker=sys.argv[1], backend=sys.argv[1])
    inspect = app.control.inspect(timeout=5, destination=["here@celery52"])
    answers = {"version": celery.__version__, "ping": inspect.ping(), "registered": inspect.registered()}
    answers["sum"] = app.send_task("diag.add", (2, 3)).get(timeout=20)
    answers["unicode"] = app.send_task("diag.echo", kwargs={"s": "ž\\u2603"}).get(timeout=20)
    answers["urgent"] = app.send_task("diag.add", kwargs={"x": 1, "y": 1}, priority=9, countdown=0.2).get(timeout=20)
    answers["parts"] = celery.group(app.signature("diag.add", (i, i)) for i in range(3)).apply_async().get(timeout=20)
    body = app.signature("celery.accumulate")
    answers["chord"] = celery.chord([app.signature("diag.add", (i, i)) for i in range(4)])(body).get(timeout=20)
    try:
        app.send_task("diag.fail", kwargs={"times": 9, "error": "boom", "retries": 0}).get(timeout=20)
    except Exception as error:
        answers["error"] = [type(error).__name__, str(error)]
    late = app.send_task("diag.add", (1, 1), countdown=60)
    late.revoke()
    try:
        late.get(timeout=20)
    except celery.exceptions.TaskRevokedError as error:
        answers["revoked"] = str(error)
    print(json.dumps(answers))
"""

WORKER = """
    import sys
    import celery
    app = celery.Celery(broker=sys.argv[1], backend=sys.argv[1])

    @app.task(name="diag.add", bind=True)
    def add(self, x, y):
        return [celery.__version__, x + y, self.request.timelimit]

    @app.task(name="diag.echo")
    def echo(**kwargs):
        return kwargs

    app.worker_main(["worker", "-Q", "python", "-c", "1", "-P", "solo", "-l", "info", "-n", "python@celery52"])
"""


# A chord whose parts run here and there, and whose body runs where it is told to.
SPLIT = """
    import json, sys
    import celery
    app = celery.Celery(broker=sys.argv[1], backend=sys.argv[1])

    def chord(body, parts):
        header = [app.signature("diag.add", (i, i), queue=parts[i % len(parts)]) for i in range(6)]
        return celery.chord(header)(app.signature("celery.accumulate", queue=body)).get(timeout=30)

    print(json.dumps([chord(body, parts) for body in ("celery", "python") for parts in (["celery", "python"], ["python"], ["celery"])]))
"""


@pytest.fixture(scope="module")
def apium():
    assert os.path.exists(PYTHON), "tests/.venv-celery52 is not there: ./dev test makes it"
    with Stack(worker=True, APIUM_QUEUES="celery", APIUM_NODE="here@celery52") as stack:
        yield stack


def start(apium, folder, text, **how):
    script = folder / "script.py"
    script.write_text(textwrap.dedent(text), encoding="utf-8")
    return subprocess.Popen([PYTHON, script, apium.redis.tcp_url()], text=True, **how)


def test_its_clients_are_served(apium, tmp_path):
    client = start(apium, tmp_path, CLIENT, stdout=subprocess.PIPE)
    answers = json.loads(client.communicate(timeout=90)[0])
    assert client.returncode == 0 and answers["version"].startswith("5.2.")
    assert answers["ping"] == {"here@celery52": {"ok": "pong"}} and "diag.add" in answers["registered"]["here@celery52"]
    assert (answers["sum"], answers["urgent"], answers["parts"]) == (5, 2, [0, 2, 4])
    assert answers["chord"] == [[0, 2, 4, 6]]
    assert answers["unicode"] == {"s": "ž\u2603"}
    assert answers["error"] == ["JobError", "boom"] and answers["revoked"] == "revoked"


def test_its_worker_runs_what_is_called_and_answers(apium, tmp_path):
    """It shakes hands (mingle) with this one at its start."""
    with open(tmp_path / "log", "wb") as log:
        apium.redis.call("HSET", "unacked", "somebody's", "[{}, \"\", \"celery\"]")
        worker = start(apium, tmp_path, WORKER, stdout=log, stderr=log)
        try:
            job = apium.apium("call", "diag.add", "-a", "[2, 3]", "--queue", "python", "--time-limit", "30").strip()
            version, total, limits = apium.final(job)["result"]
            assert version.startswith("5.2.") and total == 5 and limits == [30, None]
            sent = {"text": "Grüße \u2028 \U0001f600", "big": 2**70, "float": 0.1, "none": None, "list": [1, [{"a": True}]]}
            job = apium.apium("call", "diag.echo", "-k", json.dumps(sent), "--queue", "python").strip()
            assert apium.final(job)["result"] == sent
            split = start(apium, tmp_path, SPLIT, stdout=subprocess.PIPE)
            answers = json.loads(split.communicate(timeout=120)[0])
            assert split.returncode == 0 and len(answers) == 6
            for (parts,) in answers:  # of a Python part, its version and limits as well
                assert [part if isinstance(part, int) else part[1] for part in parts] == [0, 2, 4, 6, 8, 10]
            said = wait_for(lambda: apium.apium("status", "-t", "2"), "an answer")
            assert apium.redis.call("HKEYS", "unacked") == [b"somebody's"]  # never this worker's, nor touched by it
            assert "->  python@celery52: OK" in said and "->  here@celery52: OK" in said and "2 nodes online." in said
        except AssertionError:
            print((tmp_path / "log").read_text())
            raise
        finally:
            worker.terminate()
            worker.wait(20)
