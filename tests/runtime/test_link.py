from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import HANG_S, until

from egw.runtime.link import MAX_FRAME_BYTES, Frame, Kind, Link, decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL = encode(Frame(Kind.TELL, 0, "to", "origin", b"payload"))


class End:
    """A link and what came over it."""

    def __init__(self, sock: socket.socket) -> None:
        self.frames: list[Frame] = []
        self.closed = threading.Event()
        self.link = Link(
            sock,
            name="peer",
            on_frame=lambda frame, _data: self.frames.append(frame),
            on_closed=self.closed.set,
        )
        self.link.start()

    def close(self) -> None:
        self.link.close()
        assert self.closed.wait(HANG_S)


@pytest.fixture
def ends() -> Iterator[tuple[End, End]]:
    ours, theirs = socket.socketpair()
    one, other = End(ours), End(theirs)
    yield one, other
    one.close()
    other.close()


@pytest.fixture
def end_and_raw() -> Iterator[tuple[End, socket.socket]]:
    ours, raw = socket.socketpair()
    end = End(ours)
    yield end, raw
    end.close()
    raw.close()


@given(
    st.sampled_from(Kind),
    st.integers(0, 2**64 - 1),
    st.text(max_size=60),
    st.text(max_size=60),
    st.binary(max_size=300),
)
def test_decode_gives_back_what_encode_took(
    kind: Kind, serial: int, to: str, origin: str, payload: bytes
) -> None:
    frame = Frame(kind, serial, to, origin, payload)

    assert decode(encode(frame)) == frame


def test_frames_arrive_in_order(ends: tuple[End, End]) -> None:
    one, other = ends

    for serial in range(1000):
        one.link.send(encode(Frame(Kind.TELL, serial, "to", "origin", b"x")))

    until(lambda: len(other.frames) == 1000)
    assert [frame.serial for frame in other.frames] == list(range(1000))


def test_a_frame_that_comes_byte_by_byte_arrives_whole(
    end_and_raw: tuple[End, socket.socket],
) -> None:
    end, raw = end_and_raw

    for index in range(len(SMALL)):
        raw.sendall(SMALL[index : index + 1])

    until(lambda: end.frames)
    assert end.frames == [decode(SMALL)]


def test_two_peers_that_flood_each_other_do_not_stand_still(
    ends: tuple[End, End],
) -> None:
    frame = encode(Frame(Kind.TELL, 0, "to", "origin", bytes(64_000)))
    accepted = {0: 0, 1: 0}

    def flood(index: int) -> None:
        for _ in range(400):
            accepted[index] += ends[index].link.send(frame)

    floods = [threading.Thread(target=flood, args=(i,), daemon=True) for i in (0, 1)]
    for thread in floods:
        thread.start()

    for thread in floods:
        thread.join(HANG_S)
    until(lambda: len(ends[1].frames) == accepted[0])
    until(lambda: len(ends[0].frames) == accepted[1])
    assert accepted == {0: 400, 1: 400}


def test_frames_of_several_senders_are_not_mixed(ends: tuple[End, End]) -> None:
    one, other = ends

    def send(sender: int) -> None:
        payload = bytes([sender]) * 20_000
        for _ in range(50):
            one.link.send(encode(Frame(Kind.TELL, sender, "to", "origin", payload)))

    senders = [threading.Thread(target=send, args=(i,), daemon=True) for i in range(4)]
    for thread in senders:
        thread.start()
    for thread in senders:
        thread.join(HANG_S)

    until(lambda: len(other.frames) == 200)
    assert all(f.payload == bytes([f.serial]) * 20_000 for f in other.frames)


def test_a_peer_that_does_not_read_makes_nobody_wait_and_fills_a_bounded_backlog(
    end_and_raw: tuple[End, socket.socket],
) -> None:
    end, _ = end_and_raw
    frame = encode(Frame(Kind.TELL, 0, "to", "origin", bytes(1_000_000)))

    accepted = sum(end.link.send(frame) for _ in range(200))

    assert 30 <= accepted <= 70


def test_what_was_kept_for_a_slow_peer_arrives_when_it_reads(
    end_and_raw: tuple[End, socket.socket],
) -> None:
    end, raw = end_and_raw
    frame = encode(Frame(Kind.TELL, 0, "to", "origin", bytes(100_000)))
    for _ in range(20):
        assert end.link.send(frame)

    raw.settimeout(HANG_S)
    got = 0
    while got < 20 * len(frame):
        got += len(raw.recv(1_000_000))

    assert got == 20 * len(frame)
    assert end.link.flush(HANG_S)


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"\xff" * 40, id="a length beyond the limit"),
        pytest.param(bytes(40), id="a length of nothing"),
        pytest.param((MAX_FRAME_BYTES - 3).to_bytes(4, "big") * 10, id="one too many"),
        pytest.param(SMALL.replace(b"to", b"\xff\xff"), id="a name that is not a text"),
    ],
)
def test_garbage_closes_the_link(
    end_and_raw: tuple[End, socket.socket], garbage: bytes
) -> None:
    end, raw = end_and_raw

    raw.sendall(garbage)

    assert end.closed.wait(HANG_S)
    assert not end.link.send(SMALL)


def test_frames_before_the_garbage_are_taken(
    end_and_raw: tuple[End, socket.socket],
) -> None:
    end, raw = end_and_raw

    raw.sendall(SMALL + b"\xff" * 40)

    assert end.closed.wait(HANG_S)
    assert end.frames == [decode(SMALL)]


def test_the_end_of_the_peer_closes_the_link(
    end_and_raw: tuple[End, socket.socket],
) -> None:
    end, raw = end_and_raw

    raw.close()

    assert end.closed.wait(HANG_S)


def test_a_peer_that_ended_before_the_start_closes_the_link() -> None:
    for _ in range(200):
        ours, raw = socket.socketpair()
        raw.close()

        end = End(ours)

        assert end.closed.wait(HANG_S)


def test_closing_wakes_the_reader_and_the_writer(ends: tuple[End, End]) -> None:
    one, other = ends

    one.link.close()

    assert one.closed.wait(HANG_S)
    assert other.closed.wait(HANG_S)
    assert not one.link.send(SMALL)


def test_closing_does_not_wait_for_a_peer_that_does_not_read(
    end_and_raw: tuple[End, socket.socket],
) -> None:
    end, _ = end_and_raw
    for _ in range(20):
        end.link.send(encode(Frame(Kind.TELL, 0, "to", "origin", bytes(1_000_000))))

    end.link.close()

    assert end.closed.wait(HANG_S)
