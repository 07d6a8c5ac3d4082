"""The API's document: valid, and the one that the replaced application had, but for what docs/openapi-differences.md
lists.  tests/golden/openapi-django.json was made there by `manage.py spectacular --format openapi-json`."""

import fnmatch
import json
import re

import pytest
import yaml
from openapi_spec_validator import validate

from apium import TOP

pytestmark = pytest.mark.slow

METHODS = ("get", "post", "put", "patch", "delete")
NOT_COMPARED = {"description", "title", "example", "default"}


@pytest.fixture(scope="module")
def document(stack):
    answer = stack.http("GET", "/api/v1/schema/?format=json", headers={"Accept": "*/*"})
    assert answer.status == 200
    return json.loads(answer.body)


def schema_facts(name, schema):
    """What a schema says, piece by piece."""
    if "properties" not in schema:
        yield name, {key: value for key, value in schema.items() if key not in NOT_COMPARED}
        return
    yield f"{name} required", sorted(schema.get("required", []))
    for field, what in schema["properties"].items():
        yield f"{name}.{field}", "there"
        for key, value in what.items():
            if key not in NOT_COMPARED:
                yield f"{name}.{field} {key}", value


def operation_facts(name, operation):
    yield name, "there"
    yield f"{name} operationId", operation["operationId"]
    yield f"{name} tags", operation["tags"]
    yield f"{name} security", operation.get("security")
    for parameter in operation.get("parameters", []):
        yield (f"{name} ?{parameter['name']}",
               {key: value for key, value in parameter.items() if key != "description"})
    body = operation.get("requestBody", {})
    yield f"{name} body", {kind: what["schema"] for kind, what in body.get("content", {}).items()}
    yield f"{name} body required", body.get("required", False)
    for status, answer in operation["responses"].items():
        yield f"{name} {status}", {kind: what["schema"] for kind, what in answer.get("content", {}).items()}


def facts(document):
    """{what: value} of all that is compared; texts for people are not."""
    found = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                found.update(operation_facts(f"{method.upper()} {path.removeprefix('/api/v1')}", item[method]))
    for name, schema in document["components"]["schemas"].items():
        found[name] = "there"
        found.update(schema_facts(name, schema))
    return found


def owner(fact):
    """The operation or component that a fact is about: when that is missing, its other facts are no news."""
    match = re.match(r"((GET|POST|PUT|PATCH|DELETE) \S+)", fact)
    return match.group(1) if match else re.split(r"[. ]", fact)[0]


def differences(theirs, ours):
    """{what: sentence}"""
    found = {}
    for fact in sorted(theirs.keys() | ours.keys()):
        if theirs.get(fact) == ours.get(fact):
            continue
        whole = owner(fact)
        if fact != whole and (whole not in theirs or whole not in ours):
            continue
        found[fact] = f"{fact}: Django {json.dumps(theirs.get(fact))}, here {json.dumps(ours.get(fact))}"
    return found


def read_listed():
    """The patterns of the table's first column."""
    text = (TOP / "docs/openapi-differences.md").read_text()
    return [match.group(1) for match in re.finditer(r"^\| `([^`]+)` \|", text, re.MULTILINE)]


def test_differences_from_django_are_the_listed_ones(document):
    django = json.loads((TOP / "tests/golden/openapi-django.json").read_text())
    found = differences(facts(django), facts(document))
    listed = read_listed()
    used = {pattern for pattern in listed for fact in found if fnmatch.fnmatchcase(fact, pattern)}
    unlisted = [sentence for fact, sentence in found.items()
                if not any(fnmatch.fnmatchcase(fact, pattern) for pattern in listed)]
    assert not unlisted, "\n".join([f"{len(unlisted)} differences are not in docs/openapi-differences.md:", *unlisted])
    gone = [pattern for pattern in listed if pattern not in used]
    assert not gone, "\n".join(["docs/openapi-differences.md lists what is no difference any more:", *gone])


def test_validates(document):
    validate(document)


def test_yaml_says_the_same(stack, document):
    answer = stack.http("GET", "/api/v1/schema/", headers={"Accept": "*/*"})
    assert answer.headers["Content-Type"] == "application/vnd.oai.openapi; charset=utf-8"
    assert yaml.safe_load(answer.body) == document


def test_operation_ids_are_unique(document):
    ids = [item[method]["operationId"] for item in document["paths"].values() for method in METHODS if method in item]
    assert len(ids) == len(set(ids))
