"""Requests made up from Django's OpenAPI document: steps of tests/golden/replay.py, the same ones for the same seed.

A Generator gives one step after another and is told what came of it (`keep`): a row that was made is a variable of both
sides from then on, so that a later step can name it.  About half of all requests are meant to succeed; the others
are broken in one place: the caller, the path, the method, the query, a field, or the body as a whole.
"""

import random
import re

from replay import PASSWORD

# Resources of other tests: their answers hang on workers, hosts and what was queued.
LEFT_OUT = ("orders", "customers", "tenants", "projects", "tasks", "audit-logs", "webhook-logs", "schema")
PREFIX = "/api/v1/"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]
NOWHERE = "01890000-0000-7000-8000-000000000000"

# field or filter: whose rows it names; `author` and `tags` of two resources by "resource field"
ROWS = {
    "books author_id": "authors", "books author": "authors", "books author__in": "authors", "author_id": "users",
    "author": "users", "user": "users", "post": "posts", "product": "products", "product_id": "products",
    "category": "categories", "brand": "brands", "supplier": "suppliers", "manufacturer": "manufacturers",
    "publisher": "publishers", "publisher_id": "publishers", "books__publisher": "publishers", "tag_ids": "tags",
    "tags": "tags", "collections": "collections", "related_products": "products", "similar_products": "products",
    "ids": "products", "image_ids": "product-images",
}
# Orders without ties: what the database does with equal rows is promised by nobody.
ORDERS = {
    "users": ["date_joined", "email"], "posts": ["created_at"], "comments": ["created_at"], "products": ["created_at"],
    "product-images": ["created_at"], "reviews": ["created_at"], "documents": ["created_at"], "health-records": ["created_at"],
    "events": ["name", "start_time"], "people": ["created_at"], "product-variants": ["name"],
}
NAMED = ["name", "created_at"]

TEXTS = ["Word {}", "word-{}", " Trimmed {} ", "Größe {} ß", "{} — “quoted” & <b>", "日本 {}"]
BROKEN_VALUES = [None, "", "   ", 0, -1, 1.5, True, [], {}, ["x"], {"a": 1}, "x", "ü" * 1000, "a\0b", "12345678901234567890",
                 99999999999999999999, 1e400, "NaN", "-0.001", "2024-02-30", "2024-01-01T25:00:00Z", NOWHERE, "not-a-uuid"]
BROKEN_BODIES = ["", "{", "[]", "[1]", "null", '"text"', "1", "NaN", '{"name": "a",}', '{"name": "a"} x', "\ufeff{}", '{"name": "\\ud800"}']
BROKEN_QUERY = ["", "x", "-1", "0", "true", "True", "yes", "null", "1e3", "NaN", "1,2", "1,2,3", ",", "2024-02-30", "2024-01-01",
                "99999999999999999999", NOWHERE, "a%00b", "%C3%BC", "%FF", "a+b", "%22", "2020-01-01T00:00:00Z"]
BROKEN_IDS = [NOWHERE, "not-a-uuid", "1", NOWHERE.upper(), NOWHERE.replace("-", ""), "%00", "a.b", "{" + NOWHERE + "}", "%20"]
BROKEN_AUTHORIZATION = ["Bearer", "Bearer x", "Bearer a b", "Token abc", "bearer abc", "Bearer a.b.c", "Basic YTpi"]
FILES = [("png 120x110", "a.png", "image/png"), ("jpeg 160x120", "b.jpg", "image/jpeg"), ("gif 101x100", "c.gif", "image/gif"),
         ("webp 120x120", "d.webp", "image/webp"), ("png 50x50", "small.png", "image/png"), ("bmp 120x120", "e.bmp", "image/bmp"),
         ("text", "f.txt", "text/plain"), ("text", "g.pdf", "application/pdf"), ("empty", "h.png", "image/png"),
         ("jpeg 160x120 truncated", "i.jpeg", "image/jpeg")]


class Operation:
    def __init__(self, method, path, document):
        self.method, self.path = method, path
        self.resource = path.removeprefix(PREFIX).split("/")[0]
        self.parameters = [p for p in document.get("parameters", []) if p["in"] == "query"]
        contents = document.get("requestBody", {}).get("content", {})
        self.is_multipart = bool(contents) and "application/json" not in contents
        self.schema = next(iter(contents.values()), {}).get("schema")
        self.ends_users = method == "DELETE" or "deactivate" in path
        self.makes = method == "POST" and path == f"{PREFIX}{self.resource}/"

    @property
    def name(self):
        return f"{self.method} {self.path}"


class Generator:
    def __init__(self, document, seed):
        self.random = random.Random(seed)
        self.schemas = document["components"]["schemas"]
        self.operations = [Operation(method.upper(), path, described) for path, methods in document["paths"].items()
                           for method, described in methods.items()
                           if path.removeprefix(PREFIX).split("/")[0] not in LEFT_OUT]
        self.rows = {}      # resource: [variable]
        self.number = 0     # of the newest value that must be unlike all others
        self.people = []    # aliases of the two users of now
        self.deck = []      # operations that are still to come

    # -- the steps

    def users(self, part):
        """The steps that make two new users, in place of those whom earlier requests may have broken."""
        self.people = [f"ann{part}", f"bob{part}"]
        return [{"user": alias} for alias in self.people]

    def first_rows(self):
        """Good requests that make one row or two of everything, in an order that lets them name each other."""
        makers = [operation for operation in self.operations if operation.makes and operation.resource not in ("auth", "token")]
        for _ in range(3):
            for operation in makers:
                yield operation, self.step(operation, "admin", broken=False)

    def all_options(self):
        """OPTIONS of every path, to those who may do most there."""
        for operation in {operation.path: operation for operation in self.operations}.values():
            yield operation, {"do": f"OPTIONS {self.path(operation, False)}", "as": "admin"}

    def any(self):
        """Each operation once, in any order, before one comes again."""
        if not self.deck:
            self.deck = self.random.sample(self.operations, len(self.operations))
        operation = self.deck.pop()
        return operation, self.step(operation, self.caller(operation), self.random.random() < 0.55)

    def caller(self, operation):
        who = self.random.random()
        if operation.method == "GET" and who < 0.25 or who < 0.1:
            return None
        return "admin" if who < 0.55 else self.people[0] if who < 0.85 else self.people[1]

    def step(self, operation, caller, broken):
        how = self.random.choice(["caller", "path", "method", "query", "field", "field", "field", "body"]) if broken else None
        method = operation.method
        if how == "method":
            method = self.random.choice(METHODS)
        step = {"do": f"{method} {self.path(operation, how == 'path')}{self.query(operation, how == 'query')}", "headers": {}}
        if how == "caller":
            step["headers"]["Authorization"] = self.random.choice(BROKEN_AUTHORIZATION)
        elif caller:
            step["as"] = caller
        if self.random.random() < 0.02:
            step["headers"]["Accept"] = self.random.choice(["text/html", "application/xml", "*/*", "application/json; indent=2"])
        if operation.schema and method in ("POST", "PUT", "PATCH"):
            self.add_body(step, operation, method, how)
        if operation.makes and how != "method":
            self.number += 1
            step["save"] = {f"{operation.resource}.{self.number}.id": "/id"}
        return step

    def keep(self, operation, step, variables):
        """What Django saved of the step's answer is a row to name; what it did not is not asked of Apium either."""
        step["save"] = {name: where for name, where in step.get("save", {}).items() if name in variables}
        rows = self.rows.setdefault(operation.resource, [])
        rows.extend(step["save"])
        named = re.search(r"{{(.*?)}}", step["do"])
        if step["expect"]["status"] == 204 and named and named[1] in rows and self.random.random() < 0.8:
            rows.remove(named[1])       # some are asked for once more

    # -- path and query

    def row(self, resource):
        rows = self.rows.get(resource)
        return "{{" + self.random.choice(rows[-12:]) + "}}" if rows else NOWHERE

    def path(self, operation, is_broken):
        row = self.random.choice(BROKEN_IDS) if is_broken else self.row(operation.resource)
        if operation.resource == "users" and not is_broken and not operation.ends_users and self.random.random() < 0.6:
            row = "{{" + self.random.choice(self.people) + ".id}}"
        path = operation.path.replace("{id}", row)
        if is_broken and "{id}" not in operation.path:
            # Without the final slash an unsafe method is served here, and not there: rows would no longer be the same.
            path = self.random.choice([path + "x/", path + "/", path.upper(),
                                       path.removesuffix("/") if operation.method == "GET" else path + "-/"])
        return path.replace(PREFIX, "/api/", 1) if self.random.random() < 0.05 else path

    def query(self, operation, is_broken):
        if not operation.parameters or not is_broken and self.random.random() < 0.4:
            return "?format=xml" if is_broken else ""
        pairs = []
        for parameter in self.random.sample(operation.parameters, min(len(operation.parameters), self.random.choice([1, 1, 2]))):
            name = parameter["name"]
            wrong = is_broken and name != "ordering"
            pairs.append(f"{name}={self.random.choice(BROKEN_QUERY) if wrong else self.asked(operation, parameter)}")
        if is_broken and self.random.random() < 0.2:
            pairs.append(self.random.choice(["page_size=1", "unknown=1", "page=2", "page=0", "page=last", "page=", "format=json"]))
        return "?" + "&".join(pairs)

    def asked(self, operation, parameter):
        name, schema = parameter["name"], parameter["schema"]
        if name == "ordering":
            names = ORDERS.get(operation.resource, NAMED)
            return self.random.choice(["", "-"]) + self.random.choice([*names, "unknown"])
        if name == "page":
            return self.random.choice(["1", "1", "2", "last"])
        if name == "search":
            return self.random.choice(["a", "word", "Word+1", "%22a+b%22", "example", "zzz", "ü"]).replace("ü", "%C3%BC")
        kind = schema.get("items", schema)
        values = [self.filter_value(operation, name, kind) for _ in range(2 if schema.get("type") == "array" else 1)]
        if name.endswith("__range"):
            values.sort()
        return f"&{name}=".join(values) if name == "tags" else ",".join(values)

    def filter_value(self, operation, name, kind):
        if kind.get("format") == "uuid":
            return self.row(ROWS.get(f"{operation.resource} {name}") or ROWS[name])
        if "enum" in kind:
            return self.random.choice(kind["enum"])
        if kind.get("type") == "boolean":
            return self.random.choice(["true", "false"])
        if kind.get("type") in ("number", "integer"):
            return self.random.choice(["1", "2", "5", "20.5", "2001"])
        return {"date": "2001-01-01", "date-time": "2001-01-01T00:00:00Z"}.get(
            kind.get("format"), self.random.choice(["word", "Word", "a", "draft", "active", "1+00:00:00", "01:30:00"]))

    # -- bodies

    def add_body(self, step, operation, method, how):
        schema = self.resolve(operation.schema)
        if how == "body":
            step["raw"] = self.random.choice(BROKEN_BODIES)
            step["headers"]["Content-Type"] = self.random.choice(["application/json"] * 4 + ["text/plain", "application/x-www-form-urlencoded"])
            return
        if schema.get("type") == "array":
            rows = [self.body(operation, self.resolve(schema["items"]), method, False) for _ in range(2)]
            if method == "PATCH":
                for row in rows:
                    row["id"] = self.row("products")
            if how == "field":
                self.break_field(self.random.choice(rows))
            step["json"] = rows
            return
        body = self.body(operation, schema, method, operation.is_multipart)
        has_file = any(isinstance(value, dict) and "file" in value for value in body.values())
        if operation.is_multipart or has_file:
            step["multipart"] = self.parts(body, how == "field")
            return
        if how == "field":
            self.break_field(body)
        if self.random.random() < 0.12:
            step["form"] = self.parts(body, False)
        else:
            step["json"] = body

    def parts(self, body, is_broken):
        parts = []
        for name, value in body.items():
            if not is_broken or self.random.random() >= 0.4:
                parts.extend(self.called(name, value))
        return parts or [["unknown", "x"]]

    def called(self, name, value):
        """[name, text or file] of everything that lies in it, as a form of DRF has it; a list in one of its two ways."""
        if isinstance(value, list):
            numbers = self.random.choice([["[0]", "[1]"], ["[7]", "[03]"], ["", ""]])
            return [part for number, one in zip(numbers, value)
                    for part in (self.inner(name + (number or "[0]"), "", one) if isinstance(one, dict) else self.called(name + number, one))]
        if isinstance(value, dict) and "file" not in value:
            return self.inner(name, ".", value)
        return [[name, value if isinstance(value, dict) else "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)]]

    def inner(self, name, sign, row):
        return [part for key, value in row.items() for part in self.called(name + sign + key, value)]

    def resolve(self, schema):
        while "$ref" in schema or "allOf" in schema:
            schema = schema["allOf"][0] if "allOf" in schema else self.schemas[schema["$ref"].rsplit("/", 1)[1]]
        return schema

    def body(self, operation, schema, method, all_of_it):
        """A good one: what is required, and of the others each second one."""
        required = schema.get("required", []) if method != "PATCH" else []
        return {name: self.value(operation, name, self.resolve(field))
                for name, field in schema.get("properties", {}).items()
                if not field.get("readOnly") and (name in required or self.random.random() < 0.5)}

    def value(self, operation, name, field):
        """One that fits the field."""
        known = self.known_value(operation, name)
        if known is not None:
            return known
        if field.get("format") in ("uri", "binary"):
            recipe, file, kind = self.random.choice(FILES[:4] * 3 + FILES)
            return {"file": recipe, "name": file, "type": kind}
        if field.get("type") == "array":
            return [self.value(operation, name, self.resolve(field["items"])) for _ in range(self.random.choice([0, 1, 2]))]
        if "enum" in field:
            return self.random.choice(field["enum"])
        if field.get("format") == "uuid":
            return self.row(ROWS.get(f"{operation.resource} {name}") or ROWS[name])
        kind = field.get("type")
        if kind == "boolean":
            return self.random.random() < 0.5
        if kind == "integer":
            low, high = field.get("minimum", 0), field.get("maximum", 100)
            return self.random.randint(max(low, -100), min(high, 100))
        self.number += 1
        if field.get("format") == "decimal":
            return f"{self.number % 9 + 1}.{self.random.randint(0, 99):02}"
        if field.get("format") == "date":
            return f"{self.random.randint(1950, 2015)}-{self.random.randint(1, 12):02}-{self.random.randint(1, 28):02}"
        if field.get("format") == "email":
            return f"Mail{self.number}@{self.random.choice(['example.com', 'EXAMPLE.org'])}"
        if kind is None:
            return self.random.choice([{"size": "L", "a": [1, 2.50, None]}, {}, [], "text"])
        return self.random.choice(TEXTS).format(self.number)[:field.get("maxLength", 4000)]

    def known_value(self, operation, name):
        """What only makes sense together with the rest."""
        if name in ("password", "password_confirm"):
            return PASSWORD
        person = self.people[0]
        if operation.resource in ("auth", "token"):
            if name == "email" and "register" not in operation.path:
                return self.random.choice(["{{" + person + ".email}}", "nobody@example.com"])
            if name in ("refresh", "token") and "verify-email" not in operation.path:
                return "{{" + self.random.choice(self.people) + self.random.choice([".refresh", ".refresh", ".access"]) + "}}"
            if name == "token":
                return NOWHERE
        if name == "username":
            self.number += 1
            return f"user.{self.number}"
        if name == "uid":
            return "AAAA"
        if name == "start_time":
            return f"{self.random.randint(1990, 2005)}-{self.random.randint(1, 12):02}-07T{self.random.randint(0, 23):02}:{self.random.randint(0, 59):02}:00Z"
        if name == "end_time":
            return f"{self.random.randint(2005, 2010)}-03-01T12:{self.random.randint(0, 59):02}:30.25+02:00"
        return None

    def break_field(self, body):
        how = self.random.random()
        if not body or how < 0.1:
            body["unknown"] = 1
            return
        name = self.random.choice(list(body))
        if how < 0.3:
            del body[name]
        elif how < 0.4 and isinstance(body[name], str):
            body[name] = body[name] * 60  # a password stays below its bound, which only Apium has
        elif how < 0.45:
            body["id"] = NOWHERE
        else:
            body[name] = self.random.choice(BROKEN_VALUES)
