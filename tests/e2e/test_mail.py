"""One mail through a real SMTP server: how it arrives, a recipient that is refused, a server that is away."""

import email
import email.policy
import json
import subprocess
import sys

import pytest

from apium import TOP, Stack, free_port


class Server:
    """tests/support/smtp_sink.py as a process."""

    def __init__(self, folder):
        self.folder, self.port, self.process = folder, free_port(), None

    def start(self):
        self.process = subprocess.Popen([sys.executable, str(TOP / "tests/support/smtp_sink.py"), str(self.port),
                                         str(self.folder)])

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
        self.process = None

    def mails(self):
        return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
                for path in sorted(self.folder.glob("*.eml"), key=lambda path: int(path.stem))]

    def to(self, address):
        return [mail for mail in self.mails() if address in mail["To"]]

    def asked_for(self, address):
        recipients = self.folder / "recipients"
        return recipients.read_text().splitlines().count(address) if recipients.exists() else 0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("smtp"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def stack(server):
    with Stack(APIUM_MAIL_URL=f"smtp://127.0.0.1:{server.port}", APIUM_MAIL_FROM="shop@example.com") as stack:
        stack.start_gateway()
        stack.start_worker()
        yield stack


def send(stack, to, status=0, **more):
    arguments = {"subject": "Grüße", "message": "Hallo Welt\n", "recipient_list": [to], **more}
    said = stack.apium("enqueue", "email.send", "--kwargs", json.dumps(arguments), "--wait", status=status)
    return said


def test_a_mail_with_two_bodies_arrives(stack, server):
    send(stack, "ann@example.com", html_message="<p>Hallo <b>Welt</b> €</p>")
    mail, = server.to("ann@example.com")
    assert (mail["Subject"], mail["From"], mail["To"]) == ("Grüße", "shop@example.com", "ann@example.com")
    assert mail["Message-ID"] and mail["Date"]
    assert mail.get_content_type() == "multipart/alternative"
    text, html = mail.iter_parts()
    assert (text.get_content_type(), text.get_content().strip()) == ("text/plain", "Hallo Welt")
    assert (html.get_content_type(), html.get_content().strip()) == ("text/html", "<p>Hallo <b>Welt</b> €</p>")


def test_lines_with_dots_and_long_lines_arrive_as_they_were(stack, server):
    message = ".\n..a dot\n" + "x" * 2000 + "\nFrom here\n"
    send(stack, "dot@example.com", message=message)
    mail, = server.to("dot@example.com")
    assert mail.get_body(("plain",)).get_content().rstrip().splitlines() == message.splitlines()


def test_a_subject_makes_no_headers(stack, server):
    send(stack, "eve@example.com", subject="Hi\r\nBcc: all@example.com", status=1)
    assert server.to("eve@example.com") == [] and server.asked_for("all@example.com") == 0


def test_the_mail_of_a_registration_verifies(stack, server):
    address = "reg@example.com"
    answer = stack.http("POST", "/api/v1/users/", {"email": address, "password": "Quiet-Harbour-77",
                                                   "password_confirm": "Quiet-Harbour-77", "name": "Ann Tester"})
    assert answer.status == 201
    mail, = stack.wait_for("the mail", lambda: server.to(address))
    assert mail["Subject"] == "Verify your email address"
    text = mail.get_body(("plain",)).get_content()
    assert "Ann Tester" in text
    token = text.split("your verification token is ")[1].split()[0]
    assert stack.http("POST", "/api/v1/auth/verify-email/", {"token": token}).status == 200


def test_a_refused_recipient_is_not_tried_again(stack, server):
    address = "refused@example.com"
    said = send(stack, address, status=1)
    assert server.asked_for(address) == 1
    assert stack.redis.zcard("apium:{default}:schedule") == 0, said
    assert address not in stack.apium("dead", "list")
    stack.wait_for("the job to have ended", lambda: stack.sql("SELECT count(*) FROM job_outbox") == [(0,)])
    assert server.asked_for(address) == 1


def test_a_server_that_is_away_is_asked_again(stack, server):
    server.stop()
    address = "late@example.com"
    arguments = {"subject": "Late", "message": "x", "recipient_list": [address]}
    stack.apium("enqueue", "email.send", "--kwargs", json.dumps(arguments))
    worker = stack.programs[-1]
    stack.wait_for("the first attempt to fail", lambda: "mail server" in worker.log or "retry" in worker.log)
    assert server.to(address) == []
    server.start()
    mail, = stack.wait_for("the mail", lambda: server.to(address), 30)
    assert mail["Subject"] == "Late"
    stack.wait_for("the job to have ended", lambda: stack.sql("SELECT count(*) FROM job_outbox") == [(0,)])
    assert len(server.to(address)) == 1
