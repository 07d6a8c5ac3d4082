"""How a job is kept is a word of its task: outbox (a row first), waited (a replica has it), fast (pushed)."""

import json
import subprocess

import pytest
import redis as redis_client

import apium
from apium import BUILD


@pytest.fixture(scope="module")
def stack():
    with apium.Stack(APIUM_DIAG="on", APIUM_WAIT_TIMEOUT="2") as stack:
        stack.start_gateway()  # its relay pushes what the command leaves in the outbox
        yield stack


def enqueue(stack, *words, status=0):
    done = subprocess.run([str(BUILD / "apium"), "enqueue", "diag.echo", "--kwargs", '{"a": 1}', *words],
                          env=stack.environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stderr
    return done


def rows(stack):
    return stack.sql("SELECT count(*) FROM job_outbox")[0][0]


def waiting(stack):
    return [json.loads(raw)["headers"] for raw in stack.redis.lrange("default", 0, -1)]


@pytest.fixture(autouse=True)
def clean(stack):
    yield
    stack.sql("DELETE FROM job_outbox")
    stack.redis.flushall()


def test_outbox_is_the_usual_word(stack):
    done = enqueue(stack)
    assert done.stderr == "kept: outbox\n" and rows(stack) == 1
    (headers,) = stack.wait_for("the push", lambda: waiting(stack))
    assert headers["id"] == done.stdout.strip() and headers["apium_outbox"] is True


def test_fast_writes_no_row(stack):
    done = enqueue(stack, "--durability", "fast")
    assert done.stderr == "kept: fast\n" and rows(stack) == 0
    (headers,) = waiting(stack)
    assert headers["id"] == done.stdout.strip() and "apium_outbox" not in headers


def test_waited_without_a_replica_is_said_to_be_unsafe(stack):
    done = enqueue(stack, "--durability", "waited", status=1)
    assert "no replica has said that it has it" in done.stderr
    assert len(waiting(stack)) == 1 and rows(stack) == 0


def test_waited_with_a_replica(stack):
    port = apium.free_port()
    folder = stack.folder / "replica"
    folder.mkdir()
    replica = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder),
                                "--save", "", "--replicaof", "127.0.0.1", str(stack.redis_server.port)],
                               stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        stack.wait_for("the replica", lambda: stack.redis.info("replication").get("slave0", {}).get("state") == "online",
                       30)
        done = enqueue(stack, "--durability", "waited")
        assert done.stderr == "kept: waited\n" and rows(stack) == 0
        with redis_client.Redis(port=port) as there:
            (raw,) = there.lrange("default", 0, -1)
        assert json.loads(raw)["headers"]["id"] == done.stdout.strip()
    finally:
        replica.kill()
        replica.wait()


def test_a_word_that_is_none(stack):
    done = enqueue(stack, "--durability", "often", status=2)
    assert "--durability takes outbox, waited or fast, not often" in done.stderr


def test_arguments_are_checked_at_once(stack):
    done = enqueue(stack, "--args", "[1]", status=2)
    assert "diag.echo() takes keyword arguments only" in done.stderr and waiting(stack) == []


def test_a_bad_row_from_sql_is_a_dead_letter_with_its_reason(stack):
    worker = stack.start_worker()
    ((job,),) = stack.sql("SELECT apium_enqueue('diag.add', '{\"x\": 1}')::text")
    letter = stack.wait_for("the letter", lambda: stack.redis.hget("apium:{default}:letters", job), 20)
    assert "diag.add() missing 1 required argument: 'y'" in json.loads(letter)["reason"]
    stack.wait_for("the row to go", lambda: rows(stack) == 0)
    assert worker.stop() == 0


def test_contracts_are_told_as_json_schema(stack):
    answer = stack.http("GET", "/api/schema/tasks/")
    assert answer.status == 200 and answer.json == stack.http("GET", "/api/v1/schema/tasks/").json
    assert answer.json["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    mail = answer.json["$defs"]["email.send"]
    assert mail["type"] == "object" and mail["additionalProperties"] is False
    assert mail["required"] == ["subject", "message", "recipient_list"]
    assert mail["properties"]["html_message"] == {"type": ["string", "null"], "default": None,
                                                  "description": "the same as HTML; null: text only"}
    assert (mail["x-durability"], mail["x-queue"], mail["x-retries"], mail["x-time-limit"]) == ("outbox", "default", 3,
                                                                                                 120)
    assert answer.json["$defs"]["diag.echo"]["additionalProperties"] is True
