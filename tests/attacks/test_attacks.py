"""Attacks on the door and on every route that the tables name.  Nothing of it may end in a 5xx, in somebody else's
row, in a second request that nobody sent, or in a gateway that is gone."""

import gzip
import json
import re
import socket
import time
from urllib.parse import quote

import pytest

from apium import PATIENCE
from doors import Doors
from routes import ID, resources, routes
from shop import BY_STAFF, ROWS, UNKNOWN, multipart, unique

ROUTES = routes()
RESOURCES = resources()
HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: hidden\r\n\r\n"


@pytest.fixture(scope="module")
def door(stack):
    """One that loses its patience early."""
    with Doors(stack) as doors:
        yield doors.open(APIUM_HEADER_TIMEOUT="1", APIUM_UPLOAD_TIMEOUT="4", APIUM_UPLOAD_RATE="1KiB", APIUM_MAX_BODY="12MiB")


@pytest.fixture(autouse=True)
def still_there(stack):
    yield
    assert stack.http("GET", "/readyz").status == 200


def statuses(answer):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def post(*headers, path=b"/api/v1/auth/login/", end=b"\r\n"):
    return end.join([b"POST " + path + b" HTTP/1.1", b"Host: x", b"Content-Type: application/json", *headers, b"", b""])


# --- request smuggling: whatever two readers could read differently is refused, and the connection ends

SMUGGLING = {
    "two lengths": post(b"Content-Length: 2", b"Content-Length: 45") + b"{}" + HIDDEN,
    "the same length twice": post(b"Content-Length: 2", b"Content-Length: 2") + b"{}" + HIDDEN,
    "a list of lengths": post(b"Content-Length: 2, 45") + b"{}" + HIDDEN,
    "a signed length": post(b"Content-Length: +2") + b"{}" + HIDDEN,
    "a negative length": post(b"Content-Length: -2") + b"{}" + HIDDEN,
    "a hexadecimal length": post(b"Content-Length: 0x2") + b"{}" + HIDDEN,
    "a length beyond 64 bits": post(b"Content-Length: 18446744073709551618") + b"{}" + HIDDEN,
    "an empty length": post(b"Content-Length:") + b"{}" + HIDDEN,
    "length and chunks": post(b"Content-Length: 2", b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + HIDDEN,
    "chunks and length": post(b"Transfer-Encoding: chunked", b"Content-Length: 2") + b"0\r\n\r\n" + HIDDEN,
    "chunks twice": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + HIDDEN,
    "chunks, then identity": post(b"Transfer-Encoding: chunked, identity") + b"0\r\n\r\n" + HIDDEN,
    "an unknown encoding": post(b"Transfer-Encoding: xchunked") + b"0\r\n\r\n" + HIDDEN,
    "a space before the colon": post(b"Transfer-Encoding : chunked") + b"0\r\n\r\n" + HIDDEN,
    "a folded encoding": post(b"Transfer-Encoding:\r\n chunked") + b"0\r\n\r\n" + HIDDEN,
    "a folded line": post(b"X: a", b" Content-Length: 2") + b"{}" + HIDDEN,
    "a bare line feed": post(b"X: a\nContent-Length: 2") + b"{}" + HIDDEN,
    "bare line feeds only": post(b"Content-Length: 2", end=b"\n") + b"{}" + HIDDEN,
    "a bare carriage return": post(b"X: a\rContent-Length: 2") + b"{}" + HIDDEN,
    "NUL in a value": post(b"X: a\0b", b"Content-Length: 2") + b"{}" + HIDDEN,
    "NUL in a name": post(b"X\0: a", b"Content-Length: 2") + b"{}" + HIDDEN,
    "two hosts": post(b"Host: y", b"Content-Length: 2") + b"{}" + HIDDEN,
    "a chunk's length beyond 64 bits": post(b"Transfer-Encoding: chunked") + b"10000000000000002\r\n{}\r\n0\r\n\r\n" + HIDDEN,
    "a chunk's length signed": post(b"Transfer-Encoding: chunked") + b"+2\r\n{}\r\n0\r\n\r\n" + HIDDEN,
    "a chunk's length with 0x": post(b"Transfer-Encoding: chunked") + b"0x2\r\n{}\r\n0\r\n\r\n" + HIDDEN,
    "a chunk longer than it says": post(b"Transfer-Encoding: chunked") + b"2\r\n{} smuggled\r\n0\r\n\r\n" + HIDDEN,
}


@pytest.mark.parametrize("attack", SMUGGLING)
def test_request_smuggling(door, attack):
    found = statuses(door.raw(SMUGGLING[attack], seconds=2))
    assert found == [400], found


def test_what_follows_chunks_is_never_a_request(door):
    body = b'2;a=b;c="d"\r\n{}\r\n0;x\r\nContent-Length: 99\r\nHost: y\r\n\r\n'
    last = HIDDEN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert statuses(door.raw(post(b"Transfer-Encoding: chunked") + body + last)) == [400]


def test_endless_chunk_extensions_are_cut_off(door):
    assert statuses(door.raw(post(b"Transfer-Encoding: chunked") + b"2;" + b"a" * 1_000_000, seconds=10)) in ([400], [413], [])


@pytest.mark.parametrize("head", [
    b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(200)) + b"\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    b"GET /healthz HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n",
    b"GET healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"\0\0\0\0\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
], ids=["many headers", "a long header", "a long path", "TLS", "HTTP/2", "h2c", "no slash", "zeros", "version", "CONNECT"])
def test_heads_that_are_no_heads(door, head):
    assert all(status < 500 for status in statuses(door.raw(head, seconds=3)))


# --- slowloris

def drip(door, first, piece, seconds):
    """How long the gateway lets somebody go on who sends a byte now and then."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", door.port), timeout=0.2) as connection:
        connection.sendall(first)
        while time.monotonic() - began < seconds * PATIENCE:
            try:
                connection.sendall(piece)
                if connection.recv(4096) == b"":
                    return time.monotonic() - began
            except TimeoutError:
                continue
            except ConnectionError:
                return time.monotonic() - began
    pytest.fail("it was let go on")


def test_slowloris_with_a_head(door):
    drip(door, b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"X: a\r\n", 8)


def test_slowloris_that_says_nothing(door):
    drip(door, b"", b"", 8)


def test_slowloris_with_a_body(door):
    drip(door, post(b"Content-Length: 100000"), b" ", 12)


def test_slowloris_with_chunks(door):
    drip(door, post(b"Transfer-Encoding: chunked"), b"1\r\n \r\n", 12)


def test_slow_ones_do_not_hold_up_others(door):
    slow = [socket.create_connection(("127.0.0.1", door.port)) for _ in range(200)]
    try:
        for connection in slow:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        began = time.monotonic()
        assert door.ask("GET", "/healthz").status == 200
        assert time.monotonic() - began < 1 * PATIENCE
    finally:
        for connection in slow:
            connection.close()


# --- body bombs

LOGIN = "/api/v1/auth/login/"


def test_a_body_too_long_is_413(door):
    answer = door.ask("POST", LOGIN, b" " * (2 << 20), {"Content-Type": "application/json"})
    assert answer.status == 413 and list(answer.json) == ["detail"]


def test_a_body_longer_than_any_route_takes(door):
    found = statuses(door.raw(post(b"Content-Length: 99999999999") + b"x" * 100_000, seconds=8))
    assert found in ([413], [])


def test_a_gzip_bomb_is_not_inflated(door):
    bomb = gzip.compress(b" " * (64 << 20))
    answer = door.ask("POST", LOGIN, bomb, {"Content-Type": "application/json", "Content-Encoding": "gzip"})
    assert answer.status == 400 and "JSON parse error" in answer.json["detail"]


@pytest.mark.parametrize("body", ["[" * 100_000, '{"a":' * 50_000, "[" * 100_000 + "]" * 100_000], ids=["lists", "objects", "closed"])
def test_json_too_deep(door, body):
    answer = door.ask("POST", LOGIN, body, {"Content-Type": "application/json"})
    assert answer.status == 400 and "JSON parse error" in answer.json["detail"]


def test_json_of_too_many_values(door):
    answer = door.ask("POST", LOGIN, "[" + "0," * 400_000 + "0]", {"Content-Type": "application/json"})
    assert answer.status == 400


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" * 5000, "1e-99999", "NaN", "Infinity"])
def test_numbers_without_an_end(stack, ann, number):
    for name in ("price", "stock", "name"):
        body = f'{{"name": "Lamp", "price": 1, "{name}": {number}}}'.encode()
        answer = stack.http("POST", "/api/v1/products/", body, ann.access, {"Content-Type": "application/json"})
        assert answer.status in (201, 400), answer


def test_a_form_of_too_many_fields(door):
    body = "&".join(f"f{n}=1" for n in range(2000))
    assert door.ask("POST", LOGIN, body, {"Content-Type": "application/x-www-form-urlencoded"}).status == 400
    data, kind = multipart({f"f{n}": "1" for n in range(2000)})
    assert door.ask("POST", LOGIN, data, {"Content-Type": kind}).status == 400


def test_a_form_of_too_many_files(door):
    data, kind = multipart({}, [(f"f{n}", "a", "text/plain", b"") for n in range(200)])
    assert door.ask("POST", LOGIN, data, {"Content-Type": kind}).status == 400


def test_a_query_of_too_many_fields(stack, ann):
    assert stack.http("GET", "/api/v1/products/?" + "&".join(["a=1"] * 2000), token=ann.access).status == 400


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "x" * 500,
                                  'multipart/form-data; boundary="a', "multipart/form-data; boundary=\xe9", "a/b/c;;;=", ";", "/"])
def test_broken_content_types(door, kind):
    assert door.ask("POST", LOGIN, b"--a\r\n\r\n--a--", {"Content-Type": kind}).status in (400, 415)


# --- bad UTF-8 and NUL, everywhere

BYTES = [b"\xff", b"\xed\xa0\x80", b"a\0b", b"\xf4\x90\x80\x80"]


def asked(door, method, target, token, body=b"", kind=b"application/json"):
    """The status of a request made of bytes."""
    head = [method.encode() + b" " + target + b" HTTP/1.1", b"Host: x", b"Connection: close", b"Authorization: Bearer " + token.encode(),
            b"Content-Type: " + kind, b"Content-Length: %d" % len(body)]
    found = statuses(door.raw(b"\r\n".join([*head, b"", b""]) + body, seconds=20))
    assert len(found) == 1, (method, target, body, found)
    return found[0]


def fields_of(path):
    for resource in RESOURCES:
        if path.startswith(f"/api/v1/{resource.path}"):
            return [field.name for field in resource.fields]
    return ["email", "password", "token", "username", "refresh"]


@pytest.fixture(scope="module")
def patient(stack):
    with Doors(stack) as doors:
        yield doors.open()


@pytest.mark.parametrize("method, path", ROUTES, ids=lambda value: value)
def test_broken_text_everywhere(patient, staff, method, path):
    for text in BYTES:
        escaped = quote(text).encode()
        target = path.replace(ID, UNKNOWN).encode()
        tries = [(target + b"?" + name + b"=" + escaped, b"") for name in (b"page", b"page_size", b"search", b"ordering", b"format", b"name")]
        tries += [(target + b"?" + escaped + b"=1", b""), (target + escaped, b""), (path.replace(ID, "\x01").encode().replace(b"\x01", escaped), b"")]
        for name in fields_of(path):
            tries.append((target, b'{"' + name.encode() + b'": "' + text + b'"}'))
        tries.append((target, b'{"' + text + b'": 1}'))
        for where, body in tries:
            assert asked(patient, method, where, staff.access, body) < 500, (where, body)


@pytest.mark.parametrize("method, path", [route for route in ROUTES if route[0] in ("POST", "PUT", "PATCH")], ids=lambda value: value)
def test_broken_text_in_forms(patient, staff, method, path):
    target = path.replace(ID, UNKNOWN).encode()
    escapes = [b'"\\u0000"', b'"\\ud800"', b'"a\\u0000b"', b'"\\udfff\\ud800"']
    for name in fields_of(path):
        for text in BYTES:
            assert asked(patient, method, target, staff.access, name.encode() + b"=" + quote(text).encode(),
                         b"application/x-www-form-urlencoded") < 500
        for escape in escapes:
            assert asked(patient, method, target, staff.access, b'{"' + name.encode() + b'": ' + escape + b"}") < 500


# --- SQL injection

INJECTIONS = ["'", "'; DROP TABLE users; --", "%' UNION SELECT password FROM users --\\", '"1)) OR 1=1; SELECT pg_sleep(9) --']


@pytest.fixture(scope="module")
def statements(stack):
    """The server's own words about statements that were none."""
    return lambda: (stack.folder / "pg/log").read_text(errors="replace").count("syntax error")


@pytest.mark.parametrize("method, path", ROUTES, ids=lambda value: value)
def test_sql_injection(stack, staff, statements, method, path):
    def counts():
        return [stack.sql(f"SELECT count(*) FROM {table}")[0][0] for table in ("users", "categories", "products", "product_images")]

    before, complaints, began = counts(), statements(), time.monotonic()
    fields = fields_of(path)
    for text in INJECTIONS:
        target = path.replace(ID, quote(text, safe=""))
        for name in ("page", "page_size", "search", "ordering", "format", *fields):
            answer = stack.http(method, f"{target}?{name}={quote(text)}", token=staff.access, body={} if method != "GET" else None)
            assert answer.status < 500, (name, text, answer)
        answer = stack.http(method, f"{target}?{quote(text)}=1", {name: text for name in fields}, staff.access)
        assert answer.status < 500, (text, answer)
        for name in fields if method == "POST" else []:
            assert stack.http(method, target, {name: text}, staff.access).status < 500, (name, text)
    assert statements() == complaints
    after = counts()
    assert after[0] >= before[0] and all(new >= old for new, old in zip(after, before)), (before, after)
    assert time.monotonic() - began < 60 * PATIENCE, "a statement slept"


# --- other people's rows, and what nobody may set

PUBLIC = {"post", "comment", "tag", "publisher", "author", "book", "event"}
MADE = [resource for resource in RESOURCES if resource.name in ROWS]


def writer(shop, user, name):
    return shop.staff() if name in BY_STAFF else user


@pytest.mark.parametrize("resource", [r for r in RESOURCES if r.name in ROWS or r.name == "product_image"], ids=lambda r: r.name)
def test_idor(stack, shop, ann, bob, resource):
    """Somebody else reads what he may and changes nothing, whichever way the row is named."""
    owner = writer(shop, ann, resource.name)
    made = (shop.image(ann, shop.product(ann)["id"]) if resource.name == "product_image"
            else shop.row(resource.name, owner, ROWS[resource.name]))
    path = f"/api/v1/{resource.path}{made['id']}/"
    before = stack.http("GET", path, token=owner.access).json
    assert before["id"] == made["id"]
    for method in ("PUT", "PATCH", "DELETE"):
        for body in ({"name": "stolen", "title": "stolen", "content": "stolen", "price": "1.00"}, {}):
            assert stack.http(method, path, body, bob.access).status in (403, 404), method
            assert stack.http(method, path, body).status == 401, method
            assert stack.http(method, path.replace("/v1/", "/"), body, bob.access).status in (403, 404), method
            assert stack.http(method, path[:-1] + ".json", body, bob.access).status in (403, 404), method
            assert stack.http(method, path[:-1], body, bob.access).status in (403, 404), method
    assert stack.http("GET", path).status == (200 if resource.name in PUBLIC else 401)
    assert stack.http("GET", path, token=owner.access).json == before


def test_what_is_seen_by_its_owner_alone(stack, shop, ann, bob):
    draft = shop.row("post", ann, {**ROWS["post"], "published": False})
    comment = shop.row("comment", ann, {"post": draft["id"], "content": "words"})
    record = shop.row("health_record", ann, ROWS["health_record"])
    for path in (f"posts/{draft['id']}/", f"posts/{draft['id']}/comments/", f"comments/{comment['id']}/",
                 f"health-records/{record['id']}/"):
        assert stack.http("GET", f"/api/v1/{path}", token=ann.access).status == 200
        assert stack.http("GET", f"/api/v1/{path}", token=bob.access).status == 404, path
        assert stack.http("GET", f"/api/v1/{path}").status in (401, 404), path
    answer = stack.http("POST", "/api/v1/comments/", {"post": draft["id"], "content": "mine"}, bob.access)
    assert (answer.status, list(answer.json)) == (400, ["post"])


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.name)
@pytest.mark.parametrize("id", ["0", "-1", "1", UNKNOWN, UNKNOWN.upper(), "null", "me'", "..%2f", "%2e%2e", "a" * 5000, "*", "%00"])
def test_ids_that_are_none(stack, ann, resource, id):
    for method in resource.methods_on_one:
        assert stack.http(method, f"/api/v1/{resource.path}{id}/", {} if method != "GET" else None, ann.access).status in (403, 404)


FOREIGN = {"is_deleted": True, "is_staff": True, "is_superuser": True, "owner_id": UNKNOWN, "user": UNKNOWN, "deleted_at": "2001-01-01T00:00:00Z",
           "__proto__": {"is_staff": True}, "pk": UNKNOWN}


@pytest.mark.parametrize("resource", MADE, ids=lambda resource: resource.name)
def test_mass_assignment(stack, shop, ann, bob, resource):
    values = {"created_at": "2001-01-01T00:00:00Z", "updated_at": "2001-01-01T00:00:00Z", "owner": bob.id, "user": bob.id,
              "author": bob.id, "id": UNKNOWN}
    ours = {field.name: values.get(field.name, 777) for field in resource.fields if field.is_ours}
    user = writer(shop, ann, resource.name)
    made = shop.row(resource.name, user, {**FOREIGN, **ours, **ROWS[resource.name]})
    path = f"/api/v1/{resource.path}{made['id']}/"
    for method in ("PATCH", "PUT"):
        answer = stack.http(method, path, {**FOREIGN, **ours, **shop.filled(ROWS[resource.name], user)}, user.access)
        assert answer.status == 200, answer
    found = stack.http("GET", path, token=user.access).json
    for name, value in ours.items():
        assert found.get(name) != value or name in ROWS[resource.name], name
    for name in ("owner", "user", "author"):
        assert bob.id not in json.dumps(found.get(name)), name


def test_mass_assignment_of_an_image(stack, shop, ann):
    product, other = shop.product(ann), shop.product(ann)
    made = shop.image(ann, product["id"], id=UNKNOWN, status="ready", width="1", height="1", variants='{"a": 1}', error="x",
                      created_at="2001-01-01T00:00:00Z")
    fields = {"product": other["id"], "status": "failed", "caption": "mine", "width": "1", "variants": '{"a": 1}'}
    for image, status in (({}, 200), ({"image": "/etc/passwd"}, 400)):
        body, kind = multipart({**fields, **image})
        answer = stack.http("PATCH", f"/api/v1/product-images/{made['id']}/", body, ann.access, {"Content-Type": kind})
        assert answer.status == status, answer
    found = stack.http("GET", f"/api/v1/product-images/{made['id']}/", token=ann.access).json
    assert found["id"] != UNKNOWN and found["product"] == product["id"] and (found["width"], found["height"]) == (300, 200)
    assert found["caption"] == "mine" and found["error"] == "" and not found["created_at"].startswith("2001") and "passwd" not in json.dumps(found)


@pytest.mark.parametrize("path", ["/media/../etc/passwd", "/media/%2e%2e/%2e%2e/etc/passwd", "/media/..%2f..%2fetc/passwd", "/media//etc/passwd",
                                  "/media/%00", "/media/\\..\\..", "/media/" + "a/" * 2000, "/media/."])
def test_no_way_out_of_the_media_folder(patient, staff, path):
    answer = patient.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert statuses(answer) in ([404], [400], [301]) and b"root:" not in answer


def test_the_tables_are_read_whole():
    assert {resource.name for resource in RESOURCES} >= {"user", "category", "product", "product_image"}
    assert all(resource.fields for resource in RESOURCES) and len(ROUTES) >= 24
