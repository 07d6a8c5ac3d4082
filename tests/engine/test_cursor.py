"""Pages by cursor: what DRF's CursorPagination answers over the same rows, and where rows are equal, no row twice or never."""

import base64
import json
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from engine_side import statements

COUNT = 20


def cursor(text):
    return base64.b64encode(text.encode()).decode()


@pytest.fixture(scope="module", autouse=True)
def readings(stack):
    """Times that are all different, some without microseconds; levels of which many are the same."""
    stack.sql("INSERT INTO readings (name, level, taken_at) SELECT 'reading ' || n, n / 6, timestamptz '2026-01-01 10:00:00Z' + "
              "n * interval '1 hour' + (n %% 3) * interval '123456 microseconds' FROM generate_series(1, %s) n", COUNT)
    return [row[0] for row in stack.sql("SELECT id FROM readings ORDER BY id")]


def get(stack, url):
    parts = urlsplit(url)
    return stack.http("GET", parts.path + ("?" + parts.query if parts.query else ""))


def ids(answer):
    return [row["id"] for row in answer["results"]]


def walk(get_page, url, link):
    """Every page, by that link."""
    pages = []
    while url is not None:
        pages.append(get_page(url))
        url = pages[-1][link]
        assert len(pages) <= 2 * COUNT, "it goes round in circles"
    return pages


def test_a_filter_names_rows_by_numbers(stack, readings):
    answer = get(stack, f"/api/v1/latest/?same=%20{readings[4]}")
    assert answer.status == 200 and ids(answer.json) == [readings[4]]
    for sent in ("x", "1.0", "0", str(2**63)):
        answer = get(stack, "/api/v1/latest/?same=" + sent)
        assert (answer.status, answer.json) == (
            400, {"same": ["Select a valid choice. That choice is not one of the available choices."]})
    assert get(stack, "/api/v1/latest/?same=%00").json == {"same": ["Null characters are not allowed."]}


@pytest.mark.parametrize("path", ["latest", "arrivals"])
@pytest.mark.parametrize("query", ["", "?page_size=4", "?page_size=50", "?page_size=0", "?page_size=x", "?search=1",
                                   "?search=nowhere", "?z=1&cursor=&a=%C3%B6"])
def test_it_answers_as_drf_does_there_and_back(stack, django, path, query):
    """Bodies byte by byte, with the cursors in them; every link of every page."""
    todo, seen = [f"/api/v1/{path}/{query}"], set()
    while todo:
        url = todo.pop()
        if url in seen:
            continue
        seen.add(url)
        ours, theirs = get(stack, url), django.get(url)
        assert (ours.status, ours.body) == theirs, url
        todo += [ours.json[link] for link in ("next", "previous") if ours.json[link]]
    assert len(seen) > 1 or "nowhere" in query


@pytest.mark.parametrize("text", ["", "o=2", "o=2&p=2026-01-01+15%3A00%3A00%2B00%3A00", "r=1", "r=1&o=3", "o=0", "r=0&o=+1", "p=2026-01-02T00%3A00%3A00Z",
                                  "x=1", "o=5000", "o=1&o=2"])
def test_cursors_that_clients_made(stack, django, text):
    url = f"/api/v1/latest/?cursor={quote(cursor(text))}"
    ours, theirs = get(stack, url), django.get(url)
    assert (ours.status, ids(ours.json)) == (theirs[0], ids(json.loads(theirs[1])))


@pytest.mark.parametrize("sent", ["!", "a", "abc", cursor("o=x"), cursor("o=-1"), cursor("r=x"), "%C3%B6", base64.b64encode(b"\xff").decode()])
def test_a_cursor_that_is_none(stack, django, sent):
    url = f"/api/v1/latest/?cursor={quote(sent, safe='%')}"
    ours, theirs = get(stack, url), django.get(url)
    assert (ours.status, ours.body) == theirs


@pytest.mark.parametrize("text", ["p=yesterday", "p=%00", "p", "i=1", "p=2026-01-01&i=x", "p=2026-01-01&i=99999999999999999999"])
def test_a_position_that_no_row_can_have(stack, text):
    """To DRF some of these are its own errors (500)."""
    answer = get(stack, f"/api/v1/latest/?cursor={quote(cursor(text))}")
    assert (answer.status, answer.json) == (404, {"detail": "Invalid cursor"})


@pytest.mark.parametrize("path", ["latest", "levels", "arrivals"])
def test_every_row_comes_once_there_and_back(stack, readings, path):
    pages = walk(lambda url: get(stack, url).json, f"/api/v1/{path}/", "next")
    there = [row for page in pages for row in ids(page)]
    assert sorted(there) == readings and all(len(page["results"]) == 3 for page in pages[:-1])
    assert list(pages[0]) == ["next", "previous", "results"] and pages[0]["previous"] is None
    back = walk(lambda url: get(stack, url).json, pages[-1]["previous"], "previous")
    assert [row for page in reversed(back) for row in ids(page)] == there[:-len(pages[-1]["results"])]
    assert [ids(page) for page in reversed(back)] == [ids(page) for page in pages[:-1]]


def test_equal_rows_come_in_drfs_order(stack, django):
    ours = walk(lambda url: get(stack, url).json, "/api/v1/levels/", "next")
    theirs = walk(lambda url: json.loads(django.get(url)[1]), "/api/v1/levels/", "next")
    assert [ids(page) for page in ours] == [ids(page) for page in theirs]


def test_rows_that_come_and_go_among_equals_move_no_page(stack):
    """DRF counts equal rows: with one less before the edge it would leave one out."""
    first = get(stack, "/api/v1/levels/?level=1").json
    gone, rest = ids(first)[0], [row[0] for row in stack.sql("SELECT id FROM readings WHERE level = 1 ORDER BY id")][3:]
    row = stack.sql("DELETE FROM readings WHERE id = %s RETURNING id, name, level, taken_at", gone)[0]
    try:
        assert ids(get(stack, first["next"]).json) == rest[:3]
    finally:
        stack.sql("INSERT INTO readings (id, name, level, taken_at) VALUES (%s, %s, %s, %s)", *row)


def test_an_ordering_that_is_asked_for_is_not_looked_at(stack):
    assert ids(get(stack, "/api/v1/arrivals/?ordering=-id").json) == ids(get(stack, "/api/v1/arrivals/").json)


def test_a_page_is_one_statement(stack, new_user):
    user = new_user()
    first = get(stack, "/api/v1/levels/").json
    for url in ("/api/v1/levels/", first["next"], "/api/v1/levels/?level=1&search=reading"):
        parts = urlsplit(url)
        assert statements(stack, user, parts.path + "?" + parts.query) == 1, url


def test_an_edge_among_equals_is_named_by_its_key(stack):
    query = parse_qs(urlsplit(get(stack, "/api/v1/levels/").json["next"]).query)
    assert set(parse_qs(base64.b64decode(query["cursor"][0]).decode())) == {"p", "i"}


def test_the_document_tells_of_cursors(stack):
    told = stack.http("GET", "/api/v1/schema/").json
    names = [parameter["name"] for parameter in told["paths"]["/api/v1/latest/"]["get"]["parameters"]]
    assert names == ["cursor", "level", "page_size", "same", "search"]
    page = told["components"]["schemas"]["PaginatedLatestList"]
    assert page["required"] == ["results"] and list(page["properties"]) == ["next", "previous", "results"]
    assert page["properties"]["previous"]["example"] == "http://api.example.org/accounts/?cursor=cj0xJnA9NDg3"
