"""Gateways of different settings beside each other on one stack, by http and https.

    with Doors(stack) as doors:
        door = doors.open(APIUM_ALLOWED_HOSTS="api.example.com")
        answer = door.ask("GET", "/healthz", headers={"Host": "evil.example.org"})

`raw` sends bytes as they are and reads until the gateway closes or has been quiet for a while.
"""

import http.client
import socket
import ssl
import subprocess
from types import SimpleNamespace

from apium import PATIENCE, Answer, free_port, wait_for


def make_certificate(folder):
    """Of localhost, signed by itself: .certificate and .key are the paths."""
    files = SimpleNamespace(certificate=folder / "cert.pem", key=folder / "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", files.key, "-out",
                    files.certificate], check=True, capture_output=True)
    return files


class Door:
    def __init__(self, stack, tls=None, **environment):
        self.stack, self.port, self.tls = stack, free_port(), tls
        if tls:
            environment |= {"APIUM_TLS_CERT": str(tls.certificate), "APIUM_TLS_KEY": str(tls.key)}
        self.program = stack.start("apium-gateway", APIUM_LISTEN=f"127.0.0.1:{self.port}", **environment)
        wait_for("the gateway", self.listens, 20)

    def listens(self):
        assert self.program.is_running(), self.program.log
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0

    def connection(self):
        if self.tls:
            context = ssl.create_default_context(cafile=str(self.tls.certificate))
            return http.client.HTTPSConnection("localhost", self.port, timeout=30 * PATIENCE, context=context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30 * PATIENCE)

    def ask(self, method, path, body=None, headers=None):
        connection = self.connection()
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def raw(self, *pieces, seconds=5):
        """All that comes back; what is still open after `seconds` of silence is taken as it is."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds * PATIENCE) as connection:
            got = b""
            try:
                for piece in pieces:
                    connection.sendall(piece)
                while data := connection.recv(65536):
                    got += data
            except (TimeoutError, ConnectionError):
                pass
            return got


class Doors:
    def __init__(self, stack):
        self.stack, self.opened = stack, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for door in self.opened:
            assert door.program.stop() == 0, door.program.log[-4000:]

    def open(self, **options):
        self.opened.append(Door(self.stack, **options))
        return self.opened[-1]
