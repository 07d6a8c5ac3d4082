"""One trace from the request through the outbox and the message to the job's log, and on to what the job asks for."""

import base64
import json
import re

import pytest

import apium

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SENT = f"00-{TRACE}-00f067aa0ba902b7-01"
SHAPE = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01")


@pytest.fixture()
def stack():
    with apium.Stack(APIUM_LOG="json", APIUM_LOG_LEVEL="debug", APIUM_DIAG="on") as stack:
        stack.start_gateway()
        yield stack


def register(stack, name, **headers):
    answer = stack.http("POST", "/api/v1/auth/register/", headers=headers, body={
        "email": f"{name}@example.com", "username": name, "password": "Quiet-Harbour-77",
        "password_confirm": "Quiet-Harbour-77", "first_name": "A", "last_name": "B"})
    assert answer.status == 201, answer
    return answer


def lines(program):
    found = []
    for line in program.log.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            pass
    return found


def message_headers(stack, queue="default"):
    return [json.loads(raw)["headers"] for raw in stack.redis.lrange(queue, 0, -1)]


def access_line(gateway, answer):
    """It comes behind the answer."""
    return apium.wait_for("the access log", lambda: next((line for line in lines(gateway) if line["message"] == "request"
                                                          and line["request"] == answer.headers["X-Request-ID"]), None), 10)


def test_one_trace_from_request_to_job(stack):
    gateway = stack.programs[-1]
    answer = register(stack, "tracer", traceparent=SENT)
    assert access_line(gateway, answer)["trace"] == TRACE
    (row,) = stack.sql("SELECT id::text, traceparent FROM job_outbox")
    (headers,) = stack.wait_for("the message", lambda: message_headers(stack))
    trace, span = SHAPE.fullmatch(row[1]).groups()
    assert trace == TRACE and span != "00f067aa0ba902b7"
    assert headers["traceparent"] == row[1] and headers["id"] == row[0]
    worker = stack.start_worker()

    def job_lines():
        return [line for line in lines(worker) if line.get("job") == row[0] and line["message"] == "job ended"]

    (line,) = stack.wait_for("the job's log", job_lines, 20)
    assert line["trace"] == TRACE and line["task"] == "email.send" and line["program"] == "apium-worker"


def test_a_request_without_one_begins_one(stack):
    gateway = stack.programs[-1]
    for bad in (None, "nonsense", SENT.upper()):
        answer = register(stack, f"fresh{len(bad or '')}", **({"traceparent": bad} if bad else {}))
        trace = access_line(gateway, answer)["trace"]
        assert re.fullmatch("[0-9a-f]{32}", trace) and trace != TRACE
        assert [trace] == [SHAPE.fullmatch(row[0])[1]
                           for row in stack.sql("SELECT traceparent FROM job_outbox ORDER BY created_at DESC LIMIT 1")]


def test_the_supervisor_names_the_trace_of_what_fails(stack):
    worker = stack.start_worker()
    headers = {"task": "diag.fail", "id": "6f1c1d8e-0000-4000-8000-000000000001", "retries": 0, "traceparent": SENT}
    body = base64.b64encode(json.dumps([[], {"times": 9, "retries": 0}, {}]).encode()).decode()
    stack.redis.lpush("default", json.dumps({
        "body": body, "headers": headers, "content-type": "application/json", "content-encoding": "utf-8",
        "properties": {"body_encoding": "base64"}}))

    def dead():
        return [line for line in lines(worker) if line["message"] == "job is dead"]

    (line,) = stack.wait_for("its end", dead, 20)
    assert line["trace"] == TRACE and line["task"] == "diag.fail" and line["job"] == headers["id"]
