"""Answers that the cache keeps: to whom they are given, and what ends them.

A row that is changed in SQL by what calls itself a gateway shows what was kept: the triggers take it for one, which
would tell the cache itself.  Who calls himself anything else is heard of.
"""

import re

import psycopg
import pytest

from apium import Stack
from shop import Shop, picture, unique

pytestmark = pytest.mark.slow

PRODUCTS = "/api/v1/products/"
POSTS = "/api/v1/posts/"


def listening(stack):
    """Both loops have answered with the database, so they listen."""
    for _ in range(30):
        assert stack.http("GET", POSTS).status == 200


@pytest.fixture(scope="module")
def kept():
    with Stack(APIUM_CACHE="on", APIUM_CACHE_PREFIX="myapp:1:") as stack:
        stack.start_gateway()
        stack.start_worker(APIUM_CACHE="off")  # what its jobs write is heard of, as of any other program
        listening(stack)
        yield stack


@pytest.fixture(scope="module")
def store(kept):
    return Shop(kept)


@pytest.fixture(scope="module")
def users(store):
    return store.user("ann"), store.user("bob"), store.staff()


def write_unheard(stack, query, *values):
    with psycopg.connect(stack.postgres.url, autocommit=True, application_name="apium-gateway") as connection:
        connection.execute(query, values)


def rename(stack, product):
    """Unheard; the new name."""
    name = unique("Renamed")
    write_unheard(stack, "UPDATE products SET name = %s WHERE id = %s", name, product["id"])
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
    assert kept.redis.delete(f"myapp:1:product:{product['id']}") == 1
    kept.wait_for("L1 to follow", lambda: name == kept.http("GET", path + "?", token=bob.access).json["name"])
    assert kept.http("GET", path, token=ann.access).json["name"] == product["name"], "her answer is her own"
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
    kept.wait_for("it in Redis, for five minutes at most", lambda: 0 < kept.redis.ttl("myapp:1:popular_products") <= 300)
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


# --- K-04, K-11: a row for everybody, in two tiers


def test_a_product_is_kept_for_everybody_for_a_day(kept, store, users):
    ann, bob, staff = users
    product = store.product(ann, price="12.50")
    assert store.upload(ann, product["id"], picture("png 300x200")).status == 201
    path, key = f"{PRODUCTS}{product['id']}/", f"myapp:1:product:{product['id']}"
    kept.wait_for("its variants", lambda: kept.http("GET", path, token=ann.access).json["images"][0]["status"] == "ready", 20)
    kept.wait_for("it in Redis", lambda: 86000 < kept.redis.ttl(key) <= 86400)
    rename(kept, product)
    first = kept.http("GET", path, token=ann.access).json
    for user in (bob, staff):
        assert kept.http("GET", path, token=user.access).json == first, "of the row that was kept"
    there = kept.http("GET", path, token=bob.access, headers={"Host": "b.example.com"}).json
    assert there["images"][0]["image"].startswith("http://b.example.com/"), "links are made for each who asks"
    assert kept.http("GET", path).status == 401
    # What narrows the row is asked of the tables.
    assert kept.http("GET", path + "?price__gt=13", token=bob.access).status == 404
    assert kept.http("PATCH", path, {"price": "13.50"}, ann.access).status == 200
    kept.wait_for("the new price", lambda: kept.http("GET", path, token=bob.access).json["price"] == "13.50", 2)
    assert kept.http("DELETE", path, token=ann.access).status == 204
    kept.wait_for("it to go", lambda: kept.http("GET", path, token=bob.access).status == 404, 2)


# --- K-07


def test_a_profile_is_kept_for_its_user_for_an_hour(kept, store):
    ann, bob = store.user("ann"), store.user("bob")
    path = "/api/v1/profile/"
    mine = kept.http("GET", path, token=ann.access).json
    assert mine["user"] == ann.id
    kept.wait_for("it in Redis", lambda: 3500 < kept.redis.ttl(f"myapp:1:user_profile:{ann.id}") <= 3600)
    write_unheard(kept, "UPDATE user_profiles SET bio = 'unheard' WHERE user_id = %s", ann.id)
    for _ in range(4):
        assert kept.http("GET", path, token=ann.access).json == mine
    assert kept.http("GET", path, token=bob.access).json["user"] == bob.id
    assert kept.http("PATCH", path, {"phone": "1"}, ann.access).json["bio"] == "unheard"
    kept.wait_for("the phone", lambda: kept.http("GET", path, token=ann.access).json["phone"] == "1", 2)
    kept.sql("UPDATE user_profiles SET bio = 'heard' WHERE user_id = %s", ann.id)
    kept.wait_for("SQL", lambda: kept.http("GET", path, token=ann.access).json["bio"] == "heard", 2)


# --- K-01


def titles(stack, user=None):
    answer = stack.http("GET", POSTS, token=user and user.access)
    assert answer.status == 200
    return [post["title"] for post in answer.json["results"]]


def test_posts_are_kept_for_whom_they_were_listed(kept, store):
    ann, bob = store.user("ann"), store.user("bob")
    # Their mails are jobs of another program: what those write would end the lists in between.
    kept.wait_for("their mails", lambda: kept.sql("SELECT count(*) FROM job_outbox") == [(0,)])
    draft = unique("Draft of ann")
    assert kept.http("POST", POSTS, {"title": draft, "content": "words"}, ann.access).status == 201
    kept.wait_for("hers", lambda: draft in titles(kept, ann), 2)
    for other in (None, bob):
        assert draft not in titles(kept, other), "a draft is its author's"
    keys = [key.decode() for key in kept.redis.keys("myapp:1:api:post-list:*")]
    assert {key.split(":")[4] for key in keys} >= {"anon", ann.id, bob.id}
    assert all(0 < kept.redis.ttl(key) <= 300 for key in keys)
    write_unheard(kept, "UPDATE posts SET published = true WHERE title = %s", draft)
    assert draft not in titles(kept) and draft in titles(kept, ann)
    # What a post shows of others: its tags, its author, how many comments it has.
    kept.sql("UPDATE users SET username = %s WHERE id = %s", unique("anna"), ann.id)
    kept.wait_for("everybody's list to end with its author's name", lambda: draft in titles(kept), 2)


# --- K-06: other writers


@pytest.mark.parametrize("end", ["UPDATE products SET name = %(name)s WHERE id = %(id)s",
                                 "UPDATE products SET name = name || %(name)s",
                                 "DELETE FROM products WHERE id = %(id)s"])
def test_what_other_programs_write_is_heard_of(kept, store, users, end):
    ann, bob, _ = users
    product = store.product(ann)
    path = f"{PRODUCTS}{product['id']}/"

    def seen(user):
        listed = kept.http("GET", PRODUCTS, token=user.access).json["results"]
        return kept.http("GET", path, token=user.access).json.get("name"), [row["name"] for row in listed if row["id"] == product["id"]]

    name = unique("Heard")
    before = {user.id: [seen(user) for _ in range(3)] for user in (ann, bob)}
    assert all(one == (product["name"], [product["name"]]) for seen in before.values() for one in seen)
    with psycopg.connect(kept.postgres.url, autocommit=True) as connection:
        connection.execute(end, {"name": name, "id": product["id"]})
    for user in (ann, bob):
        kept.wait_for("the write", lambda: all(seen(user)[0] != product["name"] and product["name"] not in seen(user)[1]
                                               for _ in range(3)), 3)


def test_a_bulk_write_sends_one_notice(kept, store, users):
    ann, _, _ = users
    for _ in range(3):
        store.product(ann)
    with psycopg.connect(kept.postgres.url, autocommit=True) as listener:
        listener.execute("LISTEN apium_users")
        kept.sql("UPDATE products SET view_count = view_count + 1")
        write_unheard(kept, "UPDATE products SET view_count = view_count + 1")
        with psycopg.connect(kept.postgres.url) as writer:  # one transaction
            for _ in range(3):
                writer.execute("UPDATE products SET view_count = view_count + 1")
            writer.execute("UPDATE tags SET name = name")
        kept.sql("SELECT pg_notify('apium_users', 'end')")
        heard = []
        for notice in listener.notifies(timeout=10):
            heard.append(notice.payload)
            if notice.payload == "end":
                break
    assert heard == ["table products", "table products", "table tags", "end"]


def test_who_may_have_missed_a_notice_forgets_all(kept, store, users):
    ann, bob, _ = users
    product = store.product(ann)
    path = f"{PRODUCTS}{product['id']}/"
    for user in (ann, bob):
        kept.http("GET", path, token=user.access)
    name = rename(kept, product)
    for user in (ann, bob):
        assert kept.http("GET", path, token=user.access).json["name"] == product["name"]
    kept.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'apium-gateway'")
    for user in (ann, bob):
        kept.wait_for("the truth", lambda: kept.http("GET", path, token=user.access).json.get("name") == name)
    listening(kept)
    for user in (ann, bob):
        kept.http("GET", path, token=user.access)
    rename(kept, product)
    assert [kept.http("GET", path, token=ann.access).json["name"] for _ in range(4)] == [name] * 4, "it is kept again"


# --- K-03, K-04, K-05, K-10


def test_times_and_keys_are_as_the_tables_say(kept, store, users):
    ann, _, staff = users
    category = store.row("category", staff, {"name": None})
    product = store.product(ann, category=category["id"])
    shelf = "/api/v1/categories/"
    for path in (shelf, f"{shelf}{category['id']}/", f"{PRODUCTS}?category={category['id']}&page=1", f"{PRODUCTS}{product['id']}/"):
        assert kept.http("GET", path, token=ann.access).status == 200
    for endpoint, most in (("category-list", 300), ("category-detail", 3600), ("product-list", 900), ("product-detail", 1800)):
        keys = [key.decode() for key in kept.redis.keys(f"myapp:1:api:{endpoint}:{ann.id}:*")]
        assert keys and all(re.fullmatch(rf"myapp:1:api:{endpoint}:{ann.id}:[0-9a-f]{{16}}", key) for key in keys)
        assert most - 60 < max(kept.redis.ttl(key) for key in keys) <= most, endpoint


def test_a_product_ends_what_its_category_shows(kept, store, users):
    ann, _, staff = users
    category = store.row("category", staff, {"name": None})
    path = f"/api/v1/categories/{category['id']}/"
    below = f"{PRODUCTS}?category={category['id']}"

    def seen():
        return (kept.http("GET", path, token=ann.access).json["product_count"],
                kept.http("GET", below, token=ann.access).json["count"])

    assert [seen() for _ in range(3)] == [(0, 0)] * 3
    product = store.product(ann, category=category["id"])
    kept.wait_for("the product", lambda: [seen() for _ in range(3)] == [(1, 1)] * 3, 2)
    assert kept.http("DELETE", f"{PRODUCTS}{product['id']}/", token=ann.access).status == 204
    kept.wait_for("it to go", lambda: [seen() for _ in range(3)] == [(0, 0)] * 3, 2)


# --- K-12


def test_a_cache_is_warmed_category_by_category(kept, store, users):
    ann, _, staff = users
    shelves = [store.row("category", staff, {"name": unique("Warm")}) for _ in range(2)]
    products = [[store.product(ann, category=shelf["id"]) for _ in range(3)] for shelf in shelves]
    bare = [store.product(ann) for _ in range(3)]
    for key in kept.redis.keys("myapp:1:*p*:*"):
        kept.redis.delete(key)
    url = f"http://127.0.0.1:{kept.port}"
    said = kept.apium("warm-cache", "--as", ann.email, "--most", "2", "--url", url).splitlines()
    # The newest of each, also of a shelf whose products are all older than another's.
    warm = [product["id"] for group in (*products, bare) for product in group[1:]]
    for id in warm:
        kept.wait_for("the row", lambda: kept.redis.exists(f"myapp:1:product:{id}"))
    assert not any(kept.redis.exists(f"myapp:1:product:{group[0]['id']}") for group in products)
    for shelf in shelves:
        assert f"product in {shelf['name']}: 2" in said
    assert said[-2] == "product without a category: 2"
    rows = sum(int(line.rsplit(" ", 1)[1]) for line in said[:-1])
    assert said[-1] == f"asked for {rows} rows, 1 lists, 1 other answers"
    kept.wait_for("the popular ones", lambda: kept.redis.exists("myapp:1:popular_products"))
    kept.wait_for("the list of posts", lambda: kept.redis.keys("myapp:1:api:post-list:anon:*"))


def test_who_warms_must_be_known_and_reach_a_gateway(kept, users):
    ann, _, _ = users
    assert "no active user with the address nobody@example.com" in kept.apium("warm-cache", "--as", "nobody@example.com", status=1)
    assert "127.0.0.1:1/api" in kept.apium("warm-cache", "--as", ann.email, "--url", "http://127.0.0.1:1", status=1)


def test_a_gateway_with_a_cache_drains(kept):
    assert kept.programs[0].stop() == 0
    assert not re.search("assert|leak", kept.programs[0].log, re.IGNORECASE)
