"""Search by words (`@`): as DRF's SearchFilter finds over the same rows, and by an index."""

import json
from urllib.parse import quote

import pytest

from engine_side import make_user, statements

ROWS = [
    ("Running shoes", "For those who run quickly through the woods."),
    ("A quick fox", "It jumps over lazy dogs."),
    ("Dogs and cats", "Pets of many kinds, 100% friendly."),
    ("Quiet", "Nothing but a harbour."),
    ("Ünïcode wörds", "naïve café"),
]
TERMS = ["dog", "dogs", "DOGS", "quick", "run", "running", "quick fox", "dogs,cats", '"quick fox"', "harbour quiet", "the", "café", "100%",
         "it's", "fox & dog", "!dog", "(", "':*", "nothing-here"]


@pytest.fixture(scope="module", autouse=True)
def articles(stack):
    owner = make_user(stack)
    for title, body in ROWS:
        stack.sql("INSERT INTO articles (id, title, body, owner_id, published) VALUES (gen_random_uuid(), %s, %s, %s, true)",
                  title, body, owner.id)


def titles(answer):
    return [row["title"] for row in answer["results"]]


@pytest.mark.parametrize("term", TERMS)
def test_it_finds_what_drf_finds(stack, django, term):
    url = f"/api/v1/texts/?search={quote(term)}"
    ours, theirs = stack.http("GET", url), django.get(url)
    assert (ours.status, ours.body) == theirs


def test_a_vector_of_a_language_knows_its_words(stack):
    def find(term):
        return titles(stack.http("GET", f"/api/v1/articles/?search={term}").json)

    assert find("dogs") == find("dog") == ["A quick fox", "Dogs and cats"]
    assert find("runs") == ["Running shoes"] and find("fox+dog") == ["A quick fox"] and find("elephant") == []
    assert find("%22fox+dog%22") == ["A quick fox"] and find("%22fox+%26+!dog%22") == ["A quick fox"], "signs are no operators"


def test_an_index_answers(stack):
    """The statement that the gateway sends, on more rows than a scan would like."""
    stack.sql("INSERT INTO articles (id, title, body, owner_id, published) SELECT gen_random_uuid(), 'many ' || n, 'text', "
              "(SELECT id FROM users LIMIT 1), false FROM generate_series(1, 5000) n")
    try:
        stack.sql("VACUUM ANALYZE articles")
        plan = "\n".join(row[0] for row in stack.sql(
            "EXPLAIN SELECT count(*) FROM articles t WHERE ((t.words) @@ plainto_tsquery('english'::regconfig, %s::text))", "harbour"))
        assert "articles_words_idx" in plan
    finally:
        stack.sql("DELETE FROM articles WHERE title LIKE 'many %%'")


def test_statements(stack, new_user):
    assert statements(stack, new_user(), "/api/v1/texts/?search=dog") == 2
    assert json.loads(stack.http("GET", "/api/v1/texts/?search=dog").body)["count"] > 0
