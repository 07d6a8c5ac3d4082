"""The main job, as `./dev up` shows it to a new user."""

import re
import subprocess
import sys

from apium import PATIENCE, TOP


def main_job(stack, *words):
    return subprocess.run([sys.executable, str(TOP / "tools/main_job.py"), "--base", f"http://127.0.0.1:{stack.port}",
                           "--mail", str(stack.mail), *words], capture_output=True, text=True, timeout=90 * PATIENCE)


def test_the_main_job_is_done(stack):
    done = main_job(stack)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"^ ok ", done.stdout, re.M)) == 9, done.stdout
    for name, width in (("thumb", 150), ("small", 300), ("medium", 600), ("large", 1200)):
        for variant, ending in ((name, "jpg"), (name + "_webp", "webp")):
            assert re.search(rf"^ +{variant} +{width} x {width * 2 // 3} .*http://\S+\.{ending}$", done.stdout, re.M), done.stdout
    assert "8 variants" in done.stdout
    stack.wait_for("every job to have ended", lambda: stack.sql("SELECT count(*) FROM job_outbox") == [(0,)])


def test_a_photograph_that_is_none_is_told(stack, tmp_path):
    photo = tmp_path / "photo.jpg"
    photo.write_text("no picture")
    done = main_job(stack, "--photo", str(photo))
    assert done.returncode == 1
    assert "cannot identify image file" in done.stderr and "upload it" in done.stdout
