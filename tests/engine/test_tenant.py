"""Rows of one tenant are nothing to another: lists, single rows, writes, what is embedded, what must be unique."""

import itertools

import pytest

from engine_side import statements
from shop import unique

PROJECTS, TASKS = "/api/v1/projects/", "/api/v1/tasks/"
NUMBERS = itertools.count(1)


@pytest.fixture
def tenants(stack, new_user):
    """Somebody of each of two."""
    users = new_user(), new_user()
    for user in users:
        stack.sql("INSERT INTO members (user_id, tenant_id) VALUES (%s, %s)", user.id, next(NUMBERS))
    return users


def make(stack, user, path=PROJECTS, **fields):
    answer = stack.http("POST", path, fields, user.access)
    assert answer.status == 201, answer
    return answer.json


def names(stack, user, path):
    answer = stack.http("GET", path, token=user.access).json
    return answer["count"], [row.get("name") or row["title"] for row in answer["results"]]


def test_lists_and_single_rows(stack, tenants):
    ann, bob = tenants
    mine, theirs = make(stack, ann, name="ann's"), make(stack, bob, name="bob's")
    assert names(stack, ann, PROJECTS) == (1, ["ann's"]) and names(stack, bob, PROJECTS) == (1, ["bob's"])
    path = f"{PROJECTS}{theirs['id']}/"
    for method, body in (("GET", None), ("PUT", {"name": "x"}), ("PATCH", {"name": "x"}), ("DELETE", None)):
        answer = stack.http(method, path, body, ann.access)
        assert (answer.status, answer.json) == (404, {"detail": "No Project matches the given query."})
    assert stack.http("GET", path, token=bob.access).json["name"] == "bob's"
    assert stack.http("PATCH", f"{PROJECTS}{mine['id']}/", {"name": "renamed"}, ann.access).json["name"] == "renamed"


def test_a_new_row_is_the_callers_tenants_whatever_is_sent(stack, tenants):
    ann, bob = tenants
    theirs = stack.sql("SELECT tenant_id FROM members WHERE user_id = %s", bob.id)[0][0]
    row = make(stack, ann, name="mine", tenant=theirs, tenant_id=theirs)
    assert stack.sql("SELECT tenant_id = (SELECT tenant_id FROM members WHERE user_id = %s) FROM projects WHERE id = %s",
                     ann.id, row["id"]) == [(True,)]
    assert list(row) == ["id", "name", "tasks"]
    assert stack.http("PATCH", f"{PROJECTS}{row['id']}/", {"tenant_id": theirs}, ann.access).status == 200
    assert names(stack, bob, PROJECTS)[0] == 0


def test_what_must_be_unique_is_so_within_a_tenant(stack, tenants):
    ann, bob = tenants
    make(stack, ann, name="same")
    make(stack, bob, name="same")
    answer = stack.http("POST", PROJECTS, {"name": "same"}, ann.access)
    assert (answer.status, answer.json) == (400, {"name": ["project with this name already exists."]})


def test_another_tenants_row_cannot_be_pointed_at(stack, tenants):
    ann, bob = tenants
    theirs = make(stack, bob, name="bob's")
    answer = stack.http("POST", TASKS, {"project": theirs["id"], "title": "x"}, ann.access)
    assert (answer.status, answer.json) == (400, {"project": [f'Invalid pk "{theirs["id"]}" - object does not exist.']})
    assert stack.http("GET", f"{TASKS}?project={theirs['id']}", token=ann.access).json == {
        "project": ["Select a valid choice. That choice is not one of the available choices."]}


def test_what_is_embedded(stack, tenants):
    """Rows that a mistake of somebody's SQL made point across."""
    ann, bob = tenants
    mine, theirs = make(stack, ann, name="ann's"), make(stack, bob, name="bob's")
    make(stack, ann, TASKS, project=mine["id"], title="mine")
    title = unique("astray")
    stack.sql("INSERT INTO tasks (id, tenant_id, project_id, title) SELECT gen_random_uuid(), tenant_id, %s, %s FROM members "
              "WHERE user_id = %s", mine["id"], title, bob.id)
    assert [task["title"] for task in stack.http("GET", f"{PROJECTS}{mine['id']}/", token=ann.access).json["tasks"]] == ["mine"]
    shown = {row["title"]: row["project"] for row in stack.http("GET", "/api/v1/shown-tasks/?page=last", token=bob.access).json["results"]}
    assert shown[title] is None
    assert theirs["tasks"] == []


def test_many_at_once(stack, tenants):
    ann, bob = tenants
    mine, theirs = make(stack, ann, name="ann's"), make(stack, bob, name="bob's")
    answer = stack.http("PATCH", PROJECTS + "bulk_update/", [{"id": mine["id"], "name": "x"}, {"id": theirs["id"], "name": "y"}], ann.access)
    assert answer.status == 400 and answer.json[0] == {} and list(answer.json[1]) == ["id"]
    assert stack.http("POST", PROJECTS + "bulk_delete/", {"ids": [theirs["id"]]}, ann.access).status == 400
    assert names(stack, bob, PROJECTS) == (1, ["bob's"])


def test_who_has_no_tenant_sees_and_makes_nothing(stack, tenants, new_user):
    make(stack, tenants[0], name="ann's")
    nobody = new_user()
    assert names(stack, nobody, PROJECTS) == (0, [])
    answer = stack.http("POST", PROJECTS, {"name": "x"}, nobody.access)
    assert (answer.status, answer.json) == (403, {"detail": "You do not have permission to perform this action."})


def test_the_tenant_of_a_host(stack):
    for name in ("one.localhost", "two.localhost"):
        stack.sql("INSERT INTO sites (domain) VALUES (%s)", name)

    def ask(method, host, path="", body=None):
        return stack.http(method, f"/api/v1/pages/{path}", body, headers={"Host": host})

    row = ask("POST", "one.localhost:8000", body={"name": "first"}).json
    assert ask("GET", "one.localhost", f"{row['id']}/").json == row
    assert ask("GET", "two.localhost", f"{row['id']}/").status == 404
    assert ask("GET", "two.localhost:8000").json["count"] == 0 and ask("GET", "three.localhost").json["count"] == 0
    assert ask("POST", "three.localhost", body={"name": "x"}).status == 401


def test_statements(stack, tenants):
    ann = tenants[0]
    row = make(stack, ann, name="x")
    assert statements(stack, ann, PROJECTS) == 2
    assert statements(stack, ann, f"{PROJECTS}{row['id']}/") == 1
