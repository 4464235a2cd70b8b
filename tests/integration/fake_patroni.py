"""Something that stands where Patroni's REST API should: it says what a test wants, well or badly, and counts who asks."""

import json
import socketserver
import threading


class FakePatroni:
    """Listens on 127.0.0.1:port. `say` is what every question gets: bytes, or a function that is given the socket."""

    def __init__(self, say=b""):
        self.say, self.asked = say, 0
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    question = b""
                    while b"\r\n\r\n" not in question:
                        if not (more := self.request.recv(65536)):
                            return
                        question += more
                    outer.asked += 1
                    if callable(outer.say):
                        outer.say(self.request)
                    else:
                        self.request.sendall(outer.say)
                except OSError:
                    pass  # the other side has had enough

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads, block_on_close = True, True, False

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def name(self, leader, pause=False):
        """From now on the leader is this server (None: nobody), under its own name."""
        members = [] if leader is None else [{"name": leader.name, "role": "leader", "host": leader.host, "port": leader.port}]
        answer = {"members": members}
        if pause:
            answer["pause"] = True
        self.say = http(json.dumps(answer).encode())

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def http(body, status=b"200 OK"):
    return b"HTTP/1.0 " + status + b"\r\nContent-Type: application/json\r\n\r\n" + body
