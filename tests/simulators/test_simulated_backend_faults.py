from __future__ import annotations

import http.client
import socket

import pytest
from simulator_bench import DATA, READINGS, BackendBench
from simulator_client import PATIENCE_S, eventually


def test_refusing_answers_503_until_told_otherwise(bench: BackendBench) -> None:
    packet = bench.gateway.packet(READINGS)

    bench.ask("/control", {"refuse": True})
    refused, _ = bench.post(packet)
    bench.ask("/control", {"refuse": False})

    assert refused == 503
    assert bench.post(packet)[0] == 200


def test_hanging_never_answers(bench: BackendBench) -> None:
    bench.ask("/control", {"hang": True})
    connection = http.client.HTTPConnection("127.0.0.1", bench.port, timeout=0.2)
    connection.request("POST", DATA, bench.gateway.packet(READINGS))

    with pytest.raises(TimeoutError):
        connection.getresponse()

    connection.close()
    assert bench.report()["packets"] == 0


def test_slowness_still_takes_the_packet(bench: BackendBench) -> None:
    bench.ask("/control", {"slow_ms": 30})

    assert bench.post(bench.gateway.packet(READINGS))[0] == 200


def test_a_reset_takes_nothing_and_a_lost_reply_takes_all(bench: BackendBench) -> None:
    packet = bench.gateway.packet(READINGS)
    bench.ask("/control", {"reset": True})
    with pytest.raises(ConnectionError):
        bench.post(packet)
    taken_at_reset = bench.report()["packets"]

    bench.ask("/control", {"reset": False, "lose_reply": True})
    with pytest.raises(ConnectionError):
        bench.post(packet)
    bench.ask("/control", None)

    assert taken_at_reset == 0
    assert bench.report()["packets"] == 1
    assert bench.post(packet)[0] == 200
    assert bench.report()["redelivered"] == 1


def test_garbage_is_no_http(bench: BackendBench) -> None:
    bench.ask("/control", {"garbage": True})

    with pytest.raises(http.client.HTTPException):
        bench.post(bench.gateway.packet(READINGS))


def test_packets_of_a_named_device_are_rejected(bench: BackendBench) -> None:
    bench.ask("/control", {"reject_packets": ["SIM0000001"]})

    rejected, reason = bench.post(bench.gateway.packet(READINGS))
    other, _ = bench.post(bench.gateway.packet(READINGS, sn="SIM0000002"))

    assert (rejected, other) == (400, 200)
    assert "SIM0000001" in reason


def test_a_backend_that_is_down_comes_back(bench: BackendBench) -> None:
    def refuses() -> bool:
        try:
            socket.create_connection(("127.0.0.1", bench.port), 1).close()
        except (ConnectionRefusedError, ConnectionResetError):
            return True  # reset: it closed while the connection waited for it
        return False

    bench.ask("/control", {"down_ms": 300})

    assert eventually(refuses)
    assert eventually(lambda: not refuses())
    assert bench.post(bench.gateway.packet(READINGS))[0] == 200


def test_an_unknown_fault_is_named(bench: BackendBench) -> None:
    status, reason = bench.ask("/control", {"refuze": True})

    assert status == 400
    assert "refuze" in reason


def test_one_connection_serves_many_requests(bench: BackendBench) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", bench.port, PATIENCE_S)

    for second in range(5):
        packet = bench.gateway.packet({str(1700000000000 + second): {"1": second}})
        connection.request("POST", DATA, packet)
        response = connection.getresponse()
        response.read()
        assert (response.status, response.will_close) == (200, False)

    connection.close()
    assert bench.report()["packets"] == 5


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST /gw/data/ HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST /gw/data/ HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", 413),
        (b"POST /gw/data/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"GET http://[ HTTP/1.1\r\n\r\n", 400),
        (b"GET /nothing HTTP/1.1\r\nConnection: close\r\n\r\n", 404),
        (b"PUT /report HTTP/1.1\r\nConnection: close\r\n\r\n", 405),
    ],
)
def test_requests_that_cannot_be_served_are_answered_and_closed(
    bench: BackendBench, raw: bytes, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", bench.port), PATIENCE_S) as connection:
        connection.sendall(raw)
        with connection.makefile("rb") as stream:
            answer = stream.read()

    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert bench.report()
