"""A wire that can be cut: it passes connections on, refuses them, or lets them hang."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from enum import Enum
from typing import Self

CHUNK = 65_536


class Wire(Enum):
    """What happens to whoever connects."""

    WHOLE = "passed on"
    CUT = "refused"
    SILENT = "taken and never answered"


class Gate:
    """Listens on loopback and stands before ``port``. Not for speed: a thread or two per connection."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self._wire = Wire.WHOLE
        self._links: set[socket.socket] = set()
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._is_open = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_open = False
        self._drop_all()
        self._listener.close()

    def set(self, wire: Wire) -> None:
        """Change what the wire does; what was connected is torn off."""
        if (wire is Wire.CUT) != (self._wire is Wire.CUT):
            if wire is Wire.CUT:
                self._listener.close()
            else:
                self._listener = self._listen(self.port)
        self._wire = wire
        self._drop_all()

    def _listen(self, port: int) -> socket.socket:
        return socket.create_server(("127.0.0.1", port), backlog=128)

    def _accept(self) -> None:
        while self._is_open:
            try:
                self._listener.settimeout(0.2)
                link, _address = self._listener.accept()
            except OSError:  # nobody came, or the wire is cut
                time.sleep(0.01)
                continue
            link.settimeout(None)
            self._links.add(link)
            if self._wire is Wire.WHOLE:
                threading.Thread(target=self._pass_on, args=(link,), daemon=True).start()

    def _pass_on(self, link: socket.socket) -> None:
        try:
            behind = socket.create_connection(("127.0.0.1", self._behind), timeout=5)
        except OSError:
            self._drop(link)
            return
        behind.settimeout(None)
        self._links.add(behind)
        threading.Thread(target=self._copy, args=(behind, link), daemon=True).start()
        self._copy(link, behind)

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(CHUNK):
                target.sendall(data)
        except OSError:
            pass
        self._drop(source)
        self._drop(target)

    def _drop_all(self) -> None:
        for link in self._links.copy():
            self._drop(link)

    def _drop(self, link: socket.socket) -> None:
        self._links.discard(link)
        with contextlib.suppress(OSError):
            link.shutdown(socket.SHUT_RDWR)
        link.close()
