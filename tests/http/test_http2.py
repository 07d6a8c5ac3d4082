"""HTTP/2 answers what HTTP/1.1 answers, asked by curl."""

import json
import signal
import subprocess

import pytest

from doors import Doors, make_certificate
from frames import DATA, END_STREAM, GOAWAY, HEADERS, NO_ERROR, PING, WINDOW_UPDATE, Frames
from shop import PASSWORD

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def doors(stack):
    with Doors(stack) as doors:
        yield doors


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("http2"))


@pytest.fixture(scope="module")
def door(doors, tls):
    return doors.open(tls=tls, APIUM_HTTP2="on")


@pytest.fixture
def curl(door, tls, tmp_path):
    def ask(path, *options, version="--http2"):
        """(status, version, headers, body)"""
        out = tmp_path / "answer"
        done = subprocess.run(["curl", "-sS", version, "--cacert", tls.certificate, "-D", tmp_path / "head", "-o", out, "-w",
                               "%{http_code} %{http_version}", *options, f"https://localhost:{door.port}{path}"],
                              capture_output=True, text=True, timeout=60)
        assert done.stderr == "" and done.returncode == 0, done.stderr
        lines = (tmp_path / "head").read_text().splitlines()[1:]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        status, spoken = done.stdout.split()
        body = b"" if "-I" in options or not out.exists() else out.read_bytes()  # curl -I writes the head there
        return int(status), spoken, headers, body
    return ask


def bearer(person):
    return ("-H", f"Authorization: Bearer {person.access}")


def test_it_is_off_unless_asked_for(doors, tls):
    door = doors.open(tls=tls)
    done = subprocess.run(["curl", "-sS", "--http2", "--cacert", tls.certificate, "-o", "/dev/null", "-w", "%{http_version}",
                           f"https://localhost:{door.port}/healthz"], capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("1.1", "")


VARIES = {"date", "x-request-id", "connection"}


@pytest.mark.parametrize("path, options", [
    ("/readyz", ()), ("/nowhere", ()), ("/api/v1/products/", ()), ("/api/v1/products", ()), ("/readyz", ("-X", "PUT")),
    ("/api/v1/auth/login/", ("-d", "{", "-H", "Content-Type: application/json")),
    ("/api/v1/auth/login/", ("-d", "email=a&password=b")),
    ("/api/v1/auth/login/", ("-X", "OPTIONS", "-H", "Origin: https://a.example")), ("/readyz", ("-I",)),
    ("/readyz?" + "&".join(f"a={n}" for n in range(1100)), ()),
])
def test_both_versions_answer_the_same(curl, path, options):
    old, new = curl(path, *options, version="--http1.1"), curl(path, *options)
    assert (old[1], new[1]) == ("1.1", "2")
    assert old[0] == new[0] and old[3] == new[3]
    assert {name: value for name, value in old[2].items() if name not in VARIES} == \
        {name: value for name, value in new[2].items() if name not in VARIES}


def test_a_login_and_a_list(curl, ann, shop):
    shop.product(ann)
    status, version, _, body = curl("/api/v1/auth/login/", "-d", json.dumps({"email": ann.email, "password": PASSWORD}),
                                    "-H", "Content-Type: application/json")
    assert (status, version) == (200, "2")
    token = json.loads(body)["tokens"]["access"]
    status, _, _, body = curl("/api/v1/products/", "-H", f"Authorization: Bearer {token}")
    assert status == 200 and json.loads(body)["count"] >= 1


def test_an_upload_and_its_file(curl, shop, ann, tmp_path):
    """Bodies of megabytes, both ways: the file leaves in pieces."""
    product = shop.product(ann)
    picture = tmp_path / "noise.png"
    subprocess.run(["vips", "gaussnoise", tmp_path / "noise.v", "1100", "1000"], check=True)
    subprocess.run(["vips", "copy", tmp_path / "noise.v", f"{picture}[compression=0]"], check=True)
    status, version, _, body = curl("/api/v1/product-images/", "-F", f"product={product['id']}", "-F",
                                    f"image=@{picture};type=image/png", *bearer(ann))
    assert (status, version) == (201, "2"), body
    url = json.loads(body)["image"]
    path = "/" + url.split("/", 3)[3]
    status, _, headers, found = curl(path)
    assert status == 200 and found == picture.read_bytes() and int(headers["content-length"]) == len(found) > 1_000_000
    assert curl(path, "-r", "5-104")[3] == found[5:105]
    assert curl(path, "-I")[2]["content-length"] == headers["content-length"]
    assert curl(path, "-H", f"If-None-Match: {headers['etag']}")[0] == 304


def test_a_body_longer_than_its_route_takes(curl, tmp_path):
    (tmp_path / "long").write_bytes(b" " * 5_000_000)
    status, version, _, body = curl("/api/v1/auth/login/", "--data-binary", f"@{tmp_path / 'long'}", "-H",
                                    "Content-Type: application/json")
    assert (status, version) == (413, "2") and list(json.loads(body)) == ["detail"]


def test_a_body_that_waits_to_be_asked_for(curl):
    status, _, _, _ = curl("/api/v1/auth/login/", "-d", "{}", "-H", "Content-Type: application/json", "-H", "Expect: 100-continue")
    assert status == 400


def test_many_at_once_on_one_connection(door, tls, tmp_path):
    """All of a hundred streams are answered, each with its own answer."""
    paths = [f"/nowhere/{n}" if n % 2 else f"/readyz?{n}" for n in range(200)]
    config = tmp_path / "config"
    config.write_text("\n".join(f'url = "https://localhost:{door.port}{path}"\noutput = "/dev/null"' for path in paths))
    done = subprocess.run(["curl", "-sS", "--http2", "--cacert", tls.certificate, "--parallel", "--parallel-max", "100", "-K",
                           config, "-w", "%{http_code} %{url_effective} %{num_connects}\\n"], capture_output=True, text=True,
                          timeout=60)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == 200 and all(status == ("404" if "/nowhere/" in url else "200") for status, url, _ in lines)
    assert sum(int(connects) for _, _, connects in lines) < 10


def test_a_drain_lets_streams_end(doors, tls):
    """SIGTERM with a request half here: no more are taken, this one is answered, then connection and gateway end."""
    door = doors.open(tls=tls, APIUM_HTTP2="on")
    with Frames(door) as client:
        client.post(1, 2)
        client.send(DATA, 0, 1, b"{")
        client.send(PING, 0, 0, b"received")
        assert client.until(PING).payload == b"received"
        door.program.kill(signal.SIGTERM)
        assert client.until(GOAWAY).code == NO_ERROR
        client.send(DATA, END_STREAM, 1, b"}")
        assert client.until(HEADERS, 1)
        assert all(frame.kind in (DATA, WINDOW_UPDATE, GOAWAY) for frame in client.until_end())
    assert door.program.wait() == 0
