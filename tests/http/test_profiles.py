"""Profiles and documents: one profile per user, files that no stranger sees."""

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from shop import multipart, picture

pytestmark = pytest.mark.slow

PROFILE = "/api/v1/profile/"
DOCUMENTS = "/api/v1/documents/"


def upload(stack, user, path, name, filename, data, kind="application/octet-stream", fields={}):
    body, content_type = multipart(fields, [(name, filename, kind, data)])
    return stack.http("POST", path, body, user.access, headers={"Content-Type": content_type})


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_first_readers_at_once_get_one_profile(stack, shop):
    user = shop.user("reader")
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: stack.http("GET", PROFILE, token=user.access), range(6)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["id"] for answer in answers}) == 1


def test_a_new_avatar_replaces_the_file(stack, shop):
    user = shop.user("face")
    first = upload(stack, user, PROFILE + "avatar/", "avatar", "Me.PNG", picture("png 120x120")).json["avatar"]
    assert stack.http("GET", urlsplit(first).path).status == 200 and first.endswith(".png")
    second = upload(stack, user, PROFILE + "avatar/", "avatar", "me.png", picture("png 130x120")).json["avatar"]
    names = files(stack.media / "avatars")
    assert first.rsplit("/", 1)[1] not in names and second.rsplit("/", 1)[1] in names
    assert stack.http("DELETE", PROFILE + "avatar/", token=user.access).status == 204
    assert second.rsplit("/", 1)[1] not in files(stack.media / "avatars")


@pytest.mark.parametrize("filename, disposition", [
    ("Report 1.pdf", 'attachment; filename="Report 1.pdf"'),
    ("Ähnlich.pdf", "attachment; filename*=utf-8''%C3%84hnlich.pdf"),
    ("back\\slash.pdf", 'attachment; filename="slash.pdf"'),
])
def test_a_download_has_name_type_and_bytes(stack, ann, filename, disposition):
    made = upload(stack, ann, DOCUMENTS, "file", filename, b"%PDF-1.7 " + bytes(3000), "Application/PDF; a=b")
    assert made.status == 201 and made.json["content_type"] == "application/pdf"
    answer = stack.http("GET", f"{DOCUMENTS}{made.json['id']}/download/", token=ann.access)
    assert answer.status == 200 and answer.body == b"%PDF-1.7 " + bytes(3000)
    assert answer.headers["Content-Disposition"] == disposition
    assert answer.headers["Content-Type"] == "application/pdf"


def test_a_document_is_below_no_public_url_and_goes_with_its_row(stack, ann):
    made = upload(stack, ann, DOCUMENTS, "file", "a.pdf", b"secret")
    name = files(stack.private / "documents")[-1]
    assert not any("documents" in path.parts for path in stack.media.rglob("*"))
    for path in (f"/media/documents/{name}", f"/media/../private/documents/{name}", f"/media/%2e%2e/private/documents/{name}"):
        assert stack.http("GET", path).status == 404
    before = len(files(stack.private))
    assert stack.http("DELETE", f"{DOCUMENTS}{made.json['id']}/", token=ann.access).status == 204
    assert len(files(stack.private)) == before - 1


def test_others_documents_are_not_there(stack, shop, ann, staff):
    bob = shop.user("bob")
    made = upload(stack, ann, DOCUMENTS, "file", "a.pdf", b"x", fields={"title": "Mine"}).json
    path = f"{DOCUMENTS}{made['id']}/"
    for method, at in (("GET", path), ("DELETE", path), ("GET", path + "download/")):
        assert stack.http(method, at, token=bob.access).status == 404
    assert stack.http("GET", path + "download/", token=staff.access).status == 200
    assert stack.http("PATCH", path, {"title": "x"}, ann.access).status == 405
