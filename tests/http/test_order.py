"""Which error wins, and its words: route, negotiation, authentication, permission, method, object, body."""

import json

import pytest

from apium import TOP
from shop import PAGE_404, UNKNOWN

PRODUCTS = "/api/v1/products/"
NO_CREDENTIALS = {"detail": "Authentication credentials were not provided."}
FORBIDDEN = {"detail": "You do not have permission to perform this action."}
NOT_JSON = {"Content-Type": "text/plain"}
JSON_TYPE = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

BAD_JSON = [
    b"{", b'{"name" "x"}', b'{"name": }', b'{"name": "x",\n "price": 1 2}', b"[1, 2", b"nul", b'{"a": "\x01"}', b'"open',
    b'{"a": 1} x', b'{"a": "\\x"}', b'{"a": "\\u12"}', "{\n\n  \"größe\": tru}".encode(), b'{a: 1}', b"-", b'{"a": 01}',
]


@pytest.mark.parametrize("body", BAD_JSON, ids=[repr(body) for body in BAD_JSON])
def test_bad_json_is_named_as_cpython_does(stack, ann, body):
    with pytest.raises(ValueError) as error:
        json.loads(body)
    answer = stack.http("POST", PRODUCTS, body, ann.access, {"Content-Type": "application/json"})
    assert (answer.status, answer.json) == (400, {"detail": f"JSON parse error - {error.value}"})


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have_are_refused(stack, ann, word):
    answer = stack.http("POST", PRODUCTS, f'{{"price": {word}}}'.encode(), ann.access,
                        {"Content-Type": "application/json"})
    assert (answer.status, answer.json) == (
        400, {"detail": f"JSON parse error - Out of range float values are not JSON compliant: {word!r}"})


def test_an_unknown_route_is_a_404_page(stack, ann):
    for path in ("/nothing/", "/api/v2/products/", "/api/v1/nothing/", "/api/v1/products/a/b/"):
        answer = stack.http("POST", path, {}, ann.access)
        assert answer.status == 404 and PAGE_404 in answer.body, path
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("method, path, allow", [
    ("DELETE", PRODUCTS, "GET, POST, HEAD, OPTIONS"),
    ("POST", f"{PRODUCTS}{UNKNOWN}/", "GET, PUT, PATCH, DELETE, HEAD, OPTIONS"),
    ("GET", "/api/v1/auth/login/", "POST, OPTIONS"),
    ("PUT", "/api/v1/users/me/", "GET, HEAD, OPTIONS"),
    ("PATCH", "/api/product-images/", "GET, POST, HEAD, OPTIONS"),
])
def test_a_wrong_method_is_told_which_ones_there_are(stack, ann, method, path, allow):
    answer = stack.http(method, path, token=ann.access)
    assert (answer.status, answer.json) == (405, {"detail": f'Method "{method}" not allowed.'})
    assert answer.headers["Allow"] == allow


def test_who_may_not_list_may_ask_for_options(stack, ann):
    """Django's rule is of the list alone; so a method that is not there is 405 to him, and to nobody 401."""
    assert stack.http("GET", "/api/v1/users/", token=ann.access).status == 403
    answer = stack.http("OPTIONS", "/api/v1/users/", token=ann.access)
    assert (answer.status, answer.json["name"], list(answer.json["actions"])) == (200, "User List", ["POST"])
    assert stack.http("PUT", "/api/v1/users/", token=ann.access).status == 405
    assert [stack.http(method, "/api/v1/users/").status for method in ("OPTIONS", "PUT")] == [401, 401]


def test_options_of_forms(stack, ann):
    """What the view's serializer has, with what it only answers; nothing where a view has none."""
    def actions(path):
        answer = stack.http("OPTIONS", f"/api/v1/{path}", token=ann.access)
        assert answer.status == 200
        return {name: field["read_only"] for name, field in answer.json["actions"]["POST"].items()} if "actions" in answer.json else None

    assert actions("auth/logout/") is None
    assert actions("token/refresh/") == actions("auth/token/refresh/") == {"refresh": False, "access": True}
    assert actions("token/") == {"email": False, "password": False}


def test_options_name_the_parsers_in_their_order(stack, ann):
    def parses(path):
        return [kind.split("/")[1] for kind in stack.http("OPTIONS", path, token=ann.access).json["parses"]]

    assert parses("/api/v1/product-images/reorder/") == ["json", "form-data", "x-www-form-urlencoded"]
    assert parses("/api/v1/product-images/") == ["form-data", "x-www-form-urlencoded"]
    assert parses(PRODUCTS) == ["json", "x-www-form-urlencoded", "form-data"]


@pytest.mark.parametrize("field", ["height_m", "weight_kg"])
def test_a_long_number_is_measured_in_characters(stack, ann, field):
    answer = stack.http("POST", "/api/v1/health-records/", {"weight_kg": "70.00", "height_m": "1.80", field: "ü" * 1000}, ann.access)
    assert answer.json == {field: ["A valid number is required."]}
    answer = stack.http("POST", "/api/v1/health-records/", {"weight_kg": "70.00", "height_m": "1.80", field: "ü" * 1001}, ann.access)
    assert answer.json == {field: ["String value too large."]}


def test_what_is_quoted_is_quoted_whole(stack, ann):
    """Also behind a NUL."""
    answer = stack.http("POST", "/api/v1/comments/", {"post": "a\0b", "content": "x"}, ann.access)
    assert answer.json == {"post": ["“a\0b” is not a valid UUID."]}
    answer = stack.http("POST", PRODUCTS, {"name": "x", "price": "1.00", "status": "a\0b"}, ann.access)
    assert answer.json == {"status": ['"a\0b" is not a valid choice.']}


def test_a_form_reads_an_empty_key_as_null(stack, staff, ann):
    answer = stack.http("POST", "/api/v1/books/", b"title=x&author_id=", staff.access, FORM)
    assert answer.json == {"author_id": ["This field may not be null."]}
    answer = stack.http("POST", "/api/v1/comments/", b"post=&content=x", ann.access, FORM)
    assert answer.json == {"post": ["This field may not be null."]}


def test_a_form_numbers_the_items_of_a_list(stack, shop, ann):
    """image_ids[1], image_ids[0]: by their numbers, as image_ids again and again."""
    path, product = "/api/v1/product-images/reorder/", shop.product(ann)["id"]
    first, second = (shop.image(ann, product)["id"] for _ in range(2))
    answer = stack.http("POST", path, f"product_id={product}&image_ids[10]={first}&image_ids[9]={second}".encode(), ann.access, FORM)
    assert answer.status == 200, answer
    assert stack.sql("SELECT id::text FROM product_images WHERE product_id = %s ORDER BY sort_order", product) == [(second,), (first,)]
    answer = stack.http("POST", path, f"product_id={product}&image_ids={first}&image_ids={second}&image_ids[0]=x".encode(), ann.access, FORM)
    assert answer.status == 200, answer
    answer = stack.http("POST", path, f"product_id={product}&image_ids[0]a={first}&image_ids[1]=x".encode(), ann.access, FORM)
    assert answer.json == {"image_ids": {number: ["Must be a valid UUID."] for number in "01"}}


def test_negotiation_comes_before_authentication(stack):
    answer = stack.http("GET", PRODUCTS, headers={"Accept": "text/html"})
    assert (answer.status, answer.json) == (406, {"detail": "Could not satisfy the request Accept header."})


@pytest.mark.parametrize("method, path", [
    ("GET", PRODUCTS), ("POST", PRODUCTS), ("DELETE", PRODUCTS), ("GET", f"{PRODUCTS}{UNKNOWN}/"),
    ("PATCH", f"{PRODUCTS}{UNKNOWN}/"), ("GET", "/api/v1/users/"), ("GET", "/api/v1/users/me/"),
    ("POST", "/api/v1/product-images/"), ("GET", "/api/v1/categories/"),
])
def test_who_is_nobody_is_asked_who_he_is(stack, method, path):
    answer = stack.http(method, path, b"{" if method in ("POST", "PATCH") else None)
    assert (answer.status, answer.json) == (401, NO_CREDENTIALS)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize("value, detail", [
    ("Bearer", "Authorization header must contain two space-delimited values"),
    ("Bearer a b", "Authorization header must contain two space-delimited values"),
    ("Bearer x.y.z", "Given token not valid for any token type"),
])
def test_a_bad_token_is_401_even_where_anybody_may(stack, value, detail):
    for path in (PRODUCTS, "/api/v1/users/"):
        answer = stack.http("POST", path, {}, headers={"Authorization": value})
        assert answer.status == 401 and answer.json["detail"] == detail, answer


def test_another_scheme_is_nobody(stack):
    answer = stack.http("GET", PRODUCTS, headers={"Authorization": "Basic YTpi"})
    assert (answer.status, answer.json) == (401, NO_CREDENTIALS)


def test_a_refresh_token_opens_nothing(stack, ann):
    answer = stack.http("GET", "/api/v1/users/me/", token=ann.refresh)
    assert answer.status == 401 and answer.json["code"] == "token_not_valid"


def test_a_missing_row_wins_over_a_bad_body(stack, ann):
    for method in ("PUT", "PATCH"):
        answer = stack.http(method, f"{PRODUCTS}{UNKNOWN}/", b"{", ann.access, {"Content-Type": "application/json"})
        assert (answer.status, answer.json) == (404, {"detail": "No Product matches the given query."})


def test_what_is_no_key_is_not_found(stack, ann):
    for key in ("7", "x", UNKNOWN + "0", "%20"):
        answer = stack.http("GET", f"{PRODUCTS}{key}/", token=ann.access)
        assert (answer.status, answer.json) == (404, {"detail": "Not found."}), key


def test_permission_on_the_row_wins_over_a_bad_body(stack, shop, ann, bob):
    product = shop.product(ann)
    for headers in ({"Content-Type": "application/json"}, NOT_JSON):
        answer = stack.http("PATCH", f"{PRODUCTS}{product['id']}/", b"{", bob.access, headers)
        assert (answer.status, answer.json) == (403, FORBIDDEN)


def test_an_unknown_media_type_is_415(stack, ann):
    answer = stack.http("POST", PRODUCTS, b"name=x", ann.access, NOT_JSON)
    assert (answer.status, answer.json) == (415, {"detail": 'Unsupported media type "text/plain" in request.'})


def test_what_is_no_object_is_told_so(stack, ann):
    for body, name in ((b"[]", "list"), (b'"x"', "str"), (b"3", "int"), (b"1.5", "float"), (b"true", "bool")):
        answer = stack.http("POST", PRODUCTS, body, ann.access, {"Content-Type": "application/json"})
        assert (answer.status, answer.json) == (
            400, {"non_field_errors": [f"Invalid data. Expected a dictionary, but got {name}."]})


def test_all_faults_are_told_at_once_in_the_order_of_the_fields(stack, ann):
    answer = stack.http("POST", PRODUCTS, {"price": "-1", "stock": "many", "status": "gone", "is_active": "perhaps",
                                           "category": "x"}, ann.access)
    assert answer.status == 400
    assert answer.body.decode() == json.dumps({
        "name": ["This field is required."],
        "price": ["Price cannot be negative"],
        "stock": ["A valid integer is required."],
        "category": ["“x” is not a valid UUID."],
        "status": ['"gone" is not a valid choice.'],
        "is_active": ["Must be a valid boolean."],
    }, ensure_ascii=False, separators=(",", ":"))


def test_a_body_over_the_limit_is_413(stack, ann):
    body = b'{"name": "' + b"x" * (1 << 20) + b'"}'
    answer = stack.http("POST", PRODUCTS, body, ann.access, {"Content-Type": "application/json"})
    assert (answer.status, answer.json) == (413, {"detail": "Request body too large."})


def test_a_body_at_the_limit_is_read(stack, ann):
    body = b'{"name": "' + b"x" * ((1 << 20) - 12) + b'"}'
    assert len(body) == 1 << 20
    answer = stack.http("POST", PRODUCTS, body, ann.access, {"Content-Type": "application/json"})
    assert answer.status == 400
    assert answer.json["name"] == ["Ensure this field has no more than 100 characters."]


def test_both_mounts_answer_the_same(stack, shop, ann):
    product = shop.product(ann)
    one, other = (stack.http("GET", f"{mount}products/{product['id']}/", token=ann.access)
                  for mount in ("/api/v1/", "/api/"))
    assert one.status == 200 and one.body == other.body


def test_a_rule_of_ones_own_comes_last(stack, ann):
    """DRF's validate_title is asked of a title that is right otherwise."""
    for title, words in (("a\0b", "Null characters are not allowed."), ("abcd", "Title must be at least 5 characters"),
                         ("x" * 201, "Ensure this field has no more than 200 characters.")):
        answer = stack.http("POST", "/api/v1/posts/", json.dumps({"title": title, "content": "c"}).encode(), ann.access, JSON_TYPE)
        assert (answer.status, answer.json) == (400, {"title": [words]})


def test_the_root_names_the_resources(stack, ann):
    """Those of the recorded root that stand so far, in its order; schedules are this API's own."""
    with open(TOP / "tests/golden/http.json", encoding="utf-8") as file:
        recorded = next(step["expect"]["json"] for scenario in json.load(file)["scenarios"] for step in scenario["steps"]
                        if step.get("name") == "the API root")
    later = ("customers", "orders", "tenants", "projects", "tasks", "audit-logs", "webhook-logs")
    root = stack.http("GET", "/api/v1/", token=ann.access).json
    base = f"http://127.0.0.1:{stack.port}"
    assert list(root.items()) == [*((name, path.replace("{{base}}", base)) for name, path in recorded.items()
                                    if name not in later), ("schedules", f"{base}/api/v1/schedules/")]


def test_a_missing_slash_is_redirected(stack, ann):
    answer = stack.http("GET", "/api/v1/products?page=2&q=a%20b", token=ann.access)
    assert answer.status == 301
    assert answer.headers["Location"] == "/api/v1/products/?page=2&q=a%20b"
