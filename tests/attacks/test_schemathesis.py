"""Every operation of the API's document, asked with what fits it and what does not: no answer is a 5xx, none has a
status, a type or a body that the document does not know.

Errors stand in no document of drf-spectacular's; here each operation gets DRF's.  APIUM_TEST_EXAMPLES says how many made-up
requests an operation gets (3); however long it takes, each gets some.  What its schema has of bounds and kinds is
tried for APIUM_TEST_SECONDS (30), as far as that goes.
"""

import json
import os
import re
import subprocess
import sys

import pytest

from apium import PATIENCE, Stack
from shop import Shop, unique

EXAMPLES = os.environ.get("APIUM_TEST_EXAMPLES", "3")
SECONDS = int(os.environ.get("APIUM_TEST_SECONDS", "30"))
ERRORS = ("400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "429")


@pytest.fixture(scope="module")
def served():
    """A gateway whose rows and users nobody else counts on."""
    with Stack() as stack:
        stack.start_gateway()
        yield stack


def seed(stack, token):
    """A row of several kinds, so that not every key in a path is unknown."""
    def post(path, **body):
        answer = stack.http("POST", f"/api/v1/{path}/", body, token)
        assert answer.status == 201, answer
        return answer.json["id"]

    post("comments", post=post("posts", title="A post to ask about", content="x", published=True), content="x")
    post("tags", name=unique("tag"))
    product = post("products", name="A thing", price="1.00", category=post("categories", name=unique("category")))
    post("product-variants", product=product, name="Small", sku=unique("sku"))
    post("reviews", product=product, rating=4)
    post("books", title="A book", author_id=post("authors", name="A. Writer", email="writer@example.com"))
    post("events", name="An event", start_time="2026-01-01T10:00:00Z", end_time="2026-01-01T11:00:00Z")
    post("people", first_name="Ann", last_name="Tester")
    post("health-records", weight_kg="70.00", height_m="1.80")


def first_key(stack, token, path):
    """Of the list that a path with {id} belongs to; None if it has none."""
    answer = stack.http("GET", path.split("{id}")[0], token=token)
    rows = answer.json if answer.status == 200 else []
    rows = rows["results"] if isinstance(rows, dict) else rows
    return rows[0]["id"] if rows else None


def prepared(stack, token, document):
    for path, item in document["paths"].items():
        key = first_key(stack, token, path) if "{id}" in path else None
        for operation in item.values():
            for status in ERRORS:
                operation["responses"].setdefault(status, {"description": "DRF's"})
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path" and key is not None:
                    parameter["schema"] = {"anyOf": [{"enum": [key]}, parameter["schema"]]}
    return document


def ask(served, folder, token, *arguments):
    """How many operations were asked, of how many.  What schemathesis keeps lies in the folder that it runs in."""
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", f"http://127.0.0.1:{served.port}",
         "--header", f"Authorization: Bearer {token}", "--workers", "1", "--no-color",
         "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
         "--max-examples", EXAMPLES, "--generation-deterministic", "--continue-on-failure",
         "--generation-with-security-parameters", "false", "--suppress-health-check", "all", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=(SECONDS + 240) * PATIENCE)
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-2000:]
    return [int(re.search(rf"^  {word}: (\d+)", done.stdout, re.M)[1]) for word in ("Tested", "Selected")]


def test_every_operation(served, tmp_path):
    shop = Shop(served)
    token = shop.staff().access
    shop.user("last")  # the first of the list of users
    seed(served, token)
    answer = served.http("GET", "/api/v1/schema/?format=json", headers={"Accept": "*/*"})
    document = prepared(served, token, answer.json)
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    # It also asks for keys that it saw in answers.  Those who end a user come last: they may end who asks.
    ending = ("users_deactivate_create", "users_destroy")
    but = [word for name in ending for word in ("--exclude-operation-id", name)]
    operations = sum(len(item) for item in document["paths"].values())
    assert ask(served, tmp_path, token, "--phases", "fuzzing", *but) == [operations - 2] * 2
    ask(served, tmp_path, token, "--phases", "coverage", "--max-time", str(SECONDS), *but)
    assert served.http("GET", "/api/v1/users/me/", token=token).status == 200, "who asked was refused at some point"
    only = [word for name in ending for word in ("--include-operation-id", name)]
    assert ask(served, tmp_path, token, "--phases", "fuzzing", *only) == [2, 2]
    gateway = served.programs[0]
    assert gateway.is_running() and " error " not in gateway.log
