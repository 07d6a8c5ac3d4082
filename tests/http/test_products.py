"""Products: what the server works out, uniqueness under a race, soft deletion."""

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import ROUND_HALF_UP, Decimal

import pytest

from shop import PASSWORD, unique

PRODUCTS = "/api/v1/products/"


def cents(value):
    return str(value.quantize(Decimal("0.01"), ROUND_HALF_UP))


@pytest.mark.parametrize("price, price_eur, rate, quantity, discount", [
    ("10.00", None, "1.1000", 1, "0.00"), ("10.05", None, "1.5000", 51, "5.00"), ("1.00", "0.05", "1.1000", 101, "0.05"),
    ("0.33", None, "1.2345", 100, "1.11"), ("99999999.99", None, "0.5000", 50, "999.99"), ("5.00", "4.45", "1.1000", 101, "4.45"),
])
def test_prices_are_worked_out(shop, ann, price, price_eur, rate, quantity, discount):
    product = shop.product(ann, price=price, price_eur=price_eur, eur_to_usd_rate=rate, quantity=quantity, unit_discount=discount)
    usd = Decimal(price_eur or price) * Decimal(rate)
    share = Decimal("0.1") if quantity > 100 else Decimal("0.05") if quantity > 50 else Decimal(0)
    off = share * Decimal(discount)
    assert product["price_usd"] == cents(usd)
    assert product["discount_per_unit"] == cents(off)
    assert product["final_price"] == cents(usd - off)


def test_a_patch_changes_what_it_names(stack, shop, ann):
    product = shop.product(ann, sku=unique("sku"), description="old", stock=3)
    answer = stack.http("PATCH", f"{PRODUCTS}{product['id']}/", {"stock": 4}, ann.access)
    assert answer.status == 200
    changed = {key for key in product if product[key] != answer.json[key]}
    assert changed == {"stock", "stock_quantity", "updated_at"}
    assert answer.json["updated_at"] > product["updated_at"]


def test_blanks_are_no_price_where_none_is_needed(stack, shop, ann):
    product = shop.product(ann, price_eur="2.00")
    answer = stack.http("PATCH", f"{PRODUCTS}{product['id']}/", {"price_eur": "  "}, ann.access)
    assert (answer.status, answer.json["price_eur"]) == (200, None)
    answer = stack.http("PATCH", f"{PRODUCTS}{product['id']}/", {"price": "  "}, ann.access)
    assert (answer.status, answer.json) == (400, {"price": ["A valid number is required."]})


def test_a_put_asks_for_what_is_required_and_leaves_the_rest(stack, shop, ann):
    product = shop.product(ann, description="old", stock=3)
    path = f"{PRODUCTS}{product['id']}/"
    answer = stack.http("PUT", path, {"stock": 4}, ann.access)
    assert (answer.status, answer.json) == (400, {"name": ["This field is required."], "price": ["This field is required."]})
    answer = stack.http("PUT", path, {"name": "New name", "price": "2"}, ann.access)
    assert answer.status == 200
    assert [answer.json[k] for k in ("name", "price", "description", "stock", "slug")] == [
        "New name", "2.00", "old", 3, product["slug"]]


def test_what_is_deleted_is_gone_everywhere(stack, shop, ann, staff):
    sku = unique("sku")
    product = shop.product(ann, sku=sku)
    image = shop.image(ann, product["id"])
    path = f"{PRODUCTS}{product['id']}/"
    assert stack.http("DELETE", path, token=ann.access).status == 204
    for who in (ann, staff):
        for method, at in (("GET", path), ("PATCH", path), ("DELETE", path),
                           ("GET", f"/api/v1/product-images/{image['id']}/")):
            assert stack.http(method, at, {} if method == "PATCH" else None, who.access).status == 404, (method, at)
    answer = shop.upload(ann, product["id"], b"")
    assert answer.json["product"] == [f'Invalid pk "{product["id"]}" - object does not exist.']
    # The row stays, and its sku and slug are free again.
    assert stack.sql("SELECT is_deleted, deleted_at IS NOT NULL FROM products WHERE id = %s", product["id"]) == [(True, True)]
    again = shop.product(ann, sku=sku, name=product["name"])
    assert (again["sku"], again["slug"]) == (sku, product["slug"])


def test_deleting_a_category_deletes_its_products(stack, shop, ann, staff):
    category = shop.category()
    product = shop.product(ann, category=category["id"])
    assert product["category_name"] == category["name"]
    assert stack.http("GET", f"/api/v1/categories/{category['id']}/", token=ann.access).json["product_count"] == 1
    assert stack.http("DELETE", f"/api/v1/categories/{category['id']}/", token=staff.access).status == 204
    assert stack.http("GET", f"{PRODUCTS}{product['id']}/", token=ann.access).status == 404


# --- races -----------------------------------------------------------------------------------------------------------


def at_once(count, ask):
    """Answers of `count` requests that start together."""
    barrier = threading.Barrier(count)

    def one(number):
        barrier.wait()
        return ask(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_of_two_with_one_sku_one_wins(stack, ann):
    refused = 0
    for _ in range(10):
        sku = unique("sku")
        answers = at_once(4, lambda _: stack.http("POST", PRODUCTS, {"name": unique("Lamp"), "price": "1", "sku": sku}, ann.access))
        assert sorted(answer.status for answer in answers) == [201, 400, 400, 400], answers
        for answer in answers:
            assert answer.status == 201 or answer.json == {"sku": ["product with this sku already exists."]}
        refused += 3
        assert stack.sql("SELECT count(*) FROM products WHERE sku = %s", sku) == [(1,)]
    assert refused == 30


def test_products_of_one_name_get_slugs_of_their_own(stack, ann):
    for _ in range(8):
        name = unique("Twin")
        answers = at_once(4, lambda _: stack.http("POST", PRODUCTS, {"name": name, "price": "1"}, ann.access))
        assert [answer.status for answer in answers] == [201] * 4, answers
        slug = name.lower()
        assert sorted(answer.json["slug"] for answer in answers) == [slug, f"{slug}-2", f"{slug}-3", f"{slug}-4"]


def test_of_two_registrations_of_one_address_one_wins(stack, shop):
    for _ in range(3):
        email = f"{unique('twin')}@example.com"
        answers = at_once(3, lambda number: shop.register(email=email, username=unique("twin")))
        assert sorted(answer.status for answer in answers) == [201, 400, 400], answers
        assert all(answer.status == 201 or answer.json == {"email": ["User with this email already exists."]}
                   for answer in answers)


def test_one_local_part_gives_many_usernames(stack, shop):
    for _ in range(3):
        local = unique("same")
        answers = at_once(3, lambda number: shop.register(email=f"{local}@example{number}.com"))
        assert [answer.status for answer in answers] == [201] * 3, answers
        assert sorted(answer.json["username"] for answer in answers) == [local, f"{local}-2", f"{local}-3"]


def test_two_changes_to_one_sku(stack, shop, ann):
    for _ in range(5):
        products = [shop.product(ann) for _ in range(2)]
        sku = unique("sku")
        answers = at_once(2, lambda n: stack.http("PATCH", f"{PRODUCTS}{products[n]['id']}/", {"sku": sku}, ann.access))
        assert sorted(answer.status for answer in answers) == [200, 400], answers


def test_deleting_twice_at_once(stack, shop, ann):
    for _ in range(5):
        product = shop.product(ann)
        answers = at_once(3, lambda _: stack.http("DELETE", f"{PRODUCTS}{product['id']}/", token=ann.access))
        assert sorted(answer.status for answer in answers) == [204, 404, 404], answers


def test_two_categories_of_one_name(stack, staff):
    for _ in range(5):
        name = unique("Shelf")
        answers = at_once(3, lambda _: stack.http("POST", "/api/v1/categories/", {"name": name}, staff.access))
        assert sorted(answer.status for answer in answers) == [201, 400, 400], answers
        assert all(answer.status == 201 or answer.json == {"name": ["category with this name already exists."]}
                   for answer in answers)


def test_a_password_is_kept_as_argon2id_and_opens_the_door(stack, shop):
    eve = shop.user("eve")
    assert stack.sql("SELECT password FROM users WHERE id = %s", eve.id)[0][0].startswith("argon2$argon2id$")
    answer = stack.http("POST", "/api/v1/auth/login/", {"email": eve.email, "password": PASSWORD + "x"})
    assert (answer.status, answer.json) == (400, {"non_field_errors": ["Unable to log in with provided credentials."]})
