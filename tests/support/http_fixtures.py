"""What the suites share that talk to one gateway: servers, people, a shop."""

import pytest

from apium import Stack
from doors import Doors
from shop import Shop

# The log of PostgreSQL tells which statements the gateway sends; %a is the program's name.
LOGGED = ("log_statement=all", "log_line_prefix=<%a>")


@pytest.fixture(scope="session")
def stack():
    """Servers and a gateway; no worker.  For tests that leave them as they are."""
    with Stack(postgres_settings=LOGGED) as stack:
        stack.start_gateway()
        yield stack


@pytest.fixture(scope="session")
def shop(stack):
    return Shop(stack)


@pytest.fixture(scope="session")
def ann(shop):
    return shop.user("ann", name="Ann Tester")


@pytest.fixture(scope="session")
def bob(shop):
    return shop.user("bob")


@pytest.fixture(scope="session")
def staff(shop):
    return shop.staff()


@pytest.fixture(scope="session")
def counting(stack):
    """A gateway that says in each answer how many statements it cost."""
    with Doors(stack) as doors:
        yield doors.open(APIUM_ENV="development", APIUM_THREADS="1")
