"""A gateway of resources made for these tests, and a Django with the same tables."""

import pytest

import django_side
from apium import Stack
from engine_side import PROGRAM, SCHEMA, make_user


@pytest.fixture(scope="session")
def stack():
    # In development answers say how many statements they cost.
    with Stack(APIUM_ENV="development", APIUM_THREADS="1") as stack:
        stack.sql(SCHEMA.read_text())
        stack.start_gateway(program=PROGRAM)
        yield stack


@pytest.fixture
def new_user(stack):
    return lambda **how: make_user(stack, **how)


@pytest.fixture(scope="session")
def django(stack):
    return django_side.start(stack)
