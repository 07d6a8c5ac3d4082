"""Tokens as an attacker, a Django or another provider would make them: nothing but the standard library and openssl."""

import base64
import hashlib
import hmac
import json
import subprocess
import time
import uuid


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims_of(token):
    return json.loads(unb64(token.split(".")[1]))


def signing_input(header, claims):
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"


def hs(claims, secret, algorithm="HS256", **header):
    """Signed by HMAC with the digest that the algorithm's number names; 256 for others."""
    digest = {"HS384": hashlib.sha384, "HS512": hashlib.sha512}.get(algorithm, hashlib.sha256)
    text = signing_input({"alg": algorithm, "typ": "JWT", **header}, claims)
    key = secret if isinstance(secret, bytes) else secret.encode()
    return f"{text}.{b64(hmac.new(key, text.encode(), digest).digest())}"


def unsigned(claims, algorithm="none"):
    return signing_input({"alg": algorithm, "typ": "JWT"}, claims) + "."


def access_claims(user_id, **changed):
    """What an access token of ours says; None takes a claim away."""
    now = int(time.time())
    claims = {"token_type": "access", "exp": now + 3600, "iat": now, "jti": uuid.uuid4().hex, "user_id": user_id, **changed}
    return {name: value for name, value in claims.items() if value is not None}


class Key:
    """A private key in a file, made by openssl."""

    def __init__(self, folder, kind, kid, bits=2048):
        self.kind, self.kid, self.path = kind, kid, folder / f"{kid}.pem"
        options = ["-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}"] if kind == "RSA" else [
            "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        subprocess.run(["openssl", "genpkey", *options, "-out", self.path], check=True, capture_output=True)
        self.public = subprocess.run(["openssl", "pkey", "-in", self.path, "-pubout"], check=True,
                                     capture_output=True).stdout
        self.der = subprocess.run(["openssl", "pkey", "-in", self.path, "-pubout", "-outform", "DER"], check=True,
                                  capture_output=True).stdout

    def jwk(self, **more):
        if self.kind == "EC":
            x, y = self.der[-64:-32], self.der[-32:]
            return {"kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig", "x": b64(x), "y": b64(y), **more}
        said = subprocess.run(["openssl", "rsa", "-in", self.path, "-noout", "-modulus"], check=True, capture_output=True,
                              text=True).stdout
        n = bytes.fromhex(said.strip().split("=")[1])
        return {"kty": "RSA", "kid": self.kid, "use": "sig", "n": b64(n), "e": "AQAB", **more}

    def sign(self, claims, **header):
        header = {"alg": "RS256" if self.kind == "RSA" else "ES256", "typ": "JWT", "kid": self.kid, **header}
        text = signing_input({name: value for name, value in header.items() if value is not None}, claims)
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.path], input=text.encode(), check=True,
                                   capture_output=True).stdout
        return f"{text}.{b64(raw(signature) if self.kind == 'EC' else signature)}"


def raw(der):
    """An ECDSA signature as JWT has it: r and s side by side."""
    at, numbers = 2, []
    for _ in range(2):
        length = der[at + 1]
        numbers.append(int.from_bytes(der[at + 2:at + 2 + length]).to_bytes(32))
        at += 2 + length
    return b"".join(numbers)
