"""Fields that SQL computes: cases, aggregates with a condition, averages, ranks; filtered and ordered by, in one statement."""

import pytest

from engine_side import statements

TICKETS = "/api/v1/tickets/?name=ticket"


@pytest.fixture(scope="module", autouse=True)
def tickets(stack):
    for level, hour in ((1, 3), (4, 2), (2, 1), (3, 0)):
        stack.sql("INSERT INTO readings (name, level, taken_at) VALUES ('ticket', %s, timestamptz '2026-02-01 00:00Z' + "
                  "%s * interval '1 hour')", level, hour)


def rows(stack, query=""):
    answer = stack.http("GET", TICKETS + query)
    assert answer.status == 200, answer.body
    return [[row[name] for name in ("priority", "fee", "above", "average", "place")] for row in answer.json["results"]]


def test_each_row_has_what_sql_says_of_it(stack):
    assert rows(stack) == [  # the most urgent first, then the oldest
        [100, "0.00", 1, "2.50", 1], [100, "0.00", 0, "2.50", 3], [50, "4.50", 2, "2.50", 2], [25, "25.00", 3, "2.50", 4]]


def test_filters_and_orders_take_expressions(stack):
    assert [row[0] for row in rows(stack, "&ordering=priority,-taken_at")] == [25, 50, 100, 100]
    assert [row[4] for row in rows(stack, "&ordering=priority,-taken_at")] == [4, 2, 3, 1]
    assert [row[0] for row in rows(stack, "&priority__gte=50")] == [100, 100, 50]


def test_a_page_costs_a_count_and_one_statement(stack, new_user):
    assert statements(stack, new_user(), TICKETS) == 2
