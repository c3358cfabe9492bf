"""Messages between a scan and its processes: whole, in order, of any size, and never waited for."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.system.channel import Channel, receive, send

Ends = tuple[Channel, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """The scan's end, and the process'."""
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    with theirs:
        yield channel, theirs
    channel.close()


def collect(channel: Channel, count: int) -> list[object]:
    """Read until there are so many messages, or the other end is closed."""
    messages: list[object] = []
    while len(messages) < count:
        messages += channel.receive()
    return messages


sizes = st.lists(st.integers(0, 300_000), max_size=8)


@given(sizes, sizes)
def test_messages_arrive_whole_and_in_order_while_both_ends_send(there, back):
    """Each end sends all that it has before it reads, as two that are blocked in write would."""
    ours, theirs = socket.socketpair()
    received: list[bytes] = []

    def answer() -> None:
        for size in back:
            send(theirs, os.urandom(size) + b"%d" % size)
        received.extend(receive(theirs) for _ in there)

    channel = Channel(ours)
    messages = [os.urandom(size) for size in there]
    for message in messages:
        channel.send(message)
    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    answers: list[bytes] = []
    while len(answers) < len(back) or channel.has_unsent:
        channel.flush()
        answers += channel.receive()
    thread.join()
    assert received == messages
    assert [len(answer) for answer in answers] == [size + len(str(size)) for size in back]
    channel.close()
    theirs.close()


def test_sending_does_not_wait_for_a_reader(ends):
    channel, theirs = ends
    channel.send(bytes(10_000_000))
    channel.send("the next one")
    assert channel.has_unsent
    assert channel.receive() == []
    thread = threading.Thread(target=lambda: [receive(theirs), send(theirs, receive(theirs))], daemon=True)
    thread.start()
    while channel.has_unsent:
        channel.flush()
    assert collect(channel, 1) == ["the next one"]


def test_what_was_sent_before_the_end_is_received(ends):
    channel, theirs = ends
    send(theirs, "last words")
    theirs.close()
    assert collect(channel, 1) == ["last words"]
    with pytest.raises(EOFError):
        channel.receive()


def test_a_message_that_is_cut_short_is_an_end(ends):
    channel, theirs = ends
    theirs.sendall(bytes(7) + b"\x64" + bytes(10))
    theirs.close()
    with pytest.raises(EOFError):
        channel.receive()


def test_sending_to_nobody_is_found_out_when_reading(ends):
    channel, theirs = ends
    theirs.close()
    channel.send(bytes(1_000_000))
    assert not channel.has_unsent
    with pytest.raises(EOFError):
        channel.receive()


def test_a_process_whose_scan_has_ended_is_told(ends):
    channel, theirs = ends
    channel.close()
    with pytest.raises(EOFError):
        receive(theirs)
