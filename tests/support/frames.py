"""A client of HTTP/2 that sends what no library would (RFC 9113), frame by frame.

    with Frames(door) as client:
        client.headers(1, end=False)
        client.send(RST_STREAM, 0, 1, struct.pack(">I", CANCEL))
        assert client.until(GOAWAY).code == ENHANCE_YOUR_CALM

Heads are written as literals that no table keeps (RFC 7541 §6.2.2); what comes back is read as frames, whose
heads nobody decodes: curl does that (tests/http/test_http2.py).
"""

import socket
import ssl
import struct
from types import SimpleNamespace

from apium import PATIENCE

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK = 1, 4, 1
NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 0, 1, 7, 8, 11
INITIAL_WINDOW_SIZE = 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def integer(value, bits):
    """RFC 7541 §5.1, the first bits zero."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([value])
    out = bytearray([most])
    value -= most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes(out + bytes([value]))


def block(headers):
    return b"".join(b"\0" + integer(len(name), 7) + name + integer(len(value), 7) + value for name, value in headers)


def head(method=b"GET", path=b"/healthz", *more, authority=b"localhost"):
    return [(b":method", method), (b":scheme", b"https"), (b":path", path), (b":authority", authority), *more]


class Frames:
    def __init__(self, door, settings=(), seconds=20):
        context = ssl.create_default_context(cafile=str(door.tls.certificate))
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", door.port), timeout=seconds * PATIENCE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(plain, server_hostname="localhost")
        assert self.socket.selected_alpn_protocol() == "h2"
        self.socket.sendall(PREFACE)
        self.send(SETTINGS, 0, 0, b"".join(struct.pack(">HI", name, value) for name, value in settings))
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, kind, flags, stream, payload=b""):
        self.socket.sendall(frame(kind, flags, stream, payload))

    def headers(self, stream, *more, end=True, method=b"GET", path=b"/healthz"):
        self.send(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block(head(method, path, *more)))

    def post(self, stream, length, path=b"/api/v1/auth/login/"):
        """A head whose body is to come."""
        self.headers(stream, (b"content-type", b"application/json"), (b"content-length", b"%d" % length), end=False,
                     method=b"POST", path=path)

    def next(self):
        """The next frame; None at the end of the connection."""
        while True:
            if len(self.received) >= 9:
                length = int.from_bytes(self.received[:3])
                if len(self.received) >= 9 + length:
                    kind, flags, stream = struct.unpack(">BBI", self.received[3:9])
                    payload, self.received = self.received[9:9 + length], self.received[9 + length:]
                    code = {RST_STREAM: payload[:4], GOAWAY: payload[4:8]}.get(kind)
                    return SimpleNamespace(kind=kind, flags=flags, stream=stream, payload=payload,
                                           code=code and int.from_bytes(code))
            try:
                data = self.socket.recv(65536)
            except (ConnectionError, ssl.SSLError) as error:
                if isinstance(error, TimeoutError):
                    raise
                return None
            if not data:
                return None
            self.received += data

    def until(self, kind, stream=None):
        """The first frame of that kind (and stream) from here on; None when the connection ends before."""
        while (found := self.next()) is not None:
            if found.kind == kind and stream in (None, found.stream):
                return found
        return None

    def until_end(self):
        """The kinds of the frames before the end."""
        seen = []
        while (found := self.next()) is not None:
            seen.append(found)
        return seen


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3) + struct.pack(">BBI", kind, flags, stream) + payload
