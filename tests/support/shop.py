"""Users, products and pictures as tests need them, through the API of a running gateway.

    shop = Shop(stack)
    ann = shop.user("ann")                          # registered and logged in
    product = shop.product(ann, price="12.50")
    answer = shop.upload(ann, product["id"], picture("png 300x200"))

Names and addresses are made unique, so that tests can share one database.
"""

import itertools
import struct
import uuid
import zlib
from dataclasses import dataclass

from replay import make_file

PASSWORD = "Quiet-Harbour-77"
UNKNOWN = "01890000-0000-7000-8000-000000000000"
PAGE_404 = b"<h1>Not Found</h1>"


# What a row of each resource is made of.  A value that is called makes it: with the shop and the user.
ROWS = {
    "category": {"name": None}, "brand": {"name": None}, "supplier": {"name": None}, "manufacturer": {"name": None},
    "collection": {"name": None}, "tag": {"name": None}, "publisher": {"name": None},
    "post": {"title": None, "content": "words", "published": True},
    "comment": {"post": lambda shop, user: shop.row("post", user, ROWS["post"])["id"], "content": "words"},
    "product": {"name": None, "price": "10.00"},
    "product_variant": {"product": lambda shop, user: shop.product(user)["id"], "name": "red", "sku": None},
    "review": {"product": lambda shop, user: shop.product(user)["id"], "rating": 4},
    "author": {"name": None, "email": "author@example.com"},
    "book": {"title": None, "author_id": lambda shop, user: shop.row("author", shop.staff(), ROWS["author"])["id"]},
    "event": {"name": None, "start_time": "2026-01-01T10:00:00Z", "end_time": "2026-01-01T11:00:00Z"},
    "person": {"first_name": "Ann", "last_name": None},
    "health_record": {"weight_kg": "70.00", "height_m": "1.80"},
    "schedule": {"name": None, "task": "auth.purge_tokens", "every": 3600},
}
BY_STAFF = {"category", "brand", "supplier", "manufacturer", "collection", "tag", "publisher", "author", "book", "event", "person", "schedule"}


@dataclass
class User:
    id: str
    email: str
    username: str
    access: str
    refresh: str


def unique(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def picture(recipe):
    """'png 300x200', 'jpeg 640x480 truncated', 'bmp 200x200', 'text' … (tests/golden/README.md)"""
    return make_file(recipe)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header_only(width, height):
    """A PNG that says how large it is and has next to no pixels."""
    return (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + png_chunk(b"IDAT", zlib.compress(b"\0")) + png_chunk(b"IEND", b""))


def multipart(fields, files=()):
    """(body, content type) of fields {name: value} and files [(name, filename, type, bytes)]"""
    boundary = uuid.uuid4().hex
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
             for name, value in fields.items()]
    for name, filename, kind, data in files:
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
                     f"Content-Type: {kind}\r\n\r\n".encode() + data + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


class Shop:
    def __init__(self, stack):
        self.stack = stack
        self.numbers = itertools.count(1)
        self._staff = None

    def register(self, **fields):
        """The answer of POST users/."""
        body = {"password": PASSWORD, "password_confirm": PASSWORD, **fields}
        return self.stack.http("POST", "/api/v1/users/", body)

    def log_in(self, email, password=PASSWORD):
        answer = self.stack.http("POST", "/api/v1/auth/login/", {"email": email, "password": password})
        assert answer.status == 200, answer
        user, tokens = answer.json["user"], answer.json["tokens"]
        return User(user["id"], user["email"], user["username"], tokens["access"], tokens["refresh"])

    def user(self, who="user", **fields):
        email = f"{unique(who)}@example.com"
        answer = self.register(email=email, **fields)
        assert answer.status == 201, answer
        return self.log_in(email)

    def staff(self):
        """The one superuser of this database."""
        if self._staff is None:
            email = f"{unique('staff')}@example.com"
            self.stack.apium("createsuperuser", "--email", email, "--password-stdin", text=PASSWORD + "\n")
            self._staff = self.log_in(email)
        return self._staff

    def filled(self, fields, user):
        """A body: None becomes a text of its own, what can be called is called with the shop and the user."""
        return {name: unique(name) if value is None else value(self, user) if callable(value) else value
                for name, value in fields.items()}

    def row(self, resource, user, fields):
        """A new row of a resource ("product_variant"), as it was answered."""
        path = {"category": "categories", "person": "people"}.get(resource, resource.replace("_", "-") + "s")
        answer = self.stack.http("POST", f"/api/v1/{path}/", self.filled(fields, user), token=user.access)
        assert answer.status == 201, answer
        return answer.json

    def category(self, **fields):
        answer = self.stack.http("POST", "/api/v1/categories/", {"name": unique("Shelf"), **fields},
                                 token=self.staff().access)
        assert answer.status == 201, answer
        return answer.json

    def product(self, user, **fields):
        answer = self.stack.http("POST", "/api/v1/products/", {"name": unique("Lamp"), "price": "10.00", **fields},
                                 token=user.access)
        assert answer.status == 201, answer
        return answer.json

    def upload(self, user, product, data, name="picture.png", kind="image/png", method="POST",
               path="/api/v1/product-images/", **fields):
        files = [] if data is None else [("image", name, kind, data)]
        body, content_type = multipart({**({} if product is None else {"product": product}), **fields}, files)
        return self.stack.http(method, path, body, token=user.access, headers={"Content-Type": content_type})

    def image(self, user, product, **fields):
        """An accepted picture of 300 x 200."""
        answer = self.upload(user, product, picture("png 300x200"), **fields)
        assert answer.status == 201, answer
        return answer.json

    def document(self, user, name="paper.pdf", data=b"%PDF-1.7", kind="application/pdf", **fields):
        body, content_type = multipart(fields, [("file", name, kind, data)])
        answer = self.stack.http("POST", "/api/v1/documents/", body, token=user.access, headers={"Content-Type": content_type})
        assert answer.status == 201, answer
        return answer.json
