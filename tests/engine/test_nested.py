"""Rows that are written with a row: errors as DRF's nested serializers have them, one transaction, replaced or matched."""

import json

import pytest

import django_side
from engine_side import statements
from shop import multipart, unique

ORDERS = "/api/v1/orders/"
UNKNOWN = "01890000-0000-7000-8000-000000000000"


def sku():
    return unique("s")[-10:]


def order(**more):
    return {"note": "of books", "lines": [{"sku": sku(), "count": 2}, {"sku": sku()}], **more}


@pytest.fixture
def made(stack):
    answer = stack.http("POST", ORDERS, order(address={"street": "High Street 1", "city": "Town"},
                                              parcels=[{"label": "first", "weight": 3}, {"label": "second"}]))
    assert answer.status == 201, answer
    return answer.json


def rows(stack, table, made):
    return stack.sql(f"SELECT id::text, t.* FROM {table} t WHERE order_id = %s ORDER BY t.id", made["id"])


def counts(stack):
    return stack.sql("SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM lines), (SELECT count(*) FROM parcels), "
                     "(SELECT count(*) FROM addresses)")[0]


def test_all_is_made_and_shown(stack, made):
    assert list(made) == ["id", "note", "address", "lines", "parcels"]
    assert list(made["address"]) == ["id", "street", "city"] and made["address"]["city"] == "Town"
    assert [list(line) for line in made["lines"]] == [["id", "sku", "count"]] * 2
    assert sorted(line["count"] for line in made["lines"]) == [1, 2]
    assert [(parcel["label"], parcel["weight"]) for parcel in made["parcels"]] == [("first", 3), ("second", None)]
    assert stack.http("GET", f"{ORDERS}{made['id']}/").json == made


WRONG = [
    {},
    {"note": "x", "lines": None},
    {"note": "x", "lines": "no"},
    {"note": "x", "lines": {}},
    {"note": "x", "lines": 5},
    {"note": "x" * 31, "lines": [{}, {"sku": "a", "count": 0}, {"sku": "b" * 11, "count": "x"}]},
    {"note": "x", "lines": [{"sku": "only-good1"}, {"count": 1}]},
    {"note": "x", "lines": [None]},
    {"note": "x", "lines": ["text", 5, [], True]},
    {"note": "x", "lines": [{"sku": str(number)} for number in range(5)]},
    {"note": "x", "lines": [], "address": "no"},
    {"note": "x", "lines": [], "address": []},
    {"note": "x", "lines": [], "address": {}},
    {"note": "x", "lines": [], "address": {"street": "", "city": None}},
    {"note": "x", "lines": [{}], "address": {"street": "x"}, "parcels": [{"label": "x", "weight": "heavy"}]},
    {"lines": [{"sku": "x", "count": None}], "parcels": None},
]


@pytest.mark.parametrize("body", WRONG, ids=lambda body: json.dumps(body)[:40])
def test_errors_are_drfs(stack, django, body):
    serializer = django_side.order_serializer()(data=body)
    assert not serializer.is_valid()
    before = counts(stack)
    answer = stack.http("POST", ORDERS, body)
    assert (answer.status, answer.json) == (400, json.loads(json.dumps(serializer.errors)))
    assert counts(stack) == before


def test_one_wrong_row_leaves_nothing_behind(stack, made):
    before, taken = counts(stack), made["lines"][0]["sku"]
    answer = stack.http("POST", ORDERS, order(lines=[{"sku": sku()}, {"sku": taken}], address={"street": "x", "city": "y"}))
    assert (answer.status, answer.json) == (400, {"lines": [{}, {"sku": ["line with this sku already exists."]}]})
    # Two of the same: only the second write can tell.
    one = sku()
    answer = stack.http("POST", ORDERS, order(lines=[{"sku": one}, {"sku": one}]))
    assert (answer.status, answer.json) == (400, {"lines": [{}, {"sku": ["line with this sku already exists."]}]})
    assert counts(stack) == before


def test_what_is_replaced(stack, made):
    """The old ones go, and a unique value of theirs is free."""
    keep = made["lines"][0]["sku"]
    answer = stack.http("PATCH", f"{ORDERS}{made['id']}/", {"lines": [{"sku": keep, "count": 9}]})
    assert answer.status == 200, answer
    assert [(line["sku"], line["count"]) for line in answer.json["lines"]] == [(keep, 9)]
    assert answer.json["lines"][0]["id"] not in {line["id"] for line in made["lines"]}
    assert answer.json["parcels"] == made["parcels"] and answer.json["address"] == made["address"], "what was not sent"
    assert len(rows(stack, "lines", made)) == 1
    # With an error nothing has happened.
    assert stack.http("PATCH", f"{ORDERS}{made['id']}/", {"lines": [{"count": 1}]}).status == 400
    assert len(rows(stack, "lines", made)) == 1


def test_what_is_matched(stack, made):
    first, second = made["parcels"]
    answer = stack.http("PATCH", f"{ORDERS}{made['id']}/", {"parcels": [{"label": "third"}, {"id": second["id"], "weight": 7}]})
    assert answer.status == 200, answer
    assert {(parcel["label"], parcel["weight"]) for parcel in answer.json["parcels"]} == {("third", None), ("second", 7)}
    assert second["id"] in {parcel["id"] for parcel in answer.json["parcels"]}
    assert first["id"] not in {parcel["id"] for parcel in answer.json["parcels"]}
    # PUT: all that is required, also of those that are there.
    lines = [{"sku": line["sku"]} for line in made["lines"]]
    answer = stack.http("PUT", f"{ORDERS}{made['id']}/", {"note": "n", "lines": lines, "parcels": [{"id": second["id"]}]})
    assert (answer.status, answer.json) == (400, {"parcels": [{"label": ["This field is required."]}]})


def test_another_orders_row_is_not_taken(stack, made):
    other = stack.http("POST", ORDERS, order(parcels=[{"label": "theirs"}])).json
    theirs = other["parcels"][0]["id"]
    for sent in (theirs, str(theirs), 10**15, "x", True):
        answer = stack.http("PATCH", f"{ORDERS}{made['id']}/", {"parcels": [{"id": sent, "label": "mine"}]})
        assert (answer.status, list(answer.json["parcels"][0])) == (400, ["id"]), answer
        assert "object does not exist." in answer.json["parcels"][0]["id"][0]
    mine = made["parcels"][0]["id"]
    answer = stack.http("PATCH", f"{ORDERS}{made['id']}/", {"parcels": [{"id": mine}, {"id": mine}]})
    assert answer.json == {"parcels": [{}, {"id": ["This row stands there twice."]}]}
    answer = stack.http("POST", ORDERS, order(parcels=[{"id": theirs, "label": "x"}]))
    assert answer.status == 400 and "id" in answer.json["parcels"][0]
    assert [row[3] for row in rows(stack, "parcels", other)] == ["theirs"]
    assert len(rows(stack, "parcels", made)) == 2


def test_what_points_at_the_outer_row_is_not_read(stack, made):
    other = stack.http("POST", ORDERS, order(lines=[{"sku": sku(), "order": made["id"], "order_id": made["id"], "id": UNKNOWN}])).json
    assert len(rows(stack, "lines", other)) == 1 and len(rows(stack, "lines", made)) == 2
    assert other["lines"][0]["id"] != UNKNOWN


def test_one_row_is_changed_in_its_place_and_ends_with_null(stack, made):
    path, address = f"{ORDERS}{made['id']}/", made["address"]
    answer = stack.http("PATCH", path, {"address": {"city": "Village"}}).json
    assert answer["address"] == {**address, "city": "Village"}
    assert stack.http("PATCH", path, {"note": "other"}).json["address"]["id"] == address["id"]
    assert stack.http("PATCH", path, {"address": None}).json["address"] is None
    assert stack.sql("SELECT count(*) FROM addresses WHERE id = %s", address["id"]) == [(0,)]
    answer = stack.http("PATCH", path, {"address": {"city": "x"}})
    assert answer.json == {"address": {"street": ["This field is required."]}}, "there is none to change"
    answer = stack.http("PATCH", path, {"address": {"street": "s", "city": "c"}}).json
    assert answer["address"]["id"] != address["id"]


def test_a_form_carries_none(stack):
    body, kind = multipart({"note": "x", "lines": "[]"})
    answer = stack.http("POST", ORDERS, body, headers={"Content-Type": kind})
    assert (answer.status, answer.json) == (400, {"lines": ["This field is required."]})


def test_many_orders_with_their_lines(stack, made):
    good, bad = order(), order(lines=[{"sku": made["lines"][0]["sku"]}])
    before = counts(stack)
    answer = stack.http("POST", ORDERS + "bulk_create/", [good, bad])
    assert (answer.status, answer.json) == (400, [{}, {"lines": [{"sku": ["line with this sku already exists."]}]}])
    assert counts(stack) == before
    answer = stack.http("POST", ORDERS + "bulk_create/", [good, order()])
    assert answer.status == 201 and [len(row["lines"]) for row in answer.json] == [2, 2]


def test_a_list_costs_two_statements(stack, made, new_user):
    assert statements(stack, new_user(), ORDERS) == 2
    assert statements(stack, new_user(), f"{ORDERS}{made['id']}/") == 1


def test_what_is_told_of_them(stack):
    told = stack.http("GET", "/api/v1/schema/").json["components"]["schemas"]["Order"]
    assert told["required"] == ["id", "lines", "note"]
    assert told["properties"]["lines"] == {"type": "array", "items": {"$ref": "#/components/schemas/OrderLine"}, "maxItems": 4}
    assert told["properties"]["address"] == {"allOf": [{"$ref": "#/components/schemas/Address"}], "nullable": True}
    line = stack.http("OPTIONS", ORDERS).json["actions"]["POST"]["lines"]
    assert (line["required"], line["read_only"], line["child"]["required"], line["child"]["read_only"]) == (True, False, True, False)
    assert list(line["child"]["children"]) == ["id", "sku", "count"]
