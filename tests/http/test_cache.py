"""Answers that the cache keeps: to whom they are given, and what ends them.

A row that is changed in SQL shows what was kept: nothing tells the cache of it.
"""

import re

import pytest

from apium import Stack
from shop import Shop, picture, unique

pytestmark = pytest.mark.slow

PRODUCTS = "/api/v1/products/"


@pytest.fixture(scope="module")
def kept():
    with Stack(APIUM_CACHE="on", APIUM_CACHE_PREFIX="myapp:1:") as stack:
        stack.start_gateway()
        stack.start_worker()
        yield stack


@pytest.fixture(scope="module")
def store(kept):
    return Shop(kept)


@pytest.fixture(scope="module")
def users(store):
    return store.user("ann"), store.user("bob"), store.staff()


def rename(stack, product):
    """Behind the cache's back; the new name."""
    name = unique("Renamed")
    stack.sql("UPDATE products SET name = %s WHERE id = %s", name, product["id"])
    return name


def names(answer):
    assert answer.status == 200, answer
    return {row["name"] for row in answer.json["results"]}


def test_an_answer_is_kept_under_the_callers_own_key(kept, store, users):
    ann, bob, _ = users
    product = store.product(ann)
    path = f"{PRODUCTS}{product['id']}/"
    assert kept.http("GET", path, token=ann.access).json["name"] == product["name"]
    name = rename(kept, product)
    for _ in range(4):  # either loop, either tier
        assert kept.http("GET", path, token=ann.access).json["name"] == product["name"]
    assert kept.http("GET", path, token=bob.access).json["name"] == name, "what was made for ann"
    keys = [key.decode() for key in kept.redis.keys("myapp:1:api:product-detail:*")]
    assert {key.split(":")[4] for key in keys} == {ann.id, bob.id}
    assert all(re.fullmatch(r"myapp:1:api:product-detail:[0-9a-f-]{36}:[0-9a-f]{16}", key) for key in keys)


def test_a_list_kept_for_one_is_never_given_to_another(kept, store, users):
    ann, bob, staff = users
    product = store.product(ann)
    assert product["name"] in names(kept.http("GET", PRODUCTS, token=ann.access))
    name = rename(kept, product)
    assert product["name"] in names(kept.http("GET", PRODUCTS, token=ann.access))
    for other in (bob, staff):
        assert name in names(kept.http("GET", PRODUCTS, token=other.access))
    assert kept.http("GET", PRODUCTS).status == 401
    assert kept.http("GET", PRODUCTS, token="x").status == 401
    # What only looks like the caller's key is none.
    assert name in names(kept.http("GET", f"{PRODUCTS}?user={ann.id}", token=bob.access))


def test_links_name_the_host_and_the_mount_that_were_asked(kept, store, users):
    ann, _, _ = users
    for _ in range(21 - kept.http("GET", PRODUCTS, token=ann.access).json["count"]):
        store.product(ann)
    for host in ("a.example.com", "b.example.com"):
        for mount in ("/api/v1/products/", "/api/products/"):
            answer = kept.http("GET", mount, token=ann.access, headers={"Host": host})
            assert answer.json["next"] == f"http://{host}{mount}?page=2"
    second = kept.http("GET", f"{PRODUCTS}?page=2", token=ann.access)
    assert second.json["next"] is None and second.json["previous"]


def test_the_order_of_parameters_does_not_matter_and_repeated_ones_are_not_kept(kept, store, users):
    ann, _, _ = users
    product = store.product(ann)
    assert product["name"] in names(kept.http("GET", f"{PRODUCTS}?x=1&y=2", token=ann.access))
    rename(kept, product)
    assert product["name"] in names(kept.http("GET", f"{PRODUCTS}?y=2&x=1", token=ann.access))
    assert product["name"] not in names(kept.http("GET", f"{PRODUCTS}?x=2&y=1", token=ann.access))
    for _ in range(2):
        kept.http("GET", f"{PRODUCTS}?page=1&page=1", token=ann.access)
    name = rename(kept, product)
    assert name in names(kept.http("GET", f"{PRODUCTS}?page=1&page=1", token=ann.access))


def test_a_write_is_seen_at_once_by_everybody(kept, store, users):
    ann, bob, _ = users
    product = store.product(ann)
    path = f"{PRODUCTS}{product['id']}/"
    for round in range(10):
        for user in (ann, bob):
            kept.http("GET", path, token=user.access)
            kept.http("GET", PRODUCTS, token=user.access)
        name = unique("Changed")
        assert kept.http("PATCH", path, {"name": name}, ann.access).status == 200
        assert kept.http("GET", path, token=ann.access).json["name"] == name
        # Another loop's own copy lives as long as Redis's notice takes.
        kept.wait_for("the list to follow", lambda: name in names(kept.http("GET", PRODUCTS, token=bob.access)), 2)
    assert kept.http("DELETE", path, token=ann.access).status == 204
    kept.wait_for("the product to go", lambda: kept.http("GET", path, token=bob.access).status == 404, 2)


def test_what_shows_or_names_a_row_follows_it(kept, store, users):
    ann, _, staff = users
    category = kept.http("POST", "/api/v1/categories/", {"name": unique("Shelf")}, staff.access)
    assert category.status == 201, category
    product = store.product(ann, category=category.json["id"])
    path = f"{PRODUCTS}{product['id']}/"
    answer = kept.http("GET", path, token=ann.access).json
    assert (answer["category"], answer["images"]) == (category.json["id"], [])
    assert store.upload(ann, product["id"], picture("png 300x200")).status == 201
    kept.wait_for("the picture", lambda: len(kept.http("GET", path, token=ann.access).json["images"]) == 1, 2)
    kept.wait_for("what the worker made of it", lambda: kept.http("GET", path, token=ann.access).json["images"][0]["status"]
                  == "ready", 20)
    assert kept.http("DELETE", f"/api/v1/categories/{category.json['id']}/", token=staff.access).status == 204
    # The foreign key has taken the category's products with it.
    kept.wait_for("the product to go", lambda: kept.http("GET", path, token=ann.access).status == 404, 2)


def test_who_has_it_already_is_told_so(kept, store, users):
    ann, _, _ = users
    product = store.product(ann)
    path = f"{PRODUCTS}{product['id']}/"
    first = kept.http("GET", path, token=ann.access)
    etag = first.headers["ETag"]
    assert re.fullmatch(r'W/"[0-9a-f]{32}"', etag)
    for known in (etag, etag[2:], f'"x", {etag}', "*"):
        answer = kept.http("GET", path, token=ann.access, headers={"If-None-Match": known})
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", etag), known
    assert kept.http("HEAD", path, token=ann.access, headers={"If-None-Match": etag}).status == 304
    assert kept.http("GET", path, token=ann.access, headers={"If-None-Match": '"x"'}).status == 200
    assert kept.http("PATCH", path, {"name": unique("Other")}, ann.access).headers["ETag"] is None
    answer = kept.http("GET", path, token=ann.access, headers={"If-None-Match": etag})
    assert answer.status == 200 and answer.headers["ETag"] != etag
    assert kept.http("GET", PRODUCTS + "?page=99999", token=ann.access).headers["ETag"] is None


def test_without_the_setting_there_is_neither(stack, shop, ann):
    product = shop.product(ann)
    path = f"{PRODUCTS}{product['id']}/"
    answer = stack.http("GET", path, token=ann.access, headers={"If-None-Match": "*"})
    assert answer.status == 200 and answer.headers["ETag"] is None
    name = rename(stack, product)
    assert stack.http("GET", path, token=ann.access).json["name"] == name
    assert stack.redis.keys("*api:*") == []


def test_an_answer_that_was_not_found_is_not_kept(kept, store, users):
    ann, _, _ = users
    product = store.product(ann)
    kept.sql("UPDATE products SET is_deleted = true WHERE id = %s", product["id"])
    path = f"{PRODUCTS}{product['id']}/"
    assert kept.http("GET", path, token=ann.access).status == 404
    kept.sql("UPDATE products SET is_deleted = false WHERE id = %s", product["id"])
    assert kept.http("GET", path, token=ann.access).status == 200


def test_a_gateway_with_a_cache_drains(kept):
    assert kept.programs[0].stop() == 0
    assert not re.search("assert|leak", kept.programs[0].log, re.IGNORECASE)


def popular(stack, user):
    answer = stack.http("GET", PRODUCTS + "popular/", token=user.access)
    assert answer.status == 200
    return answer.json


def test_popular_products_are_kept_for_all_until_a_product_changes(kept, store, users):
    ann, bob, _ = users
    product = store.product(ann)
    kept.sql("UPDATE products SET view_count = 1000000 WHERE id = %s", product["id"])
    kept.http("PATCH", f"{PRODUCTS}{product['id']}/", {"stock": 1}, ann.access)
    first = popular(kept, ann)
    assert first[0] == {"id": product["id"], "name": product["name"], "price": product["price"]} and len(first) <= 10
    assert 0 < kept.redis.ttl("myapp:1:popular_products") <= 300
    name = rename(kept, product)
    for user in (ann, bob):
        assert popular(kept, user) == first
    kept.http("PATCH", f"{PRODUCTS}{product['id']}/", {"price": "77"}, ann.access)
    assert popular(kept, bob)[0] == {"id": product["id"], "name": name, "price": "77.00"}
    kept.http("PATCH", PRODUCTS + "bulk_update/", [{"id": product["id"], "is_active": False}], ann.access)
    assert product["id"] not in [row["id"] for row in popular(kept, ann)]


@pytest.mark.parametrize("end", ["DELETE", "bulk_delete"])
def test_a_deleted_product_is_popular_no_more(kept, store, users, end):
    ann, _, _ = users
    product = store.product(ann)
    kept.sql("UPDATE products SET view_count = 1000001 WHERE id = %s", product["id"])
    kept.http("PATCH", f"{PRODUCTS}{product['id']}/", {"stock": 1}, ann.access)
    assert popular(kept, ann)[0]["id"] == product["id"]
    if end == "DELETE":
        assert kept.http("DELETE", f"{PRODUCTS}{product['id']}/", token=ann.access).status == 204
    else:
        assert kept.http("POST", PRODUCTS + "bulk_delete/", {"ids": [product["id"]]}, ann.access).json == {"deleted": 1}
    assert product["id"] not in [row["id"] for row in popular(kept, ann)]


@pytest.mark.parametrize("method, body, status", [("PUT", {"name": "New", "price": "2"}, 200), ("PATCH", {"price": "2"}, 200),
                                                  ("DELETE", None, 204)])
def test_a_write_holds_for_the_version_it_names(kept, store, users, method, body, status):
    ann, bob, _ = users
    product = store.product(ann)
    path = f"{PRODUCTS}{product['id']}/"
    seen = kept.http("GET", path, token=ann.access).headers["ETag"]
    assert kept.http("PATCH", path, {"stock": 9}, ann.access, headers={"If-Match": seen}).status == 200
    answer = kept.http(method, path, body, ann.access, headers={"If-Match": seen})
    assert (answer.status, answer.json) == (412, {"detail": "The resource is no longer the one that If-Match names."})
    assert kept.http("GET", path, token=ann.access).json["price"] == "10.00"
    assert kept.http(method, path, body, bob.access, headers={"If-Match": seen}).status == 403, "who may not learns nothing"
    now = kept.http("GET", path, token=ann.access).headers["ETag"]
    assert kept.http(method, path, body, ann.access, headers={"If-Match": f'"other", {now}'}).status == status


def test_any_version_is_a_row_that_is_there(kept, store, users):
    ann, _, _ = users
    product = store.product(ann)
    path = f"{PRODUCTS}{product['id']}/"
    assert kept.http("PATCH", path, {"stock": 9}, ann.access, headers={"If-Match": "*"}).status == 200
    assert kept.http("DELETE", path, token=ann.access, headers={"If-Match": "*"}).status == 204
    assert kept.http("DELETE", path, token=ann.access, headers={"If-Match": "*"}).status == 404
