"""Sends messages between a scan and a worker process: pickled objects over a pair of sockets.

The scan's end never blocks: it sends as many bytes as the socket takes and keeps the rest, and reads what has arrived.
If both ends blocked, they would hang as soon as each sends more than a socket buffers.
"""

from __future__ import annotations

import pickle
import socket
import struct
from collections import deque
from typing import Any

# Goes before a message: how many bytes it has.
_HEADER = struct.Struct("!Q")


def send(end: socket.socket, message: object) -> None:
    """Send a message, and wait until the other end has taken it.

    Raises:
        OSError: the other end is closed.
    """
    end.sendall(_frame(message))


def receive(end: socket.socket) -> Any:
    """Wait for the next message, and return it.

    Raises:
        EOFError, OSError: the other end is closed.
    """
    (size,) = _HEADER.unpack(_receive_exactly(end, _HEADER.size))
    return pickle.loads(_receive_exactly(end, size))  # noqa: S301 - the scan's own


class Channel:
    """Owns the end of a socket pair that must not block.

    Args:
        end: of the pair; `close` closes it.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._unsent: deque[memoryview] = deque()
        self._reads_header = True
        self._buffer = bytearray(_HEADER.size)  # of the header or the body that is being received
        self._missing = memoryview(self._buffer)
        end.setblocking(False)

    def fileno(self) -> int:
        """Return the socket's number, for a selector."""
        return self._end.fileno()

    @property
    def has_unsent(self) -> bool:
        """Say whether `flush` still has a part of a message to send, when the socket takes more."""
        return bool(self._unsent)

    def send(self, message: object) -> None:
        """Send as much of a message as the socket takes, and keep the rest."""
        self._unsent.append(memoryview(_frame(message)))
        self.flush()

    def flush(self) -> None:
        """Send as many unsent bytes as the socket takes. If the other end is closed, `receive` raises, not this."""
        try:
            while self._unsent:
                sent = self._end.send(self._unsent[0])
                rest = self._unsent.popleft()[sent:]
                if rest:
                    self._unsent.appendleft(rest)
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()

    def receive(self) -> list[Any]:
        """Return the messages that are complete by now.

        Raises:
            EOFError: the other end is closed, and everything was received.
        """
        messages: list[Any] = []
        try:
            while count := self._end.recv_into(self._missing):
                self._missing = self._missing[count:]
                if self._missing:
                    continue
                size = _HEADER.size
                if self._reads_header:
                    (size,) = _HEADER.unpack(self._buffer)
                else:
                    messages.append(pickle.loads(self._buffer))  # noqa: S301 - from our own processes
                self._reads_header = not self._reads_header
                self._buffer = bytearray(size)
                self._missing = memoryview(self._buffer)
        except BlockingIOError:
            return messages
        except OSError:  # a reset: the other end closed before it had read everything
            pass
        if not messages:
            raise EOFError
        return messages

    def close(self) -> None:
        """Close the socket."""
        self._end.close()


def _frame(message: object) -> bytes:
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _HEADER.pack(len(body)) + body


def _receive_exactly(end: socket.socket, size: int) -> bytearray:
    """Wait for so many bytes.

    Raises:
        EOFError: the other end was closed before.
    """
    received = bytearray(size)
    missing = memoryview(received)
    while missing:
        count = end.recv_into(missing)
        if not count:
            raise EOFError
        missing = missing[count:]
    return received
