"""A wire to a server that breaks in the middle of what it carries, a few times."""

import select
import socket
import socketserver
import struct
import threading

BLOCK = 4096
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for 0 s: close as a broken connection closes


class FrayingWire(socketserver.ThreadingTCPServer):
    """Forwards connections to `port` here, and breaks one each time its traffic has doubled."""

    daemon_threads = True

    def __init__(self, port: int, first_break: int = 50_000):
        """The first break comes after `first_break` bytes in both directions."""
        super().__init__(("127.0.0.1", 0), _Connection)
        self.target = ("127.0.0.1", port)
        self.port = self.server_address[1]
        self.breaks = 0
        self._bytes, self._next_break = 0, first_break
        self._lock = threading.Lock()

    def is_to_break(self, count: int) -> bool:
        """Count bytes that are about to be carried; whether the wire breaks under them."""
        with self._lock:
            self._bytes += count
            if self._bytes < self._next_break:
                return False
            self._next_break *= 2
            self.breaks += 1
            return True


class _Connection(socketserver.BaseRequestHandler):
    server: FrayingWire

    def handle(self) -> None:
        # One thread holds both ends, so that closing them is at once what their peers see.
        with socket.create_connection(self.server.target) as ahead:
            ends = {self.request: ahead, ahead: self.request}
            while True:
                for source in select.select(list(ends), [], [])[0]:
                    try:
                        block = source.recv(BLOCK)
                        if not block:
                            return
                        if self.server.is_to_break(len(block)):
                            ends[source].sendall(block[: len(block) // 2])
                            return self._reset(*ends)
                        ends[source].sendall(block)
                    except OSError:
                        return self._reset(*ends)

    def _reset(self, *ends: socket.socket) -> None:
        # A reset, and no orderly end: Python's http.client takes an end within the header of an
        # answer for the header's end.
        for end in ends:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            end.close()
