"""Periodic jobs over HTTP: staff only."""

import pytest

from shop import UNKNOWN, unique

PATH = "/api/v1/schedules/"


@pytest.fixture
def schedule(stack, staff):
    """Makes one; the answer's body."""
    def make(**fields):
        answer = stack.http("POST", PATH, {"name": unique("s"), "task": "auth.purge_tokens", "crontab": "0 4 * * *", **fields},
                            staff.access)
        assert answer.status == 201, answer
        return answer.json
    return make


def test_staff_makes_changes_and_removes_them(stack, staff, schedule):
    made = schedule(zone="Europe/Berlin")
    assert made["kwargs"] == {} and made["missed"] == "one" and made["overlap"] == "allow" and made["starting_deadline"] == 86400
    assert made["is_paused"] is False and made["is_declared"] is False and made["next_at"] is None and made["every"] is None
    path = f"{PATH}{made['id']}/"
    stack.sql("UPDATE beat_schedule SET next_at = '2030-01-01' WHERE id = %s", made["id"])
    answer = stack.http("PATCH", path, {"missed": "all", "queue": "slow"}, staff.access)
    assert (answer.status, answer.json["next_at"]) == (200, "2030-01-01T00:00:00Z")
    answer = stack.http("PATCH", path, {"crontab": None, "every": 60}, staff.access)
    assert (answer.status, answer.json["every"], answer.json["next_at"]) == (200, 60, None)
    assert [row["id"] for row in stack.http("GET", f"{PATH}?search={made['name']}", token=staff.access).json["results"]] == [made["id"]]
    assert stack.http("DELETE", path, token=staff.access).status == 204
    assert stack.http("GET", path, token=staff.access).status == 404


@pytest.mark.parametrize("fields, field, words", [
    ({"crontab": "61 * * * *"}, "crontab", "minute: 61 is not from 0 to 59"),
    ({"crontab": "* * * * moon"}, "crontab", "day of the week: moon is no number and no name"),
    ({"every": 5}, "non_field_errors", "Either crontab or every must be set."),
    ({"crontab": None}, "non_field_errors", "Either crontab or every must be set."),
    ({"zone": "Mars/Olympus"}, "zone", "there is no time zone Mars/Olympus"),
    ({"zone": "../../etc/passwd"}, "zone", "there is no time zone ../../etc/passwd"),
    ({"task": "email.send"}, "kwargs", "email.send() missing 3 required arguments: 'subject', 'message', and 'recipient_list'"),
    ({"kwargs": [1]}, "kwargs", "the arguments are no object"),
    ({"missed": "some"}, "missed", '"some" is not a valid choice.'),
    ({"every": 0, "crontab": None}, "every", "Ensure this value is greater than or equal to 1."),
])
def test_what_is_wrong_is_told_by_field(stack, staff, fields, field, words):
    answer = stack.http("POST", PATH, {"name": unique("s"), "task": "auth.purge_tokens", "crontab": "* * * * *", **fields}, staff.access)
    assert (answer.status, answer.json) == (400, {field: [words]})


def test_a_name_is_taken_once(stack, staff, schedule):
    made = schedule()
    answer = stack.http("POST", PATH, {"name": made["name"], "task": "auth.purge_tokens", "every": 5}, staff.access)
    assert answer.status == 400 and list(answer.json) == ["name"]


def test_run_pause_resume_history(stack, staff, schedule):
    made = schedule()
    path = f"{PATH}{made['id']}/"
    answer = stack.http("POST", f"{path}run/", token=staff.access)
    assert (answer.status, answer.json["status"]) == (202, "queued")
    assert stack.sql("SELECT task, key FROM job_outbox WHERE id = %s", answer.json["task_id"]) == [
        ("auth.purge_tokens", f"beat:{answer.json['task_id']}")]
    history = stack.http("GET", f"{path}history/", token=staff.access).json
    assert history["count"] == 1
    assert history["results"][0]["id"] == answer.json["task_id"] and history["results"][0]["outcome"] == "asked"
    assert stack.http("GET", path, token=staff.access).json["last_run_at"] == history["results"][0]["planned_at"]
    for verb, status, is_paused in (("pause", "paused", True), ("resume", "resumed", False)):
        answer = stack.http("POST", f"{path}{verb}/", token=staff.access)
        assert (answer.status, answer.json) == (200, {"status": status})
        assert stack.http("GET", path, token=staff.access).json["is_paused"] is is_paused


def test_the_same_run_twice_by_its_key(stack, staff, schedule):
    path = f"{PATH}{schedule()['id']}/run/"
    answers = [stack.http("POST", path, token=staff.access, headers={"Idempotency-Key": "run-once"})
               for _ in range(2)]
    assert answers[0].status == answers[1].status == 202 and answers[0].json == answers[1].json


def test_what_the_code_declares_stays(stack, staff, schedule):
    made = schedule()
    path = f"{PATH}{made['id']}/"
    stack.sql("UPDATE beat_schedule SET is_declared = true WHERE id = %s", made["id"])
    for method in ("PUT", "PATCH", "DELETE"):
        assert stack.http(method, path, {"name": "x", "task": "x", "every": 1}, staff.access).status == 403
    for verb, status in (("pause", 200), ("resume", 200), ("run", 202)):
        assert stack.http("POST", f"{path}{verb}/", token=staff.access).status == status


def test_nobody_else_sees_any(stack, ann, schedule):
    path = f"{PATH}{schedule()['id']}/"
    asked = [("GET", PATH), ("POST", PATH), ("GET", path), ("PUT", path), ("PATCH", path), ("DELETE", path), ("GET", f"{path}history/"),
             *(("POST", f"{path}{verb}/") for verb in ("run", "pause", "resume"))]
    for method, where in asked:
        body = None if method == "GET" else {"name": unique("s"), "task": "diag.noop", "every": 1}
        assert stack.http(method, where, body, ann.access).status == 403, (method, where)
        assert stack.http(method, where, body).status == 401, (method, where)


def test_one_that_is_not_there(stack, staff):
    for method, where in (("GET", ""), ("PATCH", ""), ("POST", "run/"), ("POST", "pause/"), ("GET", "history/")):
        assert stack.http(method, f"{PATH}{UNKNOWN}/{where}", {} if method != "GET" else None, staff.access).status == 404
