"""The gateway of these tests (gateway.c, schema.sql): its tables, who asks it, and what that costs."""

import uuid
from dataclasses import dataclass
from pathlib import Path

import jwt
import statements as counted
from shop import unique

PROGRAM = "tests/engine/engine-gateway"
SECRET = "development-only-secret-key-0123456789"  # the default of APIUM_ENV=development
SCHEMA = Path(__file__).with_name("schema.sql")


@dataclass
class User:
    id: str
    access: str


def make_user(stack, superuser=False):
    user, name = str(uuid.uuid4()), unique("user")
    stack.sql("INSERT INTO users (id, password, is_superuser, email, username, first_name, last_name, is_active, is_staff, "
              "email_verified, email_verification_token, date_joined, updated_at) VALUES (%s, '!', %s, %s, %s, '', '', true, "
              "%s, false, gen_random_uuid(), now(), now())", user, superuser, f"{name}@example.com", name, superuser)
    return User(user, jwt.hs(jwt.access_claims(user), SECRET))


class _Door:
    def __init__(self, stack):
        self.stack = stack

    def ask(self, method, path, headers):
        return self.stack.http(method, path, headers=headers)


def statements(stack, user, path):
    """Of one GET."""
    return counted.statements(_Door(stack), user, path)
