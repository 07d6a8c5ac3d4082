"""make_vectors.py > vectors.h - stored passwords and reset tokens as the real Django makes them.

Needs Django 5.2 with argon2-cffi and bcrypt (pip install "Django==5.2.19" argon2-cffi bcrypt); the tests do not: the
vectors are kept.
"""

import datetime

import argon2
import django
from django.conf import settings

HASHERS = ("PBKDF2PasswordHasher", "PBKDF2SHA1PasswordHasher", "Argon2PasswordHasher", "BCryptSHA256PasswordHasher",
           "BCryptPasswordHasher", "ScryptPasswordHasher")
SECRET = "a secret of some length for the tests"
PASSWORD = "Quiet-Harbour-77 Ünïcode"
SALT = "0123456789abcdefABCDEF"

settings.configure(SECRET_KEY=SECRET, USE_TZ=True, TIME_ZONE="UTC",
                   PASSWORD_HASHERS=[f"django.contrib.auth.hashers.{name}" for name in HASHERS])
django.setup()

from django.contrib.auth import hashers  # noqa: E402
from django.contrib.auth.tokens import PasswordResetTokenGenerator  # noqa: E402


class Argon2i(hashers.Argon2PasswordHasher):
    time_cost, memory_cost, parallelism = 3, 1024, 1

    def params(self):
        params = super().params()
        params.type = argon2.low_level.Type.I
        return params


class Argon2id(hashers.Argon2PasswordHasher):
    time_cost, memory_cost, parallelism = 2, 19456, 1


def bcrypt(hasher):
    hasher.rounds = 5
    return hasher.encode(PASSWORD, hasher.salt())


class User:
    pk, password, email = "0190a0a0-0000-7000-8000-000000000001", "argon2$stored", "ann@example.com"
    last_login = None

    @staticmethod
    def get_email_field_name():
        return "email"


class Tokens(PasswordResetTokenGenerator):
    def _now(self):
        return datetime.datetime(2023, 11, 14, 22, 13, 20)


def token(last_login):
    user = User()
    user.last_login = last_login
    return Tokens().make_token(user)


STORED = [
    ("pbkdf2_sha256 of few rounds", hashers.PBKDF2PasswordHasher().encode(PASSWORD, SALT, 1000), "false"),
    ("pbkdf2_sha256 of Django 5.2", hashers.PBKDF2PasswordHasher().encode(PASSWORD, SALT), "true"),
    ("pbkdf2_sha1", hashers.PBKDF2SHA1PasswordHasher().encode(PASSWORD, "saltsalt", 2000), "false"),
    ("argon2id of Django", hashers.Argon2PasswordHasher().encode(PASSWORD, SALT), "true"),
    ("argon2id of our costs", Argon2id().encode(PASSWORD, SALT), "true"),
    ("argon2i", Argon2i().encode(PASSWORD, SALT), "false"),
    ("bcrypt_sha256", bcrypt(hashers.BCryptSHA256PasswordHasher()), "false"),
    ("bcrypt", bcrypt(hashers.BCryptPasswordHasher()), "false"),
    ("scrypt", hashers.ScryptPasswordHasher().encode(PASSWORD, SALT), "false"),
]

print("/*\n * vectors.h - made by make_vectors.py with the real Django.\n */")
print("/* clang-format off */")
print(f'#define VECTOR_SECRET   "{SECRET}"')
print(f'#define VECTOR_PASSWORD "{PASSWORD}"')
print("static const struct {\n\tconst char *name, *stored;\n\tbool is_strong;\n} stored_vectors[] = {")
for name, stored, is_strong in STORED:
    print(f'\t{{ "{name}", "{stored}", {is_strong} }},')
print("};")
print(f'#define VECTOR_USER     "{User.pk}"\n#define VECTOR_STORED   "{User.password}"\n#define VECTOR_EMAIL    "{User.email}"')
seen = datetime.datetime(2023, 11, 14, 22, 13, 19, 999999, tzinfo=datetime.timezone.utc)
print(f'#define VECTOR_TOKEN       "{token(seen)}" /* last seen {seen:%Y-%m-%d %H:%M:%S} */')
print(f'#define VECTOR_TOKEN_NEVER "{token(None)}"')
print("/* clang-format on */")
