"""The main job of Apium, shown step by step against a running gateway and worker.

Registers a user, reads the mail that arrives, verifies the address, logs in, creates a product, uploads a
photograph and waits until the worker has made its variants.  Each step prints what it did and how long it took;
exit status 0 only if every step did what it should.  `./dev up` runs it; only Python's own library is used.
"""

import argparse
import email
import email.policy
import http.client
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
import uuid
from pathlib import Path
from urllib.parse import urlsplit

IS_TERMINAL = sys.stdout.isatty()
SPINNER = "|/-\\"


class Failed(Exception):
    pass


class Step:
    """One line of the display: a spinner while it runs, then a mark and the time."""

    def __init__(self, title):
        self.title, self.turns = title, 0

    def __enter__(self):
        self.start = time.monotonic()
        self.tick()
        return self

    def tick(self):
        if IS_TERMINAL:
            print(f"\r {SPINNER[self.turns % 4]} {self.title} ", end="", flush=True)
            self.turns += 1

    def done(self, what):
        took = (time.monotonic() - self.start) * 1000
        line = f" ok {self.title:<34} {what}"
        print(("\r" if IS_TERMINAL else "") + f"{line:<100} {took:7.1f} ms", flush=True)

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print(("\r" if IS_TERMINAL else "") + f" -- {self.title}: {value or kind.__name__}", flush=True)
        return False


class Api:
    def __init__(self, base):
        url = urlsplit(base)
        self.connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
        self.token = None

    def ask(self, method, path, body=None, content_type="application/json"):
        """(status, parsed JSON or bytes)"""
        headers = {"Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            headers["Content-Type"] = content_type
            if content_type == "application/json":
                body = json.dumps(body).encode()
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.headers.get("Content-Type", "").startswith("application/json"):
            data = json.loads(data)
        return answer.status, data

    def expect(self, status, method, path, *body):
        got, data = self.ask(method, path, *body)
        if got != status:
            raise Failed(f"{method} {path} answered {got}: {data!r:.300}")
        return data


def wait_until(step, seconds, what, ready):
    deadline = time.monotonic() + seconds
    while True:
        value = ready()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"{what} within {seconds} s")
        step.tick()
        time.sleep(0.02)


def gateway_is_ready(api):
    try:
        return api.ask("GET", "/readyz")[0] == 200
    except OSError:
        api.connection.close()
        return False


def mails_in_folder(folder, address):
    """(name, text) of each mail to this address, newest first: from the .eml files of a folder."""
    for path in sorted(folder.glob("*.eml"), key=lambda p: p.stat().st_mtime, reverse=True):
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        if address in str(message["To"]):
            yield path.name, message.get_body(("plain",)).get_content()


def mails_of_catcher(url, address):
    """The same from a mail catcher with mailpit's API."""
    def get(path):
        with urllib.request.urlopen(url.rstrip("/") + path, timeout=10) as answer:
            return json.load(answer)

    query = urllib.parse.urlencode({"query": f'to:"{address}"'})
    for found in get(f"/api/v1/search?{query}")["messages"]:
        yield found["ID"], get(f"/api/v1/message/{found['ID']}")["Text"]


def find_token(where, address):
    """The verification token in the newest mail to this address and what the mail is called, or None."""
    mails = mails_of_catcher if where.startswith("http") else lambda folder, to: mails_in_folder(Path(folder), to)
    for name, text in mails(where, address):
        match = re.search(r"your verification token is ([0-9a-f-]{36})", text)
        if match:
            return match[1], name
    return None


def make_photograph(folder):
    """A landscape of noise and gradients, 2400 x 1600, by libvips."""
    target = folder / "photograph.jpg"
    grey = folder / "grey.v"
    for command in (["vips", "fractsurf", str(grey), "2400", "1600", "2.4"],
                    ["vips", "scale", str(grey), str(folder / "scaled.v"), "--exp", "0.4"],
                    ["vips", "falsecolour", str(folder / "scaled.v"), f"{target}[Q=88]"]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"{command[1]}: {done.stderr.strip() or done.stdout.strip()}")
    return target


def multipart(fields, name, path):
    boundary = uuid.uuid4().hex
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
             for key, value in fields.items()]
    parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{path.name}"\r\n'
                 f"Content-Type: application/octet-stream\r\n\r\n".encode() + path.read_bytes() + b"\r\n")
    parts.append(f"--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def show_variants(api, variants, since):
    print(f"\n    {'variant':<12} {'size':>11} {'bytes':>9}  fetched     url")
    for name, variant in variants.items():
        url = urlsplit(variant["url"])
        start = time.monotonic()
        status, data = api.ask("GET", url.path)
        took = (time.monotonic() - start) * 1000
        if status != 200 or len(data) != variant.get("bytes", len(data)):
            raise Failed(f"{variant['url']} answered {status} with {len(data)} bytes")
        size = f"{variant['width']} x {variant['height']}"
        print(f"    {name:<12} {size:>11} {len(data):>9} {took:6.1f} ms    {variant['url']}")
    print(f"\n    {len(variants) - 1} variants, {time.monotonic() - since:.2f} s after the upload was sent\n", flush=True)


def main_job(options):
    api = Api(options.base)
    unique = uuid.uuid4().hex[:10]
    address, password = f"ada-{unique}@example.com", f"Quiet-Harbour-{unique}"
    with tempfile.TemporaryDirectory(prefix="apium-photo-") as temporary:
        with Step("gateway answers /readyz") as step:
            wait_until(step, 30, "no answer", lambda: gateway_is_ready(api))
            step.done(options.base)
        with Step("register") as step:
            user = api.expect(201, "POST", "/api/v1/users/", {
                "email": address, "first_name": "Ada", "last_name": "Lovelace",
                "password": password, "password_confirm": password})
            step.done(address)
        with Step("verification mail arrives") as step:
            token, file = wait_until(step, 20, "no mail", lambda: find_token(options.mail, address))
            step.done(file)
        with Step("verify the address") as step:
            api.expect(200, "POST", "/api/v1/auth/verify-email/", {"token": token})
            step.done("email verified")
        with Step("log in") as step:
            answer = api.expect(200, "POST", "/api/v1/auth/login/", {"email": address, "password": password})
            api.token = answer["tokens"]["access"]
            if not answer["user"]["email_verified"] or answer["user"]["id"] != user["id"]:
                raise Failed(f"the wrong user: {answer['user']}")
            step.done(f"user {user['id']}")
        with Step("create a product") as step:
            product = api.expect(201, "POST", "/api/v1/products/", {
                "name": f"Harbour at dusk {unique}", "price": "129.00", "stock": 3})
            step.done(f"{product['slug']}, {product['price_usd']} USD")
        with Step("photograph") as step:
            photo = options.photo or make_photograph(Path(temporary))
            step.done(f"{photo.name}, {photo.stat().st_size} bytes")
        since = time.monotonic()
        with Step("upload it") as step:
            image = api.expect(201, "POST", "/api/v1/product-images/",
                               *multipart({"product": product["id"], "alt_text": "Boats"}, "image", photo))
            step.done(f"{image['width']} x {image['height']}, {image['status']}")
        with Step("the worker makes the variants") as step:
            path = f"/api/v1/product-images/{image['id']}/"

            def finished():
                row = api.expect(200, "GET", path)
                return row if row["status"] != "pending" else None

            image = wait_until(step, 60, "still pending", finished)
            if image["status"] != "ready":
                raise Failed(f"{image['status']}: {image['error']}")
            step.done(f"{len(image['variants']) - 1} files")
        show_variants(api, image["variants"], since)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--base", required=True, help="URL of the gateway")
    parser.add_argument("--mail", required=True, help="folder of the .eml files, or URL of a mail catcher (mailpit)")
    parser.add_argument("--photo", type=Path, help="a picture to upload instead of a made one")
    options = parser.parse_args()
    try:
        main_job(options)
    except (Failed, OSError, KeyError, ValueError) as error:
        print(f"main job failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
