"""Rows that are written with a row: errors as DRF's nested serializers have them, one transaction, replaced or matched."""

import json
from urllib.parse import urlencode

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


FORM = "application/x-www-form-urlencoded"


def sent_as_form(stack, method, path, *pairs):
    return stack.http(method, path, urlencode(pairs).encode(), headers={"Content-Type": FORM})


WRONG_FORMS = [
    "",
    "note=x",
    "note=x&lines=%5B%5D&lines[]sku=a&lines[x]sku=a&lines[0sku=a&lines.sku=a&linesx[0]sku=a",
    "note=x&lines[0]=text",
    "note=x&lines[0]=text&lines[0]sku=&lines[1]=",
    "note=x&lines[0]sku=good&lines[0]=text",
    "note=x&lines[0].sku=a&lines[1]count=1",
    "note=x&lines[10]sku=first-is-2&lines[9]sku=12345678901&lines[9]count=0&lines[2]count=x",
    "note=x&lines[99999999999999999999]sku=12345678901&lines[99999999999999999998]count=1",
    "note=x&lines[00]sku=12345678901&lines[0]count=0&lines[0]sku=good&lines[1]count=",
    "note=x&lines[0]sku=good&lines[0]sku=",
    "note=x&lines[0]sku=a&lines[1]sku=a&lines[2]sku=a&lines[3]sku=a&lines[4]sku=a",
    "note=x&lines[0]sku=good&address=text&address.street=",
    "note=x&lines[0]sku=good&address.=x&address.street=a&address.street=&address.city=" + "c" * 21,
    "note=x&lines[0]sku=good&parcels[0]weight=heavy&parcels[1]label=x&parcels[1]weight=",
    "lines[0]sku=good&parcels[3]=&parcels[3]label=",
]


@pytest.mark.parametrize("form", WRONG_FORMS, ids=lambda form: form[:60])
def test_what_is_wrong_in_forms_is_drfs(stack, django, form):
    from django.http import QueryDict

    serializer = django_side.order_serializer()(data=QueryDict(form))
    assert not serializer.is_valid()
    before = counts(stack)
    answer = stack.http("POST", ORDERS, form.encode(), headers={"Content-Type": FORM})
    assert (answer.status, answer.json) == (400, json.loads(json.dumps(serializer.errors)))
    assert counts(stack) == before


def test_a_form_makes_rows(stack):
    first, second = sku(), sku()
    answer = sent_as_form(stack, "POST", ORDERS, ("note", "x"), ("lines[7]sku", second), ("lines[1]sku", first), ("lines[1]count", "3"),
                          ("address.street", "s"), ("address.city", "c"), ("parcels[0]label", "p"), ("parcels[0]weight", ""))
    assert answer.status == 201, answer
    assert {(line["sku"], line["count"]) for line in answer.json["lines"]} == {(first, 3), (second, 1)}
    assert answer.json["address"]["city"] == "c"
    assert [(parcel["label"], parcel["weight"]) for parcel in answer.json["parcels"]] == [("p", None)]


def test_multipart_makes_rows(stack):
    body, kind = multipart({"note": "x", "lines[0]sku": sku(), "address.street": "s", "address.city": "c"})
    answer = stack.http("POST", ORDERS, body, headers={"Content-Type": kind})
    assert answer.status == 201 and len(answer.json["lines"]) == 1 and answer.json["address"]["street"] == "s", answer


def test_a_form_changes_rows(stack, made):
    path, second = f"{ORDERS}{made['id']}/", made["parcels"][1]["id"]
    answer = sent_as_form(stack, "PATCH", path, ("parcels[0]id", second), ("parcels[0]weight", "7"), ("address.city", "Village"))
    assert answer.status == 200, answer
    assert [(parcel["id"], parcel["weight"]) for parcel in answer.json["parcels"]] == [(second, 7)]
    assert answer.json["address"] == {**made["address"], "city": "Village"} and answer.json["lines"] == made["lines"]
    answer = sent_as_form(stack, "PATCH", path, ("parcels[0]id", "x"), ("parcels[0]label", "mine"))
    assert answer.json == {"parcels": [{"id": ['Invalid pk "x" - object does not exist.']}]}


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
