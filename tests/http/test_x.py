import ssl, signal, time, pytest, subprocess, socket
from doors import Doors
from test_door import make_certificate
@pytest.fixture(scope="module")
def doors(stack):
    with Doors(stack) as doors: yield doors
def test_b(doors,tmp_path):
    files = make_certificate(tmp_path)
    door = doors.open(tls=files, APIUM_THREADS="1", APIUM_LOG_LEVEL="debug", APIUM_HEADER_TIMEOUT="2")
    ssl.get_server_certificate(("127.0.0.1", door.port))
    try: door.program.stop(3)
    except Exception as e: print("HANG")
    print(door.program.log[-1500:])
