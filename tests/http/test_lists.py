"""Pages of a list: links, the last page, pages that are none; how many statements a page costs."""

import json
import re

import pytest

from routes import resources
from shop import BY_STAFF, ROWS
from statements import statements

CATEGORIES = "/api/v1/categories/"
INVALID = {"detail": "Invalid page."}


@pytest.fixture(scope="module")
def shelves(stack, shop):
    """At least 45 categories: three pages."""
    for _ in range(45):
        shop.category()
    return stack.sql("SELECT count(*) FROM categories")[0][0]


def page(stack, user, path=CATEGORIES):
    return stack.http("GET", path, token=user.access)


def test_pages_lead_to_each_other(stack, ann, shelves):
    base = f"http://127.0.0.1:{stack.port}"
    first = page(stack, ann).json
    assert list(first) == ["count", "next", "previous", "results"]
    assert first["count"] == shelves and len(first["results"]) == 20
    assert (first["next"], first["previous"]) == (f"{base}{CATEGORIES}?page=2", None)
    second = page(stack, ann, f"{CATEGORIES}?page=2").json
    assert (second["next"], second["previous"]) == (f"{base}{CATEGORIES}?page=3", f"{base}{CATEGORIES}")
    last = page(stack, ann, f"{CATEGORIES}?page=last").json
    assert last["next"] is None and len(last["results"]) == (shelves - 1) % 20 + 1
    seen, at = [], CATEGORIES
    while at is not None:
        answer = page(stack, ann, at).json
        seen += [row["name"] for row in answer["results"]]
        at = answer["next"] and answer["next"].removeprefix(base)
    assert len(seen) == len(set(seen)) == shelves and seen == sorted(seen)


def test_links_keep_mount_and_parameters(stack, ann, shelves):
    answer = page(stack, ann, "/api/categories/?q=a%20b%26c&page=2&b=%C3%B6").json
    assert answer["next"] == f"http://127.0.0.1:{stack.port}/api/categories/?b=%C3%B6&page=3&q=a+b%26c"
    assert answer["previous"] == f"http://127.0.0.1:{stack.port}/api/categories/?b=%C3%B6&q=a+b%26c"


def test_links_name_the_host_that_was_asked(stack, ann, shelves):
    answer = stack.http("GET", CATEGORIES, token=ann.access, headers={"Host": "shop.example:81"}).json
    assert answer["next"] == f"http://shop.example:81{CATEGORIES}?page=2"


@pytest.mark.parametrize("number", ["0", "-1", "abc", "%20", "99999", "1.0", "1e1", "99999999999999999999", "%00"])
def test_a_page_that_is_none(stack, ann, shelves, number):
    answer = page(stack, ann, f"{CATEGORIES}?page={number}")
    assert (answer.status, answer.json) == (404, INVALID)


@pytest.mark.parametrize("query", ["page=", "page=0&page=", "page=2&page="])
def test_an_empty_number_is_none(stack, ann, shelves, query):
    answer = page(stack, ann, f"{CATEGORIES}?{query}")
    assert answer.status == 200 and answer.json["previous"] is None and answer.json["next"].endswith("?page=2")


def test_there_is_no_page_size(stack, ann, shelves):
    assert len(page(stack, ann, f"{CATEGORIES}?page_size=3&limit=2").json["results"]) == 20


def test_an_empty_list_has_one_page(stack, shop):
    stack.sql("DELETE FROM product_images")
    nobody = shop.user("new")
    answer = page(stack, nobody, "/api/v1/product-images/")
    assert answer.json == {"count": 0, "next": None, "previous": None, "results": []}
    assert page(stack, nobody, "/api/v1/product-images/?page=2").status == 404


def test_products_come_newest_first_without_what_is_deleted(stack, shop, ann):
    names = [shop.product(ann)["name"] for _ in range(3)]
    gone = shop.product(ann)
    before = page(stack, ann, "/api/v1/products/").json["count"]
    assert stack.http("DELETE", f"/api/v1/products/{gone['id']}/", token=ann.access).status == 204
    answer = page(stack, ann, "/api/v1/products/").json
    assert answer["count"] == before - 1
    assert [row["name"] for row in answer["results"][:3]] == names[::-1]
    assert "images" not in answer["results"][0]


# --- statements ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filled(stack, shop, ann):
    """Rows that point at each other, so that what lists embed is there."""
    author, product = shop.row("author", shop.staff(), ROWS["author"]), shop.product(ann, category=shop.category()["id"])
    made = {"author": author, "product": product, "product_image": shop.image(ann, product["id"]),
            "document": shop.document(ann)}
    for resource in ROWS:
        if resource not in made:
            user = shop.staff() if resource in BY_STAFF else ann
            fields = ROWS[resource] | {name: {"author_id": author, "product": product}[name]["id"]
                                       for name in ("author_id", "product") if name in ROWS[resource]}
            made[resource] = shop.row(resource, user, fields)
    return made


# A page and its count are two.  What is no page is not counted, and of what lies below a row the row is asked for first.
OTHER_LISTS = {"authors/": 1, "posts/my_posts/": 1, "products/popular/": 1, "posts/{id}/comments/": 3, "schedules/{id}/history/": 3}


def lists_of(document):
    """Paths below /api/v1/ whose answer is a page or an array, as the running program tells of itself."""
    for path, item in document["paths"].items():
        for content in item.get("get", {}).get("responses", {}).get("200", {}).get("content", {}).values():
            if content["schema"].get("type") == "array" or "/Paginated" in content["schema"].get("$ref", ""):
                yield path.removeprefix("/api/v1/")


def test_statements_of_every_list(stack, shop, counting, filled):
    described = stack.http("GET", "/api/v1/schema/?format=json", headers={"Accept": "*/*"})
    paths = list(lists_of(json.loads(described.body)))
    assert len(paths) >= len(resources()) + len(OTHER_LISTS) - 1 and OTHER_LISTS.keys() <= set(paths), paths
    keys = {resource.path: filled[resource.name]["id"] for resource in resources() if resource.name in filled}
    cost = {path: statements(counting, shop.staff(), "/api/v1/" + path.replace("{id}", keys.get(path.split("{id}")[0], "")))
            for path in paths}
    assert cost == {path: OTHER_LISTS.get(path, 2) for path in paths}


@pytest.mark.parametrize("resource", resources(), ids=lambda resource: resource.name)
def test_statements_of_one_row(shop, ann, counting, filled, resource):
    """One, whatever it shows."""
    user = shop.staff() if resource.name in ("user", "schedule") else ann
    row = {"id": ann.id} if resource.name == "user" else filled[resource.name]
    assert statements(counting, user, f"/api/v1/{resource.path}{row['id']}/") == 1


def test_statements_of_oneself_and_of_a_filter(counting, ann, filled):
    assert statements(counting, ann, "/api/v1/users/me/") == 1
    # What a filter names by its key is looked for first.
    assert statements(counting, ann, f"/api/v1/comments/?post={filled['post']['id']}&search=a&ordering=-created_at") == 3
