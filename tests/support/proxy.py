"""A proxy before a Redis, which loses what one side says when it is told to."""

import contextlib
import socket
import threading


class Proxy:
    def __init__(self, port):
        self.target = port
        self.loses_requests = self.loses_replies = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.listener.getsockname()[1]}/0"

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                self.sockets += [client, server]
                threading.Thread(target=self._pump, args=(client, server, "loses_requests"), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client, "loses_replies"), daemon=True).start()

    def _pump(self, source, sink, loses):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not getattr(self, loses):
                    sink.sendall(data)
        self._end([source, sink])

    @staticmethod
    def _end(sockets):
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def cut(self):
        """Ends all connections; new ones lose nothing."""
        self._end(self.sockets)
        self.loses_requests = self.loses_replies = False

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()
        for each in self.sockets:
            each.close()
