"""A gateway of resources made for these tests (gateway.c, schema.sql), and a Django with the same tables."""

import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

import jwt
from apium import Stack
from shop import unique

SECRET = "development-only-secret-key-0123456789"  # the default of APIUM_ENV=development
SCHEMA = Path(__file__).with_name("schema.sql")


@dataclass
class User:
    id: str
    access: str


@pytest.fixture(scope="session")
def stack():
    # In development answers say how many statements they cost.
    with Stack(APIUM_ENV="development", APIUM_THREADS="1") as stack:
        stack.sql(SCHEMA.read_text())
        stack.start_gateway(program="tests/engine/engine-gateway")
        yield stack


def make_user(stack, superuser=False):
    user, name = str(uuid.uuid4()), unique("user")
    stack.sql("INSERT INTO users (id, password, is_superuser, email, username, first_name, last_name, is_active, is_staff, "
              "email_verified, email_verification_token, date_joined, updated_at) VALUES (%s, '!', %s, %s, %s, '', '', true, "
              "%s, false, gen_random_uuid(), now(), now())", user, superuser, f"{name}@example.com", name, superuser)
    return User(user, jwt.hs(jwt.access_claims(user), SECRET))


@pytest.fixture
def new_user(stack):
    return lambda **how: make_user(stack, **how)


@pytest.fixture(scope="session")
def django(stack):
    import django_side
    return django_side.start(stack)
