"""Attacks that HTTP/2 invites: streams reset before they are answered, heads without an end, bodies that many
streams share, clients that take nothing.  Each ends; nobody else notices; no memory stays."""

import re
import socket
import ssl
import struct
import time

import pytest

from apium import BUILD, PATIENCE
from doors import Doors, make_certificate
from frames import (CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS,
                    INITIAL_WINDOW_SIZE, PING, PROTOCOL_ERROR, REFUSED_STREAM, RST_STREAM, SETTINGS, WINDOW_UPDATE, Frames, block, frame, head)


@pytest.fixture(scope="module")
def door(stack, tmp_path_factory):
    """One that loses its patience early, and has room for four megabytes of bodies."""
    with Doors(stack) as doors:
        yield doors.open(tls=make_certificate(tmp_path_factory.mktemp("http2")), APIUM_HTTP2="on", APIUM_THREADS="1",
                         APIUM_HEADER_TIMEOUT="1", APIUM_UPLOAD_TIMEOUT="3", APIUM_UPLOAD_RATE="1KiB",
                         APIUM_BODY_BUDGET="4MiB", APIUM_MAX_BODY="2MiB", APIUM_IDLE_TIMEOUT="4", APIUM_METRICS_LISTEN="127.0.0.1:0")


@pytest.fixture(autouse=True)
def still_there(door):
    yield
    assert door.ask("GET", "/readyz").status == 200


def lives(client, stream):
    """Another request on the same connection is answered."""
    client.headers(stream)
    return client.until(HEADERS, stream) is not None


def memory(door):
    status = open(f"/proc/{door.program.pid}/status").read()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])


def flood(client, pieces):
    """Sends until the connection refuses it."""
    try:
        for piece in pieces:
            client.socket.sendall(piece)
    except (ConnectionError, ssl.SSLError):
        pass


# --- resets

def test_rapid_resets_end_the_connection(door):
    with Frames(door) as client:
        reset = struct.pack(">I", CANCEL)
        flood(client, (frame(HEADERS, END_HEADERS | END_STREAM, n, block(head(path=b"/api/v1/products/"))) +
                       frame(RST_STREAM, 0, n, reset) for n in range(1, 4001, 2)))
        seen = client.until_end()
        assert all(end.code == ENHANCE_YOUR_CALM for end in seen if end.kind == GOAWAY)
        assert sum(end.kind == HEADERS for end in seen) <= 102


def test_resets_that_the_server_is_made_to_send_count_as_well(door):
    """A window that overflows makes the server reset the stream itself (CVE-2025-8671)."""
    with Frames(door) as client:
        flood(client, (frame(HEADERS, END_HEADERS, n, block(head(b"POST", b"/api/v1/auth/login/"))) +
                       frame(WINDOW_UPDATE, 0, n, struct.pack(">I", 0x7fffffff)) for n in range(1, 4001, 2)))
        seen = client.until_end()
        assert all(end.code == ENHANCE_YOUR_CALM for end in seen if end.kind == GOAWAY)
        assert sum(end.kind == RST_STREAM for end in seen) <= 102


def test_a_few_resets_are_forgiven(door):
    with Frames(door) as client:
        for stream in range(1, 101, 2):
            client.post(stream, 100)
            client.send(RST_STREAM, 0, stream, struct.pack(">I", CANCEL))
        assert lives(client, 101)


def test_answers_make_up_for_resets(door):
    with Frames(door) as client:
        for stream in range(1, 1201, 4):
            client.post(stream, 100)
            client.send(RST_STREAM, 0, stream, struct.pack(">I", CANCEL))
            assert lives(client, stream + 2)


# --- heads

def test_a_head_without_an_end(door):
    """CONTINUATION after CONTINUATION (CVE-2024-28182)."""
    before = memory(door)
    with Frames(door) as client:
        piece = block([(b"x-%d" % n, b"v" * 1000) for n in range(10)])
        flood(client, [frame(HEADERS, 0, 1, block(head()))] + [frame(CONTINUATION, 0, 1, piece)] * 5000)
        client.until_end()
    assert memory(door) - before < 8 << 10


def test_a_head_that_is_too_long(door):
    """Its names and values are short; all together, with what each costs, they are not."""
    with Frames(door) as client:
        pieces = [block([(b"x-%d" % n, b"v" * 10)] * 250) for n in range(6)]
        client.send(HEADERS, END_STREAM, 1, block(head()))
        for n, piece in enumerate(pieces):
            client.send(CONTINUATION, END_HEADERS if n == 5 else 0, 1, piece)
        assert client.until(RST_STREAM, 1) and lives(client, 3)


BAD_HEADS = {
    "no path": [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost")],
    "two paths": [*head(), (b":path", b"/readyz")],
    "two methods": [*head(), (b":method", b"POST")],
    "a method behind a header": [(b":path", b"/"), (b":scheme", b"https"), (b"x", b"y"), (b":method", b"GET")],
    "capitals": head(b"GET", b"/healthz", (b"X-Capital", b"1")),
    "connection": head(b"GET", b"/healthz", (b"connection", b"keep-alive")),
    "transfer-encoding": head(b"POST", b"/healthz", (b"transfer-encoding", b"chunked")),
    "two lengths": head(b"POST", b"/healthz", (b"content-length", b"1"), (b"content-length", b"2")),
    "a length that is none": head(b"POST", b"/healthz", (b"content-length", b"-1")),
    "a length without a body": head(b"POST", b"/healthz", (b"content-length", b"5")),
    "NUL": head(b"GET", b"/healthz", (b"x", b"a\0b")),
    "a line": head(b"GET", b"/healthz", (b"x", b"a\r\nhost: evil")),
    "a line in the path": head(b"GET", b"/healthz HTTP/1.1\r\nx: "),
    "an unknown pseudo header": [*head(), (b":evil", b"1")],
    "CONNECT": [(b":method", b"CONNECT"), (b":authority", b"localhost:22")],
}


@pytest.mark.parametrize("headers", BAD_HEADS.values(), ids=BAD_HEADS)
def test_heads_that_are_no_heads(door, headers):
    """The stream is reset, or answered 400 or 404; the connection is not harmed."""
    with Frames(door) as client:
        client.send(HEADERS, END_HEADERS | END_STREAM, 1, block(headers))
        while (found := client.next()) is not None and not (found.stream == 1 and found.kind in (RST_STREAM, HEADERS)):
            assert found.kind != GOAWAY
        assert found is not None and lives(client, 3)


def test_a_host_that_differs_from_the_authority(door):
    """:authority is what counts (RFC 9113 §8.3.1), and the answer is not somebody else's."""
    with Frames(door) as client:
        client.headers(1, (b"host", b"evil.example"))
        assert client.until(HEADERS, 1)


# --- bodies

def test_bodies_of_many_streams_share_one_budget(door):
    before = memory(door)
    with Frames(door) as client:
        for stream in range(1, 121, 2):
            client.post(stream, 1_000_000)
            for _ in range(6):
                client.send(DATA, 0, stream, b" " * 16_000)
        assert client.until(RST_STREAM).code == ENHANCE_YOUR_CALM
        # AddressSanitizer keeps what was freed for a while.
        assert memory(door) - before < (24 << 10) * (2 if "asan" in BUILD.name else 1)
    with Frames(door) as client:  # what was held is given back
        client.post(1, 100_000)
        for at in range(10):
            client.send(DATA, END_STREAM if at == 9 else 0, 1, b" " * 10_000)
        assert client.until(HEADERS, 1)


def test_a_body_that_is_longer_than_it_said(door):
    with Frames(door) as client:
        client.post(1, 2)
        client.send(DATA, END_STREAM, 1, b"{} and more")
        assert client.until(RST_STREAM, 1).code == PROTOCOL_ERROR and lives(client, 3)


def test_a_body_that_never_ends_is_answered_and_cut_off(door):
    """Over its route's limit: 413 at once, and the rest is taken only for a while."""
    with Frames(door) as client:
        client.headers(1, (b"content-type", b"application/json"), end=False, method=b"POST", path=b"/api/v1/auth/login/")
        piece = frame(DATA, 0, 1, b" " * 16_000)
        began = time.monotonic()
        answered = ended = False
        while not ended and time.monotonic() - began < 20 * PATIENCE:
            flood(client, [piece])
            client.socket.settimeout(0.01)
            try:
                found = client.next()
            except TimeoutError:
                continue
            answered |= found is not None and found.kind == HEADERS
            ended = found is None or found.kind == RST_STREAM
        assert ended and answered


# --- slow ones

def until_cut_off(client, every, piece):
    began = time.monotonic()
    client.socket.settimeout(every)
    while time.monotonic() - began < 20 * PATIENCE:
        try:
            if piece:
                client.socket.sendall(piece)
            if client.next() is None:
                return
        except TimeoutError:
            continue
        except (ConnectionError, ssl.SSLError):
            return
    pytest.fail("it was let go on")


def test_slowloris_with_a_body(door):
    with Frames(door) as client:
        client.post(1, 100_000)
        until_cut_off(client, 0.2, frame(DATA, 0, 1, b" "))


def test_slowloris_with_a_head(door):
    with Frames(door) as client:
        client.send(HEADERS, END_STREAM, 1, block(head()))
        until_cut_off(client, 0.5, b"")


def test_who_says_nothing(door):
    with Frames(door) as client:
        until_cut_off(client, 0.5, b"")


def test_who_never_shakes_hands(door):
    with socket.create_connection(("127.0.0.1", door.port), timeout=20 * PATIENCE) as connection:
        connection.sendall(b"\x16\x03\x01")
        assert connection.recv(100) in (b"",)


def test_who_takes_no_answer(door):
    """A window of nothing: the answer waits, the client is cut off."""
    with Frames(door, settings=[(INITIAL_WINDOW_SIZE, 0)]) as client:
        client.headers(1)
        assert client.until(HEADERS, 1)
        until_cut_off(client, 0.5, b"")


# --- floods of what needs an answer

@pytest.mark.parametrize("piece", [
    frame(PING, 0, 0, b"12345678"), frame(SETTINGS, 0, 0), frame(DATA, 0, 1), frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 0)),
    frame(0x0b, 0, 0, b"unknown"), b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\0" * 9, b"\xff" * 64,
], ids=["ping", "settings", "empty data", "a window of nothing", "unknown frames", "HTTP/1.1", "zeros", "ones"])
def test_floods(door, piece):
    """Thousands of them, and nothing of what comes back is read."""
    before = memory(door)
    with Frames(door) as client:
        client.socket.settimeout(5 * PATIENCE)
        try:
            flood(client, [piece * 100] * 300)
        except TimeoutError:
            pass
        assert memory(door) - before < 16 << 10


def test_streams_beyond_the_bound_are_refused(door):
    with Frames(door) as client:
        for n in range(150):
            client.post(1 + 2 * n, 1000)
        for _ in range(50):
            assert client.until(RST_STREAM).code == REFUSED_STREAM
