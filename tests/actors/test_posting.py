from __future__ import annotations

import socket
import struct
import threading
import zlib
from typing import TYPE_CHECKING

import pytest
from http_script import HttpScript, raw, reply
from waiting_for import until

from egw.actors.posting import Poster, PostError, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from http_script import Answer

PATIENT_S = 10.0
SHORT_S = 0.2
HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def poster() -> Iterator[Poster]:
    poster = Poster(timeout_s=PATIENT_S, connections=2)
    yield poster
    poster.close()


@pytest.fixture
def hasty() -> Iterator[Poster]:
    poster = Poster(timeout_s=SHORT_S, connections=2)
    yield poster
    poster.close()


def post(poster: Poster, endpoint: HttpScript, body: bytes = b"packet") -> Reply:
    return poster.post(endpoint.url, body, content_type="text/plain")


def silence(endpoint: HttpScript) -> Answer:
    def answer(_connection: socket.socket) -> bool:
        endpoint.closing.wait()
        return False

    return answer


def reset(connection: socket.socket) -> bool:
    linger = struct.pack("ii", 1, 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.shutdown(socket.SHUT_RD)
    return False


def dripping(endpoint: HttpScript, start: bytes, drop: bytes) -> Answer:
    """Send one drop after the other, each well within the time for one."""

    def answer(connection: socket.socket) -> bool:
        connection.sendall(start)
        while not endpoint.closing.wait(SHORT_S / 10):
            connection.sendall(drop)
        return False

    return answer


def endless(connection: socket.socket) -> bool:
    connection.sendall(HEAD + b"\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def test_the_body_arrives_as_it_is_and_the_reply_comes_back(
    poster: Poster, endpoint: HttpScript
) -> None:
    endpoint.answer_with(reply(400, b"no such device"))

    answer = post(poster, endpoint, b"\x00a.b.c\xff")

    assert answer == Reply(400, b"no such device", None)
    (request,) = endpoint.received
    assert request.body == b"\x00a.b.c\xff"
    assert request.head.startswith("POST /gw/data/ HTTP/1.1\r\n")
    assert "Content-Type: text/plain\r\n" in request.head


def test_one_connection_serves_one_request_after_the_other(
    poster: Poster, endpoint: HttpScript
) -> None:
    for _ in range(5):
        post(poster, endpoint)

    assert len(endpoint.received) == 5
    assert endpoint.connections == 1


def test_a_kept_connection_that_the_server_has_closed_is_replaced(
    poster: Poster, endpoint: HttpScript
) -> None:
    endpoint.answer_with(raw(HEAD + b"Content-Length: 2\r\n\r\nOK"), reply())
    post(poster, endpoint)
    until(lambda: endpoint.closed == 1)

    answer = post(poster, endpoint)

    assert answer.status == 200
    assert endpoint.connections == 2


def test_nobody_listening_is_a_post_error(poster: Poster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    with pytest.raises(PostError, match="refused"):
        poster.post(f"http://127.0.0.1:{port}/", b"", content_type="text/plain")


def test_silence_ends_at_the_timeout(hasty: Poster, endpoint: HttpScript) -> None:
    endpoint.answer_with(silence(endpoint))

    with pytest.raises(PostError, match="timed out"):
        post(hasty, endpoint)


DRIPS: list[Callable[[HttpScript], Answer]] = [
    lambda e: dripping(e, b"HTTP/1.1 2", b"0"),
    lambda e: dripping(e, HEAD, b"X-Padding: 1\r\n"),
    lambda e: dripping(e, HEAD + b"Content-Length: 60000\r\n\r\n", b"x"),
    lambda e: dripping(e, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    lambda e: dripping(e, HEAD + b"\r\n", b"x"),
]


@pytest.mark.parametrize("drip", DRIPS)
def test_a_reply_that_drips_in_ends_at_the_timeout_for_the_whole(
    drip: Callable[[HttpScript], Answer], hasty: Poster, endpoint: HttpScript
) -> None:
    endpoint.answer_with(drip(endpoint))

    with pytest.raises(PostError, match="time"):
        post(hasty, endpoint)


def test_a_connection_reset_is_a_post_error(
    poster: Poster, endpoint: HttpScript
) -> None:
    endpoint.answer_with(reset)

    with pytest.raises(PostError, match="connection reset by peer"):
        post(poster, endpoint)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\xff" * 100,
        b"",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 " + b"x" * 100_000,
        HEAD + b"A: 1\r\n" * 1000 + b"\r\n",
    ],
)
def test_garbage_for_a_reply_is_a_post_error(
    garbage: bytes, poster: Poster, endpoint: HttpScript
) -> None:
    endpoint.answer_with(raw(garbage))

    with pytest.raises(PostError):
        post(poster, endpoint)


def test_a_body_without_end_is_not_read_to_the_end(
    poster: Poster, endpoint: HttpScript
) -> None:
    endpoint.answer_with(endless)

    with pytest.raises(PostError, match="longer than 64 KiB"):
        post(poster, endpoint)


def test_a_compressed_body_is_not_blown_up(
    poster: Poster, endpoint: HttpScript
) -> None:
    bomb = zlib.compress(bytes(10_000_000))
    endpoint.answer_with(reply(200, bomb, Content_Encoding="deflate"))

    answer = post(poster, endpoint)

    assert answer.body == bomb


def test_a_redirect_is_an_answer_and_not_followed(
    poster: Poster, endpoint: HttpScript
) -> None:
    endpoint.answer_with(reply(302, b"", Location=endpoint.url + "elsewhere"))

    answer = post(poster, endpoint)

    assert answer.status == 302
    assert len(endpoint.received) == 1


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("9" * 500, 3600.0),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("\u00b2", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_the_server_may_say_in_seconds_when_to_come_back(
    text: str, expected_s: float | None, poster: Poster, endpoint: HttpScript
) -> None:
    endpoint.answer_with(reply(503, b"", Retry_After=text))

    assert post(poster, endpoint).retry_after_s == expected_s


def test_after_any_failure_the_next_post_is_a_fresh_one(
    hasty: Poster, endpoint: HttpScript
) -> None:
    for failure in (silence(endpoint), reset, raw(b"\0")):
        endpoint.answer_with(failure, reply(200, b"fine"))
        with pytest.raises(PostError):
            post(hasty, endpoint)

        assert post(hasty, endpoint).body == b"fine"


def test_a_short_time_left_for_one_reply_is_not_the_time_for_the_next(
    endpoint: HttpScript,
) -> None:
    timeout_s = 0.5
    pause = threading.Event()

    def late(connection: socket.socket) -> bool:
        pause.wait(timeout_s * 0.7)
        return reply()(connection)

    poster = Poster(timeout_s=timeout_s, connections=1)
    endpoint.answer_with(late)

    answers = [post(poster, endpoint).status for _ in range(3)]

    poster.close()
    assert answers == [200, 200, 200]
    until(lambda: endpoint.connections == 1)
