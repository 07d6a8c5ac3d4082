"""What becomes of an upload: eight variants, or a row that says why there are none."""

import hashlib
import struct
import subprocess
import zlib

import pytest

from shop import picture, png_chunk

IMAGES = "/api/v1/product-images/"
MAKER = b"Camera-of-Ann\0"
WIDTHS = {"thumb": 150, "small": 300, "medium": 600, "large": 1200}


def vips(*words):
    done = subprocess.run(["vips", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def read_size(path):
    done = subprocess.run(["vipsheader", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return tuple(map(int, done.stdout.split(": ")[1].split()[0].split("x")))


def pixels(path):
    """{(x, y): (r, g, b)} as a function"""
    ppm = path.with_suffix(".ppm")
    vips("copy", path, ppm)
    magic, size, most, data = ppm.read_bytes().split(b"\n", 3)
    while magic != b"P6" or size.startswith(b"#"):
        size, most, data = most, *data.split(b"\n", 1)
    width = int(size.split()[0])
    return lambda x, y: tuple(data[3 * (y * width + x):3 * (y * width + x) + 3])


def make_jpeg(folder, width, height, colour):
    """A JPEG whose pixel at (x, y) is colour(x, y)."""
    ppm = folder / "made.ppm"
    rows = b"".join(bytes(colour(x, y)) for y in range(height) for x in range(width))
    ppm.write_bytes(b"P6\n%d %d\n255\n" % (width, height) + rows)
    vips("copy", ppm, folder / "made.jpg[Q=95]")
    return (folder / "made.jpg").read_bytes()


def with_orientation(jpeg, orientation):
    """The same with an EXIF segment that says how the camera was held, and whose it is."""
    tiff = (b"MM\0*\0\0\0\x08" + struct.pack(">H", 2) + struct.pack(">HHII", 0x010f, 2, len(MAKER), 38)
            + struct.pack(">HHIHHI", 0x0112, 3, 1, orientation, 0, 0) + MAKER)
    segment = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


def upload(shop, ann, data, name="picture.jpg"):
    answer = shop.upload(ann, shop.product(ann)["id"], data, name)
    assert answer.status == 201, answer
    assert answer.json["status"] == "pending"
    return answer.json["id"]


def finished(stack, ann, id, seconds=20):
    """The row once the worker has had it."""
    def ready():
        image = stack.http("GET", f"{IMAGES}{id}/", token=ann.access).json
        return image if image["status"] != "pending" else None

    return stack.wait_for("the worker", ready, seconds)


def no_job_is_left(stack):
    stack.wait_for("every job to have ended", lambda: stack.sql("SELECT count(*) FROM job_outbox") == [(0,)])
    assert stack.apium("dead", "list").strip().count("\n") <= 0, stack.apium("dead", "list")


def check_variants(stack, image, width, height, folder):
    """Every variant is there, whole, and as large as it says."""
    assert (image["status"], image["error"]) == ("ready", "")
    assert list(image["variants"]) == ["original", "thumb", "thumb_webp", "small", "small_webp", "medium", "medium_webp",
                                       "large", "large_webp"]
    srcset = {"jpg": [], "webp": []}
    for name, most in WIDTHS.items():
        for ending in ("jpg", "webp"):
            variant = image["variants"][name if ending == "jpg" else f"{name}_webp"]
            wide = min(most, width)
            assert (variant["width"], variant["height"]) == (wide, max(1, round(height * wide / width)))
            answer = stack.http("GET", variant["url"].removeprefix(f"http://127.0.0.1:{stack.port}"))
            assert answer.headers["Content-Type"] == ("image/jpeg" if ending == "jpg" else "image/webp")
            assert (len(answer.body), hashlib.sha256(answer.body).hexdigest()) == (variant["bytes"], variant["sha256"])
            file = folder / f"{name}.{ending}"
            file.write_bytes(answer.body)
            assert read_size(file) == (variant["width"], variant["height"])
            assert not any(word in answer.body for word in (b"Exif", b"EXIF", b"XMP ", b"ICCP", MAKER))
            srcset[ending].append(f"{variant['url']} {wide}w")
    assert image["responsive_data"]["srcset"] == ", ".join(srcset["jpg"])
    assert image["responsive_data"]["srcset_webp"] == ", ".join(srcset["webp"])


@pytest.mark.parametrize("recipe", ["png 1600x1000", "jpeg 800x600", "gif 320x200", "webp 100x400", "png 101x7777"])
def test_eight_variants_of_each_format(stack, shop, ann, tmp_path, recipe):
    width, height = map(int, recipe.split()[1].split("x"))
    image = finished(stack, ann, upload(shop, ann, picture(recipe)))
    check_variants(stack, image, width, height, tmp_path)
    no_job_is_left(stack)


def test_a_picture_is_turned_as_the_camera_was_held(stack, shop, ann, tmp_path):
    red, blue = (230, 20, 20), (20, 20, 230)
    data = with_orientation(make_jpeg(tmp_path, 400, 200, lambda x, y: red if x < 200 else blue), 6)
    image = finished(stack, ann, upload(shop, ann, data))
    check_variants(stack, image, 200, 400, tmp_path)
    for file in ("small.jpg", "small.webp"):
        at = pixels(tmp_path / file)
        assert at(100, 20)[0] > 150 > at(100, 20)[2], "the left of the file is the top of the picture"
        assert at(100, 380)[2] > 150 > at(100, 380)[0]


def test_a_transparent_picture_gets_a_white_ground(stack, shop, ann, tmp_path):
    rows = (b"\0" + b"\x10\x20\x30\x00" * 200) * 200
    data = (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 200, 200, 8, 6, 0, 0, 0))
            + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b""))
    image = finished(stack, ann, upload(shop, ann, data, "clear.png"))
    check_variants(stack, image, 200, 200, tmp_path)
    assert min(pixels(tmp_path / "small.jpg")(100, 100)) > 250


def fails(stack, shop, ann, data, name="picture.jpg", seconds=20):
    image = finished(stack, ann, upload(shop, ann, data, name), seconds)
    assert image["status"] == "failed" and image["error"].startswith("Invalid image file: "), image
    assert list(image["variants"]) == ["original"]
    no_job_is_left(stack)
    return image["error"]


def test_a_truncated_jpeg_fails_with_the_reason(stack, shop, ann, tmp_path):
    data = make_jpeg(tmp_path, 640, 480, lambda x, y: (x % 256, y % 256, (x * y) % 256))
    reason = fails(stack, shop, ann, data[:len(data) // 2])
    assert "end" in reason.lower() or "truncated" in reason.lower(), reason


def test_a_png_whose_pixels_are_rubbish_fails(stack, shop, ann):
    data = (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 500, 500, 8, 2, 0, 0, 0))
            + png_chunk(b"IDAT", b"no zlib stream at all") + png_chunk(b"IEND", b""))
    fails(stack, shop, ann, data, "rubbish.png")


def test_the_next_picture_after_a_bad_one_is_made(stack, shop, ann, tmp_path):
    bad = [upload(shop, ann, picture("jpeg 640x480 truncated")) for _ in range(3)]
    good = upload(shop, ann, picture("png 300x300"), "good.png")
    check_variants(stack, finished(stack, ann, good), 300, 300, tmp_path)
    assert {finished(stack, ann, id)["status"] for id in bad} == {"failed"}


@pytest.mark.slow
def test_a_plain_8000_by_8000_png_is_made(stack, shop, ann, tmp_path):
    image = finished(stack, ann, upload(shop, ann, picture("png 8000x8000"), "large.png"), 60)
    check_variants(stack, image, 8000, 8000, tmp_path)


# --- pictures that are larger inside than they look ------------------------------------------------------------------


def png_with_texts(megabytes, count):
    """A small PNG with `count` compressed texts of so many megabytes of nothing."""
    data = picture("png 200x200")
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * (megabytes << 20), 9))
    return data[:33] + text * count + data[33:]


def animated_webp(frames, width, height):
    """An animation of frames of one colour; libvips decodes the first one."""
    def chunk(kind, data):
        return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)

    def three(number):
        return number.to_bytes(3, "little")

    size = three(width - 1) + three(height - 1)
    frame = chunk(b"ANMF", b"\0" * 6 + size + three(100) + b"\0" + picture(f"webp {width}x{height}")[12:])
    data = chunk(b"VP8X", b"\x02\0\0\0" + size) + chunk(b"ANIM", b"\0" * 6) + frame * frames
    return b"RIFF" + struct.pack("<I", len(data) + 4) + b"WEBP" + data


def test_one_huge_text_in_a_png_fails_the_picture(stack, shop, ann):
    assert "texts of more than 64 megabytes" in fails(stack, shop, ann, png_with_texts(500, 1), "text.png")


def test_a_text_that_a_camera_may_write_does_not(stack, shop, ann, tmp_path):
    image = finished(stack, ann, upload(shop, ann, png_with_texts(6, 2), "text.png"))
    check_variants(stack, image, 200, 200, tmp_path)


def test_texts_that_pass_the_limit_together_fail_the_picture_and_nothing_else(stack, shop, ann, tmp_path):
    """Each is below libpng's bound; all 900 together are 6.3 GB."""
    id = upload(shop, ann, png_with_texts(7, 900), "texts.png")
    good = upload(shop, ann, picture("png 300x300"), "good.png")
    check_variants(stack, finished(stack, ann, good), 300, 300, tmp_path)
    image = finished(stack, ann, id, 60)
    assert image["status"] == "failed" and image["error"].startswith("Invalid image file: "), image
    no_job_is_left(stack)


def test_of_an_animation_the_first_frame_counts(stack, shop, ann, tmp_path):
    image = finished(stack, ann, upload(shop, ann, animated_webp(15, 8000, 8000), "film.webp"))
    check_variants(stack, image, 8000, 8000, tmp_path)


@pytest.mark.parametrize("frames, side, words", [(3000, 8000, "megapixels"), (3000, 100, "frames")])
def test_an_animation_of_thousands_of_frames_fails(stack, shop, ann, frames, side, words):
    data = animated_webp(frames, side, side)
    assert len(data) < 1 << 20
    assert words in fails(stack, shop, ann, data, "film.webp")


# --- pictures that are gone ----------------------------------------------------------------------------------------


def test_the_job_of_a_deleted_picture_is_dropped(stack, shop, ann):
    worker = stack.programs[-1]
    assert worker.stop() == 0
    id = upload(shop, ann, picture("png 300x200"))
    assert stack.http("DELETE", f"{IMAGES}{id}/", token=ann.access).status == 204
    assert stack.sql("SELECT count(*) FROM job_outbox") == [(1,)]
    files = sorted(stack.media.rglob("*.*"))
    stack.start_worker()
    no_job_is_left(stack)
    assert sorted(stack.media.rglob("*.*")) == files


def test_the_variants_of_a_deleted_picture_go_with_it(stack, shop, ann):
    id = upload(shop, ann, picture("png 300x200"))
    before = len(list(stack.media.rglob("*.*")))
    finished(stack, ann, id)
    assert len(list(stack.media.rglob("*.*"))) == before + 8
    assert stack.http("DELETE", f"{IMAGES}{id}/", token=ann.access).status == 204
    assert len(list(stack.media.rglob("*.*"))) == before - 1


def test_the_variants_of_a_replaced_picture_go_too(stack, shop, ann, tmp_path):
    id = upload(shop, ann, picture("png 300x200"))
    finished(stack, ann, id)
    before = len(list(stack.media.rglob("*.*")))
    answer = shop.upload(ann, None, picture("jpeg 400x300"), method="PATCH", path=f"{IMAGES}{id}/")
    assert answer.json["status"] == "pending"
    check_variants(stack, finished(stack, ann, id), 400, 300, tmp_path)
    assert len(list(stack.media.rglob("*.*"))) == before
