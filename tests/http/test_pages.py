"""docs/ and redoc/: the pages of Swagger UI and ReDoc, whose scripts `./dev assets` puts below /static/.  Here two small
files stand in for them: what is looked at is that every address a page names is answered with the file that lies there."""

import re

import pytest

from apium import Stack

FILES = {
    "swagger-ui-dist/swagger-ui.css": ("text/css", b"body { margin: 1px }\n"),
    "swagger-ui-dist/swagger-ui-bundle.js": ("text/javascript", b"function SwaggerUIBundle() {}\n"),
    "redoc/bundles/redoc.standalone.js": ("text/javascript", b"customElements;\n"),
}
PAGES = {"docs": ("swagger-ui-dist/swagger-ui.css", "swagger-ui-dist/swagger-ui-bundle.js"),
         "redoc": ("redoc/bundles/redoc.standalone.js",)}
HTML = {"Accept": "text/html,*/*;q=0.8"}


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("static")
    for name, (_, data) in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (folder.parent / "outside.js").write_text("outside")
    with Stack(APIUM_STATIC_ROOT=str(folder)) as stack:
        stack.start_gateway()
        yield stack


def named(page):
    return re.findall(r'(?:href|src)="([^"]+)"', page)


@pytest.mark.parametrize("mount", ["/api", "/api/v1"])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_files_that_are_there(shown, mount, page):
    answer = shown.http("GET", f"{mount}/{page}/", headers=HTML)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    text = answer.body.decode()
    assert named(text) == [f"/static/{name}" for name in PAGES[page]], "and nothing of another host"
    for name in PAGES[page]:
        kind, data = FILES[name]
        file = shown.http("GET", f"/static/{name}", headers={"Accept": "*/*"})
        assert (file.status, file.body) == (200, data)
        assert file.headers["Content-Type"].startswith(kind) and file.headers["X-Content-Type-Options"] == "nosniff"
    # The document that either page shows, relative to it.
    assert re.search(r'(?:url: |spec-url=)"\.\./schema/"', text)
    assert shown.http("GET", f"{mount}/schema/", headers={"Accept": "*/*"}).status == 200


def test_nothing_else_of_the_disk_is_served(shown):
    for path in ("/static/../outside.js", "/static/%2e%2e/outside.js", "/static/redoc/", "/static/redoc", "/static/none.js"):
        assert shown.http("GET", path).status in (400, 404), path


@pytest.mark.parametrize("page", PAGES)
def test_without_the_files_a_page_is_two_links(stack, page):
    answer = stack.http("GET", f"/api/v1/{page}/", headers=HTML)
    assert answer.status == 200 and named(answer.body.decode()) == ["../schema/", "../schema/?format=json"]
