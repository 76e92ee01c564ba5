"""What every path has in common: errors, hosts and origins, limits, slow clients."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import falcon
import pytest
import told
from served import Gateway

from egw.api import server as server_module
from egw.api.app import create_app
from egw.api.server import ApiServer


def exchange(gateway: Gateway, request: bytes) -> bytes:
    """Send bytes over a connection of their own and return all that comes back."""
    with connected(gateway) as sock:
        sock.sendall(request)
        return read_to_end(sock)


def connected(gateway: Gateway) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.server.port), timeout=10)


def read_to_end(sock: socket.socket) -> bytes:
    parts = []
    while part := sock.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def test_an_unknown_path_is_not_found(gateway: Gateway) -> None:
    body = gateway.error("/api/nothing", 404)

    assert body == {"message": "there is nothing at /api/nothing", "field": None}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_wrong_method_is_refused_with_the_right_one(
    gateway: Gateway, method: str
) -> None:
    reply = gateway.http.request(method, "/api/hello")

    assert reply.status == 405
    assert "GET" in reply.headers["Allow"]
    assert reply.json()["message"].startswith(f"{method} is not possible here")


def test_a_bug_is_answered_without_a_trace(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.tree = ZeroDivisionError("secret detail")

    body = gateway.error("/api/actors", 500)

    assert body == {"message": "the gateway could not do this", "field": None}
    assert "secret detail" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "host",
    [
        "192.168.1.7",
        "192.168.1.7:5000",
        "[fe80::1]:5000",
        "localhost:5000",
        "LOCALHOST",
        "egw.local",
        "meterboard:80",
    ],
)
def test_the_gateways_own_names_are_served(gateway: Gateway, host: str) -> None:
    assert gateway.get("/api/hello", Host=host).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "1.2.3.4.evil.example", ".local"]
)
def test_a_foreign_host_name_is_refused(gateway: Gateway, host: str) -> None:
    body = gateway.error("/api/hello", 403, Host=host)

    assert host in body["message"]


def test_a_request_that_names_no_host_is_refused(gateway: Gateway) -> None:
    reply = exchange(gateway, b"GET /api/hello HTTP/1.0\r\n\r\n")

    assert b" 403 " in reply.splitlines()[0]


@pytest.mark.parametrize("path", ["/", "/api/hello", "/api/nothing"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1"])
def test_a_page_of_another_site_is_refused_everywhere(
    gateway: Gateway, path: str, origin: str
) -> None:
    reply = gateway.get(path, Host="127.0.0.1", Origin=origin)

    assert reply.status == 403
    assert "Access-Control-Allow-Origin" not in reply.headers


def test_the_gateways_own_page_is_served(gateway: Gateway) -> None:
    reply = gateway.get(
        "/api/hello", Host="egw.local:5000", Origin="http://egw.local:5000"
    )

    assert reply.status == 200


def test_replies_are_not_kept_and_tell_nothing_about_the_server(
    gateway: Gateway,
) -> None:
    headers = gateway.get("/api/hello").headers

    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in headers


def test_a_body_above_the_limit_is_refused(gateway: Gateway) -> None:
    reply = exchange(
        gateway,
        b"POST /api/hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n",
    )

    assert reply.startswith(b"HTTP/1.1 413 ")


def test_headers_above_the_limit_are_refused(gateway: Gateway) -> None:
    request = b"GET /api/hello HTTP/1.1\r\nHost: localhost\r\nX: "

    reply = exchange(gateway, request.ljust(16_384, b"x"))

    assert reply.startswith(b"HTTP/1.0 431 ")


def test_half_sent_requests_do_not_keep_others_waiting(gateway: Gateway) -> None:
    stuck = [connected(gateway) for _ in range(20)]
    for sock in stuck:
        sock.sendall(b"GET /api/hello HTTP/1.1\r\nHost: loc")

    reply = gateway.get("/api/hello")

    assert reply.status == 200
    for sock in stuck:
        sock.close()


@pytest.fixture
def impatient(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """A second server in front of the same snapshot that gives up after a second."""
    monkeypatch.setattr(server_module, "IDLE_S", 1)
    monkeypatch.setattr(server_module, "_CLEANUP_S", 0)
    app = create_app(gateway.snapshot, gateway.describe)
    server = ApiServer(app, host="127.0.0.1", port=0, threads=1)
    yield server
    server.close()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def test_a_request_that_comes_a_byte_at_a_time_is_given_up(
    impatient: ApiServer,
) -> None:
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=10) as sock:
        sock.settimeout(0.05)

        wait_until(lambda: not is_fed(sock), "a slow request was read for ever")


def is_fed(sock: socket.socket) -> bool:
    """Send one more byte; tell whether the other side still listens."""
    try:
        sock.sendall(b"G")
        return sock.recv(100) != b""
    except TimeoutError:
        return True
    except ConnectionError:
        return False


def test_a_client_that_does_not_read_its_answer_is_given_up(
    impatient: ApiServer, gateway: Gateway
) -> None:
    for number in range(500):
        gateway.snapshot.add_live(
            told.live(frequency=told.samples(*[50.0] * 10, first_ms=number * 1000))
        )
    channels = impatient._server.active_channels
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", impatient.port))

        cursor = f"{gateway.snapshot.session}-0"
        request = f"GET /api/live?since={cursor} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        sock.sendall(request.encode() * 60)

        wait_until(
            lambda: any(c.total_outbufs_len for c in channels.values()),
            "the answers all went out",
        )
        wait_until(lambda: not channels, "the connection was not given up")


def test_a_server_whose_loop_is_awake_already_closes_without_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = ApiServer(falcon.App(), host="127.0.0.1", port=0, threads=1)
    (loop,) = (t for t in threading.enumerate() if t.name == "http")
    write = os.write

    def woken_before(descriptor: int, data: bytes) -> int:
        write(descriptor, data)
        loop.join(0.1)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", woken_before)

    server.close()

    assert not loop.is_alive()
