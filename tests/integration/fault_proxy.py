"""A TCP proxy of the tests' own that stands before a server and can fail in the ways that networks do."""

import re
import selectors
import socket
import struct
import threading

LOGIN = re.compile(rb"\0user\0([^\0]+)\0")  # in a StartupMessage, behind the protocol's number


class FaultProxy:
    """Forwards 127.0.0.1:port to the target. refuse(), pause(), cut() and their opposites may be called at any time."""

    def __init__(self, target_port):
        self.target_port = target_port
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._selector.register(self._wake_reader, selectors.EVENT_READ, None)
        self._listener = None
        self._peers, self._users = {}, {}
        self._paused = False
        self._servers, self._ends_with_answer = set(), False
        self._trap, self._held = None, []
        self._delay, self._clock = 0, threading.Event()
        self._commands, self._lock = [], threading.Lock()
        self.port = None
        self._listen(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def refuse(self):
        """New connections are refused and open ones reset: the server is down."""
        self._call(self._close_listener)
        self.cut()

    def accept(self):
        """The server is back."""
        self._call(lambda: self._listen(self.port))

    def pause(self):
        """Nothing passes, nothing is closed: a network that drops packets."""
        self._call(lambda: self._set_paused(True))

    def resume(self):
        self._call(lambda: self._set_paused(False))

    def delay(self, seconds):
        """Answers take so much longer: a slow network. All connections of this proxy share it."""
        self._call(lambda: setattr(self, "_delay", seconds))

    def cut(self):
        """Resets every open connection."""
        self._call(self._cut)

    def end_with_next_answer(self):
        """The next bytes from a server and the end of its connection leave in one packet."""
        self._call(lambda: setattr(self, "_ends_with_answer", True))

    def trap(self, words, action, answered=False, user=None):
        """Calls `action` once, on the proxy's thread, when a client's bytes contain `words`: before they are passed on, or
        (`answered`) when the server's answer to them is there and before that is passed on. The bytes are lost then. `user`: only
        on connections that have logged in as that one."""
        self._call(lambda: setattr(self, "_trap", [words, action, answered, None, user, False]))

    def hold(self, words, answered=False, user=None):
        """Like trap(), but the bytes are kept until release(); gives an event that is set when there are some. All else passes."""
        there = threading.Event()
        self._call(lambda: setattr(self, "_trap", [words, there.set, answered, None, user, True]))
        return there

    def release(self):
        """What hold() has kept goes on, where both ends are still there."""
        self._call(self._pass_on)

    def connections(self):
        return self._call(lambda: len(self._peers) // 2)

    def close(self):
        self._call(self._close_listener)
        self.cut()
        self._call(None)
        self._thread.join(5)

    # All below runs on the proxy's own thread.

    def _call(self, command):
        done = threading.Event()
        answer = []
        with self._lock:
            self._commands.append((command, done, answer))
        self._wake_writer.send(b"x")
        assert done.wait(10)
        return answer[0] if answer else None

    def _listen(self, port):
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
            self.port = self._listener.getsockname()[1]
            self._selector.register(self._listener, selectors.EVENT_READ, None)

    def _close_listener(self):
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def _set_paused(self, paused):
        self._paused = paused
        for peer in self._peers:
            if paused:
                self._selector.unregister(peer)
            else:
                self._selector.register(peer, selectors.EVENT_READ, None)

    def _cut(self):
        for peer in list(self._peers):
            self._drop(peer, reset=True)

    def _drop(self, peer, reset=False):
        if peer not in self._peers:
            return
        for s in (peer, self._peers[peer]):
            del self._peers[s]
            self._servers.discard(s)
            self._users.pop(s, None)
            try:
                self._selector.unregister(s)
            except KeyError:
                pass
            if reset:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()

    def _run(self):
        while True:
            for key, _ in self._selector.select():
                source = key.fileobj
                if source is self._wake_reader:
                    self._wake_reader.recv(4096)
                elif source is self._listener:
                    self._accept()
                elif source in self._peers:
                    self._forward(source)
            with self._lock:
                commands, self._commands = self._commands, []
            for command, done, answer in commands:
                if command is not None:
                    answer.append(command())
                done.set()
                if command is None:
                    return

    def _note_user(self, source, data):
        if source not in self._servers and source not in self._users and (login := LOGIN.search(data)):
            self._users[source] = login[1].decode()

    def _sprung(self, source, data):
        if self._trap is None:
            return False
        words, action, answered, waiting_for, user, keep = self._trap
        if source not in self._servers and words in data and user in (None, self._users.get(source)):
            if answered:
                self._trap[3] = self._peers[source]
                return False
        elif source is not waiting_for or waiting_for is None:
            return False
        self._trap = None
        if keep:
            self._held.append((self._peers[source], data))
        action()
        return True

    def _pass_on(self):
        held, self._held = self._held, []
        for peer, data in held:
            if peer in self._peers:
                try:
                    peer.sendall(data)
                except OSError:
                    self._drop(peer)

    def _accept(self):
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self.target_port), 5)
        except OSError:
            client.close()
            return
        self._servers.add(server)
        for a, b in ((client, server), (server, client)):
            self._peers[a] = b
            if not self._paused:
                self._selector.register(a, selectors.EVENT_READ, None)

    def _forward(self, source):
        try:
            data = source.recv(65536)
            self._note_user(source, data)
            if data and self._sprung(source, data):
                return
            if data and source in self._servers and self._delay:
                self._clock.wait(self._delay)
            if data and source in self._servers and self._ends_with_answer:
                self._ends_with_answer = False
                self._peers[source].setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
                self._peers[source].sendall(data)
                return self._drop(source)
            if data:
                self._peers[source].sendall(data)
                return
        except OSError:
            pass
        self._drop(source)
