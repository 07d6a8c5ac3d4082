"""Files as browsers and proxies ask for them: validators, ranges, types, what must not be reached."""

import pytest

from shop import picture


@pytest.fixture(scope="module")
def file(stack, shop, ann):
    """(path, bytes) of one picture."""
    data = picture("png 300x200")
    answer = shop.upload(ann, shop.product(ann)["id"], data, "boats.png")
    return answer.json["image"].removeprefix(f"http://127.0.0.1:{stack.port}"), data


def get(stack, path, method="GET", **headers):
    return stack.http(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_a_file_says_what_it_is(stack, file):
    path, data = file
    answer = get(stack, path)
    assert (answer.status, answer.body) == (200, data)
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Length"] == str(len(data))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["ETag"].startswith('"') and answer.headers["Last-Modified"].endswith(" GMT")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    head = get(stack, path, "HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(data)))


def test_what_is_known_already_is_not_sent_again(stack, file):
    path, data = file
    first = get(stack, path)
    tag, modified = first.headers["ETag"], first.headers["Last-Modified"]
    for headers in ({"If_None_Match": tag}, {"If_None_Match": f'"x", W/{tag}'}, {"If_None_Match": "*"},
                    {"If_Modified_Since": modified}):
        answer = get(stack, path, **headers)
        assert (answer.status, answer.body) == (304, b""), headers
        assert answer.headers["ETag"] == tag
    for headers in ({"If_None_Match": '"x"'}, {"If_Modified_Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
                    {"If_None_Match": '"x"', "If_Modified_Since": modified}):
        assert get(stack, path, **headers).body == data, headers


def test_a_range_is_a_part(stack, file):
    path, data = file
    size = len(data)
    for asked, first, last in (("0-9", 0, 9), ("10-", 10, size - 1), ("-7", size - 7, size - 1), (f"5-{size + 99}", 5, size - 1)):
        answer = get(stack, path, Range=f"bytes={asked}")
        assert (answer.status, answer.body) == (206, data[first:last + 1]), asked
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
    answer = get(stack, path, Range=f"bytes={size}-")
    assert answer.status == 416 and answer.headers["Content-Range"] == f"bytes */{size}"
    tag = get(stack, path).headers["ETag"]
    assert get(stack, path, Range="bytes=0-0", If_Range=tag).status == 206
    assert get(stack, path, Range="bytes=0-0", If_Range='"x"').body == data


@pytest.mark.parametrize("path", ["/media/", "/media/products", "/media/nothing.png", "/media/../secret", "/media/%2e%2e/secret",
                                  "/media/..%2fsecret", "/media//etc/passwd", "/media/link", "/media/a%00b"])
def test_what_is_no_file_of_ours_is_not_found(stack, file, path):
    secret = stack.folder / "secret"
    secret.write_text("not for the world")
    link = stack.media / "link"
    if not link.is_symlink():
        link.symlink_to(secret)
    answer = get(stack, path)
    assert answer.status in (400, 404) and b"not for the world" not in answer.body


def test_files_are_only_read(stack, file):
    path, data = file
    for method in ("POST", "PUT", "DELETE"):
        assert get(stack, path, method).status == 405
    assert get(stack, path).body == data
