"""Pictures of a product: what is refused and in which order, where files go, which one is the primary."""

import base64
import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from shop import UNKNOWN, multipart, picture, png_header_only

IMAGES = "/api/v1/product-images/"
MOST = 10 * 1024 * 1024
TOO_LARGE = "Image file too large (maximum 10MB)"
NO_IMAGE = "Invalid image file: cannot identify image file"


@pytest.fixture
def product(shop, ann):
    return shop.product(ann)["id"]


REFUSED = {
    "a text named .jpg": ("a.jpg", lambda: picture("text"), NO_IMAGE),
    "a BMP": ("a.jpg", lambda: picture("bmp 200x200"), "Invalid image file: unsupported format BMP"),
    "too small": ("a.png", lambda: picture("png 50x50"), "Image dimensions too small (50x50). Minimum: 100x100"),
    "one side too small": ("a.gif", lambda: picture("gif 99x100"), "Image dimensions too small (99x100). Minimum: 100x100"),
    "too wide": ("a.png", lambda: picture("png 9000x100"), "Image dimensions too large (9000x100). Maximum: 8000x8000"),
    "a header of 20000 x 20000": ("a.png", lambda: png_header_only(20000, 20000),
                                  "Image dimensions too large (20000x20000). Maximum: 8000x8000"),
    "too large and too small: the large side is named": ("a.png", lambda: png_header_only(9000, 50),
                                                         "Image dimensions too large (9000x50). Maximum: 8000x8000"),
    "too many bytes": ("a.png", lambda: picture("png 200x200") + b"\0" * MOST, TOO_LARGE),
    "too many bytes of nothing": ("a.png", lambda: b"\0" * (MOST + 1), TOO_LARGE),
    "10 MB of nothing": ("a.png", lambda: b"\0" * MOST, NO_IMAGE),
    "empty": ("a.png", lambda: b"", "The submitted file is empty."),
    "half a header": ("a.png", lambda: picture("png 200x200")[:20], NO_IMAGE),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_picture_for_us_is_refused(stack, shop, ann, product, case):
    name, make, message = REFUSED[case]
    answer = shop.upload(ann, product, make(), name)
    assert (answer.status, answer.json) == (400, {"image": [message]})
    assert stack.sql("SELECT count(*) FROM product_images WHERE product_id = %s", product) == [(0,)]


def test_refused_uploads_leave_no_file(stack, shop, ann, bob, product):
    before = sorted(stack.media.rglob("*"))
    assert shop.upload(ann, product, picture("text")).status == 400
    assert shop.upload(ann, UNKNOWN, picture("png 200x200")).status == 400
    assert shop.upload(bob, product, picture("png 200x200")).status == 403
    assert sorted(stack.media.rglob("*")) == before


@pytest.mark.parametrize("recipe, kind", [("png 100x100", "png"), ("jpeg 640x480", "jpeg"), ("gif 120x130", "gif"),
                                          ("webp 8000x100", "webp"), ("jpeg 640x480 truncated", "jpeg")])
def test_pictures_are_taken_by_their_header(stack, shop, ann, product, recipe, kind):
    data = picture(recipe)
    width, height = map(int, recipe.split()[1].split("x"))
    answer = shop.upload(ann, product, data, "My Phöto (1).JPG", alt_text="A lamp")
    assert answer.status == 201, answer
    image = answer.json
    assert (image["width"], image["height"], image["status"], image["error"]) == (width, height, "pending", "")
    assert image["metadata"] == {"bytes": len(data), "format": kind, "sha256": hashlib.sha256(data).hexdigest()}
    assert re.fullmatch(rf"http://127\.0\.0\.1:{stack.port}/media/products/\d{{4}}/\d\d/"
                        r"My_Ph%C3%B6to_1_\d{8}_\d{6}_[0-9a-f]{8}\.jpg", image["image"])
    assert image["variants"] == {"original": {"url": image["image"], "width": width, "height": height}}
    assert image["responsive_data"] == {"src": image["image"], "srcset": "", "srcset_webp": "",
                                        "sizes": "(max-width: 600px) 100vw, 600px", "alt": "A lamp"}
    assert fetch(stack, image).body == data


def fetch(stack, image, **options):
    return stack.http("GET", image["image"].removeprefix(f"http://127.0.0.1:{stack.port}"), **options)


def test_a_hostile_file_name_stays_in_its_folder(stack, shop, ann, product):
    for name in ("../../etc/passwd.png", "..\\..\\x.png", ".png", "a/b.png", "\u202egnp.exe", "x" * 251 + ".png"):
        answer = shop.upload(ann, product, picture("png 120x120"), name)
        assert answer.status == 201, answer
        image = answer.json
        path = stack.sql("SELECT image FROM product_images WHERE id = %s", image["id"])[0][0]
        assert re.fullmatch(r"products/\d{4}/\d\d/[^/]+", path) and len(path) <= 255, path
        assert (stack.media / path).resolve().is_relative_to(stack.media.resolve()) and (stack.media / path).is_file()
        assert fetch(stack, image).status == 200


def test_a_name_is_bounded(shop, ann, product):
    answer = shop.upload(ann, product, picture("png 120x120"), "x" * 252 + ".png")
    assert (answer.status, answer.json) == (400, {"image": ["Ensure this filename has at most 255 characters (it has 256)."]})


def test_json_is_no_way_to_send_a_file(stack, ann, product):
    answer = stack.http("POST", IMAGES, {"product": product, "image": "x"}, ann.access)
    assert (answer.status, answer.json) == (415, {"detail": 'Unsupported media type "application/json" in request.'})


def test_a_text_is_no_file(stack, shop, ann, product):
    answer = shop.upload(ann, product, None, image="x")
    assert (answer.status, answer.json) == (
        400, {"image": ["The submitted data was not a file. Check the encoding type on the form."]})
    assert shop.upload(ann, None, None).json == {"product": ["This field is required."], "image": ["No file was submitted."]}


def test_the_product_must_be_there_and_ones_own(shop, ann, bob, product):
    data = picture("png 200x200")
    answer = shop.upload(ann, UNKNOWN, data)
    assert (answer.status, answer.json) == (400, {"product": [f'Invalid pk "{UNKNOWN}" - object does not exist.']})
    assert shop.upload(ann, "x", data).json == {"product": ["“x” is not a valid UUID."]}
    answer = shop.upload(bob, product, data)
    assert (answer.status, answer.json) == (403, {"detail": "You do not have permission to perform this action."})


def test_a_body_far_over_the_limit_is_413(shop, ann, product):
    answer = shop.upload(ann, product, b"\0" * (MOST + (1 << 20) + 1))
    assert (answer.status, answer.json) == (413, {"detail": "Request body too large."})


def test_a_broken_form_is_told(stack, ann):
    answer = stack.http("POST", IMAGES, b"--x\r\nnothing", ann.access, {"Content-Type": "multipart/form-data"})
    assert (answer.status, answer.json) == (
        400, {"detail": "Multipart form parse error - Invalid boundary in multipart: None"})


# --- the primary picture -------------------------------------------------------------------------------------------------


def state(stack, product):
    """[(id, is_primary, sort_order)] in their order"""
    return [(str(id), primary, order) for id, primary, order in stack.sql(
        "SELECT id, is_primary, sort_order FROM product_images WHERE product_id = %s ORDER BY sort_order, id", product)]


def test_the_first_is_primary_until_another_one_is(stack, shop, ann, product):
    first = shop.image(ann, product)
    second = shop.image(ann, product)
    third = shop.image(ann, product, is_primary="true")
    assert [i["is_primary"] for i in (first, second, third)] == [True, False, True]
    assert [i["sort_order"] for i in (first, second, third)] == [0, 1, 2]
    assert [primary for _, primary, _ in state(stack, product)] == [False, False, True]
    answer = shop.upload(ann, None, None, method="PATCH", path=f"{IMAGES}{second['id']}/", is_primary="true")
    assert answer.json["is_primary"] is True
    assert [primary for _, primary, _ in state(stack, product)] == [False, True, False]


def test_the_heir_of_the_primary_is_the_next_in_order(stack, shop, ann, product):
    first = shop.image(ann, product, sort_order=5)
    late = shop.image(ann, product, sort_order=9)
    early = shop.image(ann, product, sort_order=1)
    assert first["is_primary"]
    assert stack.http("DELETE", f"{IMAGES}{first['id']}/", token=ann.access).status == 204
    assert state(stack, product) == [(early["id"], True, 1), (late["id"], False, 9)]
    assert stack.http("DELETE", f"{IMAGES}{late['id']}/", token=ann.access).status == 204
    assert state(stack, product) == [(early["id"], True, 1)]
    assert stack.http("DELETE", f"{IMAGES}{early['id']}/", token=ann.access).status == 204
    again = shop.image(ann, product)
    assert (again["is_primary"], again["sort_order"]) == (True, 0)


def test_of_many_first_ones_one_is_primary(stack, shop, ann):
    for _ in range(5):
        product = shop.product(ann)["id"]
        with ThreadPoolExecutor(4) as pool:
            images = list(pool.map(lambda _: shop.image(ann, product), range(4)))
        assert sorted(image["sort_order"] for image in images) == [0, 1, 2, 3]
        assert [primary for _, primary, _ in state(stack, product)] == [True, False, False, False]


def test_a_deleted_picture_takes_its_file_along(stack, shop, ann, product):
    image = shop.image(ann, product)
    path = stack.media / stack.sql("SELECT image FROM product_images WHERE id = %s", image["id"])[0][0]
    assert path.is_file()
    assert stack.http("DELETE", f"{IMAGES}{image['id']}/", token=ann.access).status == 204
    assert not path.exists() and fetch(stack, image).status == 404


def test_pictures_stand_in_the_product_in_their_order(stack, shop, ann, product):
    late, early = shop.image(ann, product, sort_order=9), shop.image(ann, product, sort_order=1)
    answer = stack.http("GET", f"/api/v1/products/{product}/", token=ann.access).json
    assert [image["id"] for image in answer["images"]] == [early["id"], late["id"]]
    one = stack.http("GET", f"{IMAGES}{early['id']}/", token=ann.access).json
    assert answer["images"][0] == one


def test_a_new_file_takes_the_place_of_the_old_one(stack, shop, ann, product):
    image = shop.image(ann, product, alt_text="old")
    old = stack.media / stack.sql("SELECT image FROM product_images WHERE id = %s", image["id"])[0][0]
    data = picture("jpeg 400x300")
    answer = shop.upload(ann, None, data, "new.jpg", method="PATCH", path=f"{IMAGES}{image['id']}/")
    assert answer.status == 200 and answer.json["image"] != image["image"]
    assert (answer.json["width"], answer.json["metadata"]["bytes"], answer.json["alt_text"]) == (400, len(data), "old")
    assert fetch(stack, answer.json).body == data
    assert not old.exists(), "the file that nobody names any more stays behind"


# --- many at once ---


def upload_many(stack, user, product, files):
    body, kind = multipart({"product_id": product}, [("images", name, "image/png", data) for name, data in files])
    return stack.http("POST", IMAGES + "bulk_upload/", body, user.access, headers={"Content-Type": kind})


def asked_for(stack):
    """The pictures that the queue's jobs are about; no worker takes them here."""
    return "".join(base64.b64decode(json.loads(message)["body"]).decode() for message in stack.redis.lrange("default", 0, -1))


def test_pictures_sent_together_are_rows_and_jobs(stack, ann, product):
    good = picture("png 120x120")
    answer = upload_many(stack, ann, product, [("1.png", good), ("2.png", b"no"), ("3.png", good)])
    assert answer.status == 201
    assert [(row["is_primary"], row["sort_order"]) for row in answer.json["created"]] == [(True, 0), (False, 1)]
    assert answer.json["errors"] == [{"index": 1, "filename": "2.png", "errors": {"image": [NO_IMAGE]}}]
    stack.wait_for("their jobs", lambda: all(row["id"] in asked_for(stack) for row in answer.json["created"]))


def test_two_requests_with_many_pictures_make_one_primary(stack, ann, product):
    files = [(f"{number}.png", picture("png 120x120")) for number in range(3)]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: upload_many(stack, ann, product, files), range(3)))
    assert [answer.status for answer in answers] == [201] * 3
    assert stack.sql("SELECT count(*), count(*) FILTER (WHERE is_primary), count(DISTINCT sort_order) FROM product_images "
                     "WHERE product_id = %s", product) == [(9, 1, 9)]


def test_an_order_and_an_upload_at_once_leave_a_whole_order(stack, shop, ann, product):
    ids = [shop.image(ann, product)["id"] for _ in range(3)]
    with ThreadPoolExecutor(4) as pool:
        orders = [pool.submit(stack.http, "POST", IMAGES + "reorder/", {"product_id": product, "image_ids": one}, ann.access)
                  for one in (ids, ids[::-1], ids[1:] + ids[:1])]
        assert {order.result().status for order in orders} == {200}
    placed = stack.sql("SELECT id::text FROM product_images WHERE product_id = %s ORDER BY sort_order", product)
    assert [row for row, in placed] in (ids, ids[::-1], ids[1:] + ids[:1])
