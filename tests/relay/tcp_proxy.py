"""A TCP proxy with faults: what a network or a frozen server does, without touching either."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time
from typing import Self


class TcpProxy:
    """Forwards to `target`, in a thread, until told otherwise.

    `freeze` and `cut` take effect after so many more bytes from the clients. A frozen proxy
    still passes on what the server says about the bytes before, unless it froze at once.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.accepted = 0
        self._lock = threading.RLock()
        self._peers: dict[socket.socket, socket.socket] = {}  # both ways
        self._clients: set[socket.socket] = set()
        self._frozen = self._deaf = self._stopping = False
        self._allowance: int | None = None
        self._then_cut = False
        self._answer: tuple[bytes, bytes] | None = None
        self.kept = b""
        self._hold_at: bytes | None = None
        self.holding = False
        self._selector = selectors.DefaultSelector()
        self._listener: socket.socket | None = None
        self.port = 0
        self.listen()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self._thread.join(5)
        self.refuse()
        self._selector.close()

    def listen(self) -> None:
        """Accept connections (again), on the same port."""
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        with self._lock:
            self._listener = listener
            self._selector.register(listener, selectors.EVENT_READ)

    def refuse(self) -> None:
        """Refuse connections, as when no server runs; the open ones are cut."""
        with self._lock:
            if self._listener is not None:
                self._selector.unregister(self._listener)
                self._listener.close()
                self._listener = None
            self._cut()

    def freeze(self, after: int = 0) -> None:
        with self._lock:
            self._allowance, self._then_cut = after, False
            self._frozen = self._deaf = after == 0

    def cut(self, after: int = 0) -> None:
        with self._lock:
            if after:
                self._allowance, self._then_cut = after, True
            else:
                self._cut()

    def thaw(self) -> None:
        """Forward to new connections again; the ones that were frozen are cut."""
        with self._lock:
            self._allowance, self._frozen, self._deaf = None, False, False
            self._cut()

    def answer(self, pattern: bytes, reply: bytes) -> None:
        """When a client sends the pattern, reply in the server's name, keep it, and freeze."""
        with self._lock:
            self._answer = (pattern, reply)

    def hold(self, pattern: bytes) -> None:
        """When a client has sent the pattern, pass nothing back to it until `let_go`."""
        with self._lock:
            self._hold_at = pattern

    def let_go(self) -> None:
        with self._lock:
            self._hold_at, self.holding = None, False

    def _cut(self) -> None:
        for end in list(self._peers):
            self._selector.unregister(end)
            with contextlib.suppress(OSError):  # a reset, as from a host that has died
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()
        self._peers.clear()
        self._clients.clear()

    def _run(self) -> None:
        while not self._stopping:
            ready = self._selector.select(0.02)
            with self._lock:
                for key, _ in ready:
                    end = key.fileobj
                    if end is self._listener:
                        self._accept()
                    elif isinstance(end, socket.socket) and end in self._peers:
                        self._pass_on(end)
            if self._frozen or self.holding:
                time.sleep(0.005)  # what is not read stays readable

    def _accept(self) -> None:
        assert self._listener is not None
        client, _ = self._listener.accept()
        self.accepted += 1
        server = socket.create_connection(self.target, timeout=5)
        self._clients.add(client)
        for end, peer in ((client, server), (server, client)):
            self._peers[end] = peer
            self._selector.register(end, selectors.EVENT_READ)

    def _pass_on(self, end: socket.socket) -> None:
        from_client = end in self._clients
        if (self._frozen and from_client) or self._deaf or (self.holding and not from_client):
            return
        try:
            data = end.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._hang_up(end)
            return
        if from_client and self._allowance is not None:
            data, reached = data[: self._allowance], len(data) >= self._allowance
            self._allowance -= len(data)
            self._frozen = reached
        if from_client and self._answer is not None and self._answer[0] in data:
            self.kept, self._frozen, self._deaf = data, True, True
            end.sendall(self._answer[1])
            return
        if from_client and self._hold_at is not None and self._hold_at in data:
            self.holding = True
        self._peers[end].sendall(data)
        if self._frozen and self._then_cut:
            self._cut()
            self._frozen, self._allowance = False, None

    def _hang_up(self, end: socket.socket) -> None:
        for each in (end, self._peers.pop(end)):
            self._peers.pop(each, None)
            self._clients.discard(each)
            self._selector.unregister(each)
            each.close()
