"""Who may do what: what a client may not set, and other people's rows."""

import pytest

from shop import PASSWORD, UNKNOWN, picture, unique

FORBIDDEN = {"detail": "You do not have permission to perform this action."}


def test_registration_sets_nothing_that_is_not_the_clients(stack, shop):
    email = f"{unique('eve')}@example.com"
    answer = shop.register(email=email, is_staff=True, is_superuser=True, is_active=False, email_verified=True, id=UNKNOWN,
                           date_joined="2001-01-01T00:00:00Z", email_verification_token=UNKNOWN)
    assert answer.status == 201
    row = stack.sql("SELECT is_staff, is_superuser, is_active, email_verified, id::text, email_verification_token::text, "
                    "date_joined > now() - interval '1 minute' FROM users WHERE email = %s", email)[0]
    assert row[:4] == (False, False, True, False) and UNKNOWN not in row and row[6] is True
    assert answer.json["is_staff"] is False and "password" not in answer.json and "is_superuser" not in answer.json


def test_a_change_of_oneself_sets_nothing_either(stack, shop):
    eve = shop.user("eve")
    before = stack.sql("SELECT password, is_staff, is_superuser, date_joined FROM users WHERE id = %s", eve.id)
    for method in ("PUT", "PATCH"):
        answer = stack.http(method, f"/api/v1/users/{eve.id}/",
                            {"first_name": "Eve", "is_staff": True, "is_superuser": True, "password": "Other-Pass-99",
                             "date_joined": "2001-01-01T00:00:00Z"}, eve.access)
        assert answer.status == 200 and answer.json["first_name"] == "Eve", answer
    assert stack.sql("SELECT password, is_staff, is_superuser, date_joined FROM users WHERE id = %s", eve.id) == before
    assert stack.http("GET", "/api/v1/users/", token=eve.access).status == 403


def test_a_product_belongs_to_who_made_it(stack, shop, ann, bob):
    product = shop.product(ann, owner=bob.id, slug="mine", view_count=1000, price_usd="0.01", is_deleted=True,
                           id=UNKNOWN)
    assert product["owner"] == ann.id and product["id"] != UNKNOWN and product["view_count"] == 0
    assert product["slug"] != "mine" and product["price_usd"] == "11.00"
    answer = stack.http("PATCH", f"/api/v1/products/{product['id']}/", {"owner": bob.id, "view_count": 5}, ann.access)
    assert (answer.status, answer.json["owner"], answer.json["view_count"]) == (200, ann.id, 0)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_another_ones_product_is_read_only(stack, shop, ann, bob, method):
    product = shop.product(ann)
    path = f"/api/v1/products/{product['id']}/"
    answer = stack.http(method, path, {"name": "Taken", "price": "1.00"}, bob.access)
    assert (answer.status, answer.json) == (403, FORBIDDEN)
    assert stack.http("GET", path, token=bob.access).json["name"] == product["name"]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_another_user_is_none_of_ones_business(stack, ann, bob, method):
    answer = stack.http(method, f"/api/v1/users/{ann.id}/", {"first_name": "X"} if method != "GET" else None, bob.access)
    assert (answer.status, answer.json) == (403, FORBIDDEN)


def test_another_ones_picture_is_read_only(stack, shop, ann, bob):
    image = shop.image(ann, shop.product(ann)["id"])
    path = f"/api/v1/product-images/{image['id']}/"
    assert stack.http("GET", path, token=bob.access).status == 200
    assert stack.http("DELETE", path, token=bob.access).json == FORBIDDEN
    answer = shop.upload(bob, None, None, method="PATCH", path=path, alt_text="mine now")
    assert (answer.status, answer.json) == (403, FORBIDDEN)
    assert stack.http("GET", path, token=ann.access).json["alt_text"] == ""


def test_a_picture_stays_with_its_product(shop, ann, bob):
    image = shop.image(ann, shop.product(ann)["id"])
    for owner in (ann, bob):
        other = shop.product(owner)["id"]
        answer = shop.upload(ann, other, None, method="PATCH", path=f"/api/v1/product-images/{image['id']}/")
        assert (answer.status, answer.json["product"]) == (200, image["product"])


def test_staff_may_change_what_is_not_theirs(stack, shop, ann, staff):
    product = shop.product(ann)
    answer = stack.http("PATCH", f"/api/v1/products/{product['id']}/", {"stock": 7}, staff.access)
    assert (answer.status, answer.json["stock"], answer.json["owner"]) == (200, 7, ann.id)
    assert stack.http("GET", f"/api/v1/users/{ann.id}/", token=staff.access).status == 200
    assert shop.upload(staff, product["id"], picture("png 300x200")).status == 201


def test_categories_are_written_by_staff_only(stack, shop, ann):
    category = shop.category()
    for method, path in (("POST", "/api/v1/categories/"), ("PATCH", f"/api/v1/categories/{category['id']}/"),
                         ("DELETE", f"/api/v1/categories/{category['id']}/")):
        answer = stack.http(method, path, {"name": "X"}, ann.access)
        assert (answer.status, answer.json) == (403, FORBIDDEN)
    assert stack.http("GET", f"/api/v1/categories/{category['id']}/", token=ann.access).json["name"] == category["name"]


def is_out_everywhere(stack, user):
    """Each loop of the gateway hears of it by a notice of PostgreSQL, so it may take a moment; then it stays so."""
    def asked():
        return stack.http("GET", "/api/v1/users/me/", token=user.access).status

    stack.wait_for("all loops to hear of it", lambda: {asked() for _ in range(20)} == {401}, 2)


def test_who_is_switched_off_is_out_at_once(stack, shop):
    eve = shop.user("eve")
    assert stack.http("GET", "/api/v1/users/me/", token=eve.access).status == 200
    stack.sql("UPDATE users SET is_active = false WHERE id = %s", eve.id)
    is_out_everywhere(stack, eve)
    answer = stack.http("GET", "/api/v1/users/me/", token=eve.access)
    assert answer.json == {"detail": "User is inactive", "code": "user_inactive"}
    answer = stack.http("POST", "/api/v1/auth/login/", {"email": eve.email, "password": PASSWORD})
    assert answer.json == {"non_field_errors": ["Unable to log in with provided credentials."]}


def test_who_is_deleted_is_out_and_so_is_what_was_theirs(stack, shop, ann):
    eve = shop.user("eve")
    product = shop.product(eve)
    assert stack.http("DELETE", f"/api/v1/users/{eve.id}/", token=eve.access).status == 204
    is_out_everywhere(stack, eve)
    assert stack.http("GET", f"/api/v1/products/{product['id']}/", token=ann.access).status == 404


def test_the_address_is_verified_by_its_token_only(stack, shop):
    eve = shop.user("eve")
    token = str(stack.sql("SELECT email_verification_token FROM users WHERE id = %s", eve.id)[0][0])

    def verify(value):
        answer = stack.http("POST", "/api/v1/auth/verify-email/", {"token": value})
        return answer.status, answer.json

    assert verify(UNKNOWN) == (400, {"token": ["Invalid verification token."]})
    assert verify("x") == (400, {"token": ["Must be a valid UUID."]})
    assert stack.http("GET", "/api/v1/users/me/", token=eve.access).json["email_verified"] is False
    assert verify(token) == verify(token) == (200, {"status": "email verified"})
    assert stack.http("GET", "/api/v1/users/me/", token=eve.access).json["email_verified"] is True
    answer = stack.http("PATCH", f"/api/v1/users/{eve.id}/", {"email": f"{unique('new')}@example.com"}, eve.access)
    assert answer.json["email_verified"] is False
    assert verify(token) == (400, {"token": ["Invalid verification token."]})


@pytest.mark.parametrize("words", [("change", "--on", "product/{id}"), ("catalog.change_product",)], ids=["a grant", "a permission"])
def test_who_was_let_in_may_change_a_product(stack, shop, ann, words):
    """Neither owner nor staff; what he was not given he may not."""
    product, carl = shop.product(ann), shop.user("carl")
    path, words = f"/api/v1/products/{product['id']}/", [word.format(id=product["id"]) for word in words]
    assert stack.http("PATCH", path, {"stock": 7}, carl.access).json == FORBIDDEN
    stack.apium("grant", *words, "--user", carl.email)
    stack.wait_for("the right", lambda: stack.http("PATCH", path, {"stock": 7}, carl.access).status == 200)
    assert stack.http("DELETE", path, token=carl.access).json == FORBIDDEN
    stack.apium("revoke-grant", *words, "--user", carl.email)
    stack.wait_for("its end", lambda: stack.http("PATCH", path, {"stock": 8}, carl.access).json == FORBIDDEN)
    assert stack.http("GET", path, token=ann.access).json["stock"] == 7
