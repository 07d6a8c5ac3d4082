"""What the gateway stands for: hosts, origins, proxies, https, certificates."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import zlib
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest

from apium import PATIENCE, TOP
from doors import Doors, make_certificate
from shop import PASSWORD, multipart, unique
from test_start import start

pytestmark = pytest.mark.slow

CORS = "https://shop.example.org"
GOLDEN = TOP / "tests/golden"


@pytest.fixture(scope="module")
def doors(stack):
    with Doors(stack) as doors:
        yield doors


@pytest.fixture(scope="module")
def strict(doors):
    return doors.open(APIUM_ALLOWED_HOSTS="api.example.com, .example.org,[::1]")


@pytest.mark.parametrize("host, status", [
    ("api.example.com", 200), ("API.Example.COM", 200), ("api.example.com.", 200), ("api.example.com:8443", 200),
    ("example.org", 200), ("a.b.example.org", 200), ("[::1]:8000", 200),
    ("example.com", 400), ("xapi.example.com", 400), ("api.example.com.evil.net", 400), ("badexample.org", 400),
    ("127.0.0.1", 400), ("api.example.com@evil.net", 400), ("api.example.com:8000:9", 400), ("..example.org/", 400), ("", 400),
])
def test_only_listed_hosts_are_served(strict, host, status):
    answer = strict.ask("GET", "/healthz", headers={"Host": host})
    assert answer.status == status
    if status == 400:
        assert b"<h1>Bad Request (400)</h1>" in answer.body
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_a_forwarded_host_is_not_believed_unless_told(strict):
    assert strict.ask("GET", "/healthz", headers={"Host": "evil.net", "X-Forwarded-Host": "example.org"}).status == 400


def test_the_host_of_an_absolute_target_counts(strict):
    answer = strict.raw(b"GET http://evil.net/healthz HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_in_development_only_this_machine_is_served(doors):
    door = doors.open(APIUM_ENV="development")
    for host, status in (("localhost:8000", 200), ("my.localhost", 200), ("127.0.0.1", 200), ("example.org", 400)):
        assert door.ask("GET", "/healthz", headers={"Host": host}).status == status, host


@pytest.mark.parametrize("environment, words", [
    ({"APIUM_ENV": "production", "APIUM_SECRET_KEY": "x" * 40}, ["APIUM_ALLOWED_HOSTS", "APIUM_ENV"]),
    ({"APIUM_ALLOWED_HOSTS": "https://example.org"}, ["APIUM_ALLOWED_HOSTS", "https://example.org"]),
    ({"APIUM_ALLOWED_HOSTS": "*.example.org"}, ["APIUM_ALLOWED_HOSTS", "*.example.org"]),
    ({"APIUM_CORS_ORIGINS": "shop.example.org"}, ["APIUM_CORS_ORIGINS", "shop.example.org"]),
    ({"APIUM_CORS_ORIGINS": CORS + "/"}, ["APIUM_CORS_ORIGINS"]),
    ({"APIUM_PROXY_SCHEME": "https"}, ["APIUM_PROXY_SCHEME"]),
    ({"APIUM_TLS_CERT": "/tmp/x.pem"}, ["APIUM_TLS_CERT", "APIUM_TLS_KEY"]),
    ({"APIUM_TLS_KEY": "/tmp/x.pem"}, ["APIUM_TLS_CERT", "APIUM_TLS_KEY"]),
    ({"APIUM_TLS_KEY": "/nowhere/k.pem", "APIUM_TLS_CERT": "/nowhere/c.pem"}, ["/nowhere/c.pem"]),
], ids=lambda value: next(iter(value)) if isinstance(value, dict) else "")
def test_settings_that_cannot_be_meant_are_refused(environment, words):
    status, said = start(**environment)
    assert status == 1 and all(word in said for word in words), said


@pytest.fixture(scope="module")
def proxied(doors):
    return doors.open(APIUM_PROXY_SCHEME="X-Forwarded-Proto: https", APIUM_PROXY_HOST="on", APIUM_HSTS="3600",
                      APIUM_HSTS_SUBDOMAINS="on", APIUM_HSTS_PRELOAD="on", APIUM_SSL_REDIRECT="on",
                      APIUM_ALLOWED_HOSTS="api.example.com")


def token(user):
    return {"Authorization": f"Bearer {user.access}"}


BEHIND = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "api.example.com"}


def test_behind_a_proxy_links_are_the_clients(proxied, shop, ann):
    image = shop.image(ann, shop.product(ann)["id"])
    answer = proxied.ask("GET", f"/api/v1/product-images/{image['id']}/", headers={**BEHIND, **token(ann)})
    assert answer.status == 200
    assert answer.json["image"].startswith("https://api.example.com/media/")
    assert answer.headers["Strict-Transport-Security"] == "max-age=3600; includeSubDomains; preload"


def test_behind_a_proxy_the_root_and_pages_are_the_clients(proxied, shop, ann):
    root = proxied.ask("GET", "/api/v1/", headers={**BEHIND, **token(ann)}).json
    assert root["posts"] == "https://api.example.com/api/v1/posts/"
    for _ in range(21):
        shop.product(ann)
    page = proxied.ask("GET", "/api/v1/products/", headers={**BEHIND, **token(ann)}).json
    assert page["next"] == "https://api.example.com/api/v1/products/?page=2"


def test_http_is_redirected_to_https(proxied):
    answer = proxied.ask("GET", "/api/v1/products/?a=1", headers={**BEHIND, "X-Forwarded-Proto": "http"})
    assert (answer.status, answer.headers["Location"]) == (301, "https://api.example.com/api/v1/products/?a=1")
    assert answer.headers["Strict-Transport-Security"] is None
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["X-Frame-Options"] is None


def test_a_redirect_never_leads_to_a_foreign_host(proxied):
    answer = proxied.ask("GET", "/", headers={"X-Forwarded-Host": "evil.net", "Host": "api.example.com"})
    assert answer.status == 400


def test_the_scheme_of_the_first_proxy_counts(proxied):
    assert proxied.ask("GET", "/healthz", headers={**BEHIND, "X-Forwarded-Proto": "https, http"}).status == 200
    assert proxied.ask("GET", "/healthz", headers={**BEHIND, "X-Forwarded-Proto": "http, https"}).status == 301


def test_security_headers_as_django_sends_them(stack):
    headers = stack.http("GET", "/api/v1/products/").headers
    assert headers["X-Frame-Options"] == "DENY" and headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Strict-Transport-Security"] is None


# --- CORS

@pytest.fixture(scope="module")
def one_origin(doors):
    return doors.open(APIUM_CORS_ORIGINS=CORS)


# They ask for posts, which this application does not have yet.
POSTS = set()


def test_the_recorded_cors_answers(one_origin):
    door = one_origin
    report = door.stack.folder / "cors.xml"
    done = subprocess.run([sys.executable, str(GOLDEN / "replay.py"), "check", "--base", f"http://127.0.0.1:{door.port}",
                           "--jobs", "1", "--junit", str(report), str(GOLDEN / "optional/cors.json")],
                          capture_output=True, text=True, timeout=60 * PATIENCE)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    failed = {case.get("name").split(" ", 1)[1]: next(iter(case)).text for case in cases if len(case)}
    assert len(cases) > len(POSTS) and set(failed) == POSTS, failed


def cors(answer):
    return {name.lower().removeprefix("access-control-"): value for name, value in answer.headers.items()
            if name.lower().startswith("access-control-")}


def test_credentials_and_max_age_by_setting(doors):
    door = doors.open(APIUM_CORS_ORIGINS=f"https://other.example.org,{CORS}", APIUM_CORS_CREDENTIALS="on", APIUM_CORS_MAX_AGE="0")
    asked = {"Origin": CORS, "Access-Control-Request-Method": "PUT"}
    found = cors(door.ask("OPTIONS", "/api/v1/products/", headers=asked))
    assert found["allow-origin"] == CORS and found["allow-credentials"] == "true" and "max-age" not in found
    assert cors(door.ask("GET", "/nowhere", headers={"Origin": CORS})) == {"allow-origin": CORS, "allow-credentials": "true"}


@pytest.mark.parametrize("origin", ["https://evil.example.org", "http://shop.example.org", CORS + ".evil.net", CORS + ":444", "null",
                                    "", CORS.upper()])
def test_other_origins_get_no_cors_headers(one_origin, origin):
    door = one_origin
    for method in ("OPTIONS", "GET"):
        answer = door.ask(method, "/healthz", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
        assert answer.status == 200 and cors(answer) == {} and answer.headers["Vary"] == "origin"


def test_all_origins(doors):
    door = doors.open(APIUM_CORS_ORIGINS="*")
    assert cors(door.ask("GET", "/healthz", headers={"Origin": "https://any.net"})) == {"allow-origin": "*"}


def test_without_the_setting_there_is_no_cors(stack):
    assert cors(stack.http("GET", "/healthz", headers={"Origin": CORS})) == {}


# --- TLS

@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def secure(doors, tls):
    return doors.open(tls=tls, APIUM_HSTS="60", APIUM_SSL_REDIRECT="on")


def test_tls_with_python(secure):
    answer = secure.ask("GET", "/healthz")
    assert answer.status == 200 and answer.headers["Strict-Transport-Security"] == "max-age=60"


def test_tls_with_curl(secure, tls):
    done = subprocess.run(["curl", "-sS", "--cacert", tls.certificate, "-w", "%{http_code} %{http_version}", "-o", "/dev/null",
                           f"https://localhost:{secure.port}/readyz"], capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("200 1.1", "")


def test_links_are_https_over_tls(secure, shop, ann):
    image = shop.image(ann, shop.product(ann)["id"])
    answer = secure.ask("GET", f"/api/v1/product-images/{image['id']}/", headers=token(ann))
    assert answer.json["image"].startswith(f"https://localhost:{secure.port}/")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_tls_is_refused(secure):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", secure.port), timeout=20) as plain, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(plain)


def test_a_new_certificate_is_taken_at_sighup(stack, doors, tmp_path):
    files = make_certificate(tmp_path)
    door = doors.open(tls=files, APIUM_THREADS="2")

    def shown():
        return ssl.get_server_certificate(("127.0.0.1", door.port))

    old = files.certificate.read_text()
    assert shown() == old
    files.certificate.write_text("no certificate")
    door.program.kill(signal.SIGHUP)
    stack.wait_for("the warning of both loops", lambda: door.program.log.count("the certificate stays as it was") == 2)
    assert shown() == old
    make_certificate(tmp_path)
    new = files.certificate.read_text()
    door.program.kill(signal.SIGHUP)
    stack.wait_for("the new one", lambda: {shown() for _ in range(8)} == {new})
    assert old != new and door.ask("GET", "/healthz").status == 200


def test_a_reset_leaves_nothing_behind(stack, doors, tls):
    """A client that goes without reading its session tickets resets its connection."""
    door = doors.open(tls=tls)

    def descriptors():
        return len(os.listdir(f"/proc/{door.program.process.pid}/fd"))

    assert door.ask("GET", "/healthz").status == 200
    before = descriptors()
    for _ in range(50):
        ssl.get_server_certificate(("127.0.0.1", door.port))
    stack.wait_for("the descriptors", lambda: descriptors() <= before)
    assert door.ask("GET", "/healthz").status == 200 and door.program.stop(10) == 0


def test_plain_words_at_a_tls_door(secure):
    assert not secure.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert secure.ask("GET", "/healthz").status == 200


# --- compressed answers, and what an answer has cost

@pytest.fixture(scope="module")
def squeezing(doors, shop, ann):
    for _ in range(20):
        shop.product(ann)
    return doors.open(APIUM_COMPRESS="on", APIUM_STATEMENTS_MOST="1", APIUM_ENV="development")


def listed(door, ann, encodings, path="/api/v1/products/", method="GET"):
    return door.ask(method, path, headers={**token(ann), "Accept-Encoding": encodings})


def unpack(coding, data):
    if coding == "gzip":
        return zlib.decompress(data, wbits=31)
    return subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("encodings, coding", [
    ("gzip", "gzip"), ("gzip, deflate, br", "gzip"), ("GZIP;q=0.5", "gzip"), ("zstd", "zstd"), ("gzip, br, zstd", "zstd"),
    ("zstd;q=0, gzip", "gzip"), ("br", None), ("gzip;q=0", None), ("identity", None), ("", None), ("gzipped", None),
])
def test_an_answer_is_compressed_as_asked(squeezing, ann, encodings, coding):
    plain, answer = listed(squeezing, ann, "identity"), listed(squeezing, ann, encodings)
    assert answer.headers["Content-Encoding"] == coding and answer.headers["Vary"] == "Accept-Encoding, origin"
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    if coding:
        assert len(answer.body) < len(plain.body) / 2
        assert unpack(coding, answer.body) == plain.body
    else:
        assert answer.body == plain.body


def test_the_length_of_a_compressed_answer_says_nothing(squeezing, ann):
    for coding in ("gzip", "zstd"):
        assert len({len(listed(squeezing, ann, coding).body) for _ in range(20)}) > 3, coding


def test_short_answers_and_files_are_left_alone(squeezing, shop, ann):
    assert listed(squeezing, ann, "gzip", "/api/v1/users/me/").headers["Content-Encoding"] is None
    image = shop.image(ann, shop.product(ann)["id"])
    answer = squeezing.ask("GET", image["image"].split("/", 3)[3].join(["/", ""]), headers={"Accept-Encoding": "gzip"})
    assert answer.status == 200 and answer.headers["Content-Encoding"] is None


def test_head_tells_of_the_same_answer(squeezing, ann):
    answer = listed(squeezing, ann, "gzip", method="HEAD")
    assert answer.headers["Content-Encoding"] == "gzip" and answer.body == b""


def test_nothing_is_compressed_unless_told(stack, ann, squeezing):
    answer = stack.http("GET", "/api/v1/products/", token=ann.access, headers={"Accept-Encoding": "gzip, zstd"})
    assert answer.headers["Content-Encoding"] is None and answer.headers["Vary"] == "origin"


def timing(answer):
    found = re.fullmatch(r'total;dur=([\d.]+), db;dur=([\d.]+);desc="(\d+) statements", redis;dur=([\d.]+);desc="(\d+) commands"',
                         answer.headers["Server-Timing"])
    return SimpleNamespace(total=float(found[1]), db=float(found[2]), statements=int(found[3]))


def test_server_timing_tells_statements_in_development(squeezing, ann):
    few = timing(listed(squeezing, ann, "identity"))
    assert 0 < few.db <= few.total and 1 <= few.statements <= 4
    assert timing(squeezing.ask("GET", "/healthz")).statements == 0


def test_server_timing_is_for_development_only(stack):
    assert stack.http("GET", "/readyz").headers["Server-Timing"] is None


def test_many_statements_are_warned_of(squeezing, ann):
    assert timing(listed(squeezing, ann, "identity")).statements > 1
    assert "a request with many statements" in squeezing.program.log and "route=product" in squeezing.program.log


# --- bodies: forms wherever JSON is taken

@pytest.mark.parametrize("kind", ["json", "form", "multipart"])
def test_every_kind_of_body_is_taken(stack, shop, ann, kind):
    def send(path, fields, user=None):
        if kind == "json":
            body, content_type = json.dumps(fields).encode(), "application/json"
        elif kind == "form":
            body, content_type = urlencode(fields).encode(), "application/x-www-form-urlencoded"
        else:
            body, content_type = multipart(fields)
        return stack.http("POST", path, body, user.access if user else None, {"Content-Type": content_type})

    email = f"{unique('formy')}@example.com"
    assert send("/api/v1/auth/register/", {"email": email, "password": PASSWORD, "password_confirm": PASSWORD}).status == 201
    assert send("/api/v1/auth/login/", {"email": email, "password": PASSWORD}).status == 200
    assert send("/api/v1/products/", {"name": "Lamp", "price": "1.00"}, ann).status == 201
    assert send("/api/v1/categories/", {"name": unique("Shelf")}, shop.staff()).status == 201
