"""Many rows with one request: all or none, one after another, and what goes with them."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shop import UNKNOWN, unique

pytestmark = pytest.mark.slow

PRODUCTS = "/api/v1/products/"
NOT_FOUND = {"id": ["Not found."]}
NOT_YOURS = {"id": ["You do not have permission to perform this action."]}


def create(stack, user, rows, **more):
    return stack.http("POST", PRODUCTS + "bulk_create/", rows, user.access, **more)


def change(stack, user, rows):
    return stack.http("PATCH", PRODUCTS + "bulk_update/", rows, user.access)


def delete(stack, user, ids):
    return stack.http("POST", PRODUCTS + "bulk_delete/", {"ids": ids}, user.access)


def test_rows_are_checked_behind_the_writes_of_those_before(stack, ann):
    sku = unique("sku")
    answer = create(stack, ann, [{"name": "One", "price": "1", "sku": sku}, {"name": "Two", "price": "1", "sku": sku}])
    assert (answer.status, answer.json) == (400, [{}, {"sku": ["product with this sku already exists."]}])
    answer = create(stack, ann, [{"name": "", "price": "1"}, {"name": "Two", "price": "1", "sku": sku},
                                 {"name": "Three", "price": "1", "sku": sku}])
    assert answer.json == [{"name": ["This field may not be blank."]}, {}, {"sku": ["product with this sku already exists."]}]
    assert stack.http("GET", f"{PRODUCTS}?sku={sku}", token=ann.access).json["count"] == 0


def test_slugs_of_one_request_differ(stack, ann):
    name = unique("same")
    answer = create(stack, ann, [{"name": name, "price": "1"}] * 3)
    assert [row["slug"] for row in answer.json] == [name, f"{name}-2", f"{name}-3"]


def test_sets_are_not_read(stack, ann):
    """The list's shape has none, and what it does not show it does not take either."""
    answer = create(stack, ann, [{"name": unique("p"), "price": "1", "tags": ["x"]}])
    assert answer.status == 201 and "tags" not in answer.json[0]


@pytest.mark.parametrize("count", [1, 100, 101])
def test_how_many(stack, ann, count):
    answer = create(stack, ann, [{"name": unique("p"), "price": "1"} for _ in range(count)])
    assert answer.status == (201 if count <= 100 else 400)
    assert answer.status == 201 or answer.json == {"non_field_errors": ["Send 1 to 100 rows."]}


def test_a_form_is_no_list(stack, ann):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = stack.http("POST", PRODUCTS + "bulk_create/", b"name=x", ann.access, headers=headers)
    assert answer.json == {"non_field_errors": ['Expected a list of items but got type "QueryDict".']}
    answer = stack.http("POST", PRODUCTS + "bulk_delete/", b"ids=x", ann.access, headers=headers)
    assert answer.json == {"non_field_errors": ['Expected a list of items but got type "str".']}


def test_an_update_of_many(stack, shop, ann, staff):
    bob = shop.user("bob")
    mine, his = shop.product(ann), shop.product(bob)
    answer = change(stack, ann, [{"id": mine["id"], "price": "7"}, {"id": his["id"], "price": "7"}, {"id": UNKNOWN}, 5,
                                 {"id": "abc"}, {"id": mine["id"], "price": "x"}])
    assert answer.status == 400
    assert answer.json == [{}, NOT_YOURS, NOT_FOUND, NOT_FOUND, NOT_FOUND, {"price": ["A valid number is required."]}]
    assert stack.http("GET", f"{PRODUCTS}{mine['id']}/", token=ann.access).json["price"] == mine["price"]
    answer = change(stack, staff, [{"id": mine["id"], "price": "7"}, {"id": his["id"], "price": "8"},
                                   {"id": mine["id"], "stock": 3}])
    assert [(row["price"], row["stock"]) for row in answer.json] == [("7.00", 0), ("8.00", 0), ("7.00", 3)]


def test_a_deletion_of_many(stack, shop, ann):
    one, two = shop.product(ann), shop.product(ann)
    answer = delete(stack, ann, [one["id"], one["id"]])
    assert (answer.status, answer.json) == (400, [{}, NOT_FOUND])
    assert stack.http("GET", f"{PRODUCTS}{one['id']}/", token=ann.access).status == 200
    assert delete(stack, ann, [one["id"], two["id"]]).json == {"deleted": 2}
    assert stack.http("GET", f"{PRODUCTS}{one['id']}/", token=ann.access).status == 404


def test_a_race_for_one_sku_has_one_winner(stack, ann):
    sku, gate = unique("sku"), threading.Barrier(4)

    def one(number):
        gate.wait()
        return create(stack, ann, [{"name": unique("p"), "price": "1"}, {"name": unique("p"), "price": "1", "sku": sku}])

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(one, range(4)))
    assert sorted(answer.status for answer in answers) == [201, 400, 400, 400]
    assert all(answer.json == [{}, {"sku": ["product with this sku already exists."]}]
               for answer in answers if answer.status == 400)


def test_an_idempotency_key_covers_all(stack, ann):
    rows, headers = [{"name": unique("p"), "price": "1"} for _ in range(2)], {"Idempotency-Key": unique("key")}
    first, again = create(stack, ann, rows, headers=headers), create(stack, ann, rows, headers=headers)
    assert first.status == again.status == 201 and first.json == again.json
