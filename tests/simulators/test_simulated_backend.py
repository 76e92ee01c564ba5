from __future__ import annotations

import http.client
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from simulator_client import (
    PATIENCE_S,
    Gateway,
    base64url,
    eventually,
    http_request,
)

from simulators.backend import Backend, gateway_name
from simulators.journal import Journal, JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Loop

DATA = "/gw/data/"
READINGS = {"1700000001000": {"30000": 1, "30001": 65535}, "1700000002000": {"7": 0}}


class Bench:
    """A running backend that knows one gateway."""

    def __init__(self, loop: Loop, journal: Journal) -> None:
        self._loop = loop
        self.gateway = Gateway()
        self.backend = Backend(journal, {self.gateway.serial: self.gateway.public_key})
        loop.run(self.backend.start("127.0.0.1", 0))
        self.port = self.backend.port

    def post(self, packet: bytes, path: str = DATA) -> tuple[int, str]:
        status, body = http_request(self.port, "POST", path, packet)
        return status, body.decode()

    def ask(self, path: str, request: object) -> tuple[int, Any]:
        body = json.dumps(request).encode()
        status, reply = http_request(self.port, "POST", path, body)
        return status, json.loads(reply) if reply.startswith(b"{") else reply.decode()

    def report(self, query: str = "") -> dict[str, Any]:
        status, body = http_request(self.port, "GET", "/report" + query)
        assert status == 200
        told: dict[str, Any] = json.loads(body)
        return told

    def close(self) -> None:
        self._loop.call(self.backend.close)


@pytest.fixture
def bench(loop: Loop) -> Iterator[Bench]:
    running = Bench(loop, Journal())
    yield running
    running.close()


def test_a_good_packet_is_accepted_and_journaled(bench: Bench) -> None:
    status, _ = bench.post(bench.gateway.packet(READINGS))
    _, journal = http_request(bench.port, "GET", "/journal")

    assert status == 200
    entries = [json.loads(line) for line in journal.splitlines()]
    assert [entry["stamp_ms"] for entry in entries] == [1700000001000, 1700000002000]
    assert {entry["sn"] for entry in entries} == {"SIM0000001"}
    assert {entry["model"] for entry in entries} == {"sungrow"}
    report = bench.report()
    assert (report["packets"], report["readings"], report["invalid"]) == (1, 2, 0)
    assert report["devices"]["SIM0000001"] == {
        "readings": 2,
        "first_ms": 1700000001000,
        "last_ms": 1700000002000,
    }


def test_a_tampered_packet_is_invalid(bench: Bench) -> None:
    header, payload, signature = bench.gateway.packet(READINGS).split(b".")
    other = base64url(json.dumps({"1700000009000": {"1": 1}}).encode())

    status, reason = bench.post(b".".join((header, other, signature)))

    assert (status, reason) == (400, "signature: does not fit")
    assert bench.report()["invalid"] == 1
    assert bench.report()["readings"] == 0
    assert payload != other


def test_a_packet_signed_with_another_key_is_invalid(bench: Bench) -> None:
    impostor = Gateway(bench.gateway.serial)

    status, _ = bench.post(impostor.packet(READINGS))

    assert status == 400


def test_a_gateway_that_nobody_knows_is_forbidden_until_it_is_registered(
    bench: Bench,
) -> None:
    stranger = Gateway("0123ee")
    packet = stranger.packet(READINGS)

    before, _ = bench.post(packet)
    registered, _ = bench.ask(
        "/gateways", {"serial": "0123EE", "public_key": stranger.public_key}
    )
    after, _ = bench.post(packet)

    assert (before, registered, after) == (403, 200, 200)
    assert bench.report()["unknown"] == 1


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ({"alg": "none"}, "alg"),
        ({"typ": "JWS"}, "typ"),
        ({"opr": None}, "opr"),
        ({"model": 5}, "model"),
        ({"dtype": ""}, "dtype"),
        ({"sn": ""}, "sn"),
    ],
)
def test_a_header_that_does_not_fit_is_named(
    bench: Bench, header: dict[str, object], named: str
) -> None:
    status, reason = bench.post(bench.gateway.packet(READINGS, **header))

    assert status == 400
    assert named in reason


@pytest.mark.parametrize(
    "payload",
    [
        "{}",
        "[]",
        "{",
        '{"soon": {"1": 1}}',
        '{"0": {"1": 1}}',
        '{"1700000001000": {}}',
        '{"1700000001000": 5}',
        '{"1700000001000": {"1": 65536}}',
        '{"1700000001000": {"1": -1}}',
        '{"1700000001000": {"1": 1.5}}',
        '{"1700000001000": {"65536": 1}}',
        '{"1700000001000": {"power": 1}}',
        '{"1700000001000": {"1": 1, "1": 2}}',
        '{"1700000001000": {"1": 1}, "1700000001000": {"1": 2}}',
    ],
)
def test_a_payload_that_does_not_fit_is_invalid(bench: Bench, payload: str) -> None:
    status, reason = bench.post(bench.gateway.packet_of_text(payload))

    assert status == 400
    assert reason.startswith("payload: ")
    assert bench.report()["invalid"] == 1


@pytest.mark.parametrize(
    "packet", [b"", b"a.b", b"a.b.c", b"\xff\x00.\x80.e30", b"...."]
)
def test_what_is_no_packet_at_all_is_invalid(bench: Bench, packet: bytes) -> None:
    status, _ = bench.post(packet)

    assert status == 400
    assert bench.report()["invalid"] == 1


def test_padded_base64_is_invalid(bench: Bench) -> None:
    header, payload, signature = bench.gateway.packet(READINGS).split(b".")

    status, reason = bench.post(b".".join((header, payload, signature + b"==")))

    assert (status, reason) == (400, "signature: not base64url without padding")


def test_the_same_bytes_again_are_a_redelivery(bench: Bench) -> None:
    packet = bench.gateway.packet(READINGS)

    statuses = [bench.post(packet)[0] for _ in range(3)]

    report = bench.report()
    assert statuses == [200, 200, 200]
    assert (report["packets"], report["redelivered"]) == (1, 2)
    assert (report["readings"], report["doubled"]) == (2, 0)


def test_a_reading_in_a_second_packet_is_doubled(bench: Bench) -> None:
    bench.post(bench.gateway.packet(READINGS))
    bench.post(bench.gateway.packet({"1700000002000": {"7": 0}}))
    bench.post(bench.gateway.packet({"1700000002000": {"7": 0}}, sn="SIM0000002"))

    report = bench.report()

    assert (report["packets"], report["readings"], report["doubled"]) == (3, 3, 1)


def test_readings_older_than_the_last_are_out_of_order(bench: Bench) -> None:
    bench.post(bench.gateway.packet({"1700000005000": {"7": 0}}))
    bench.post(bench.gateway.packet(READINGS))

    assert bench.report()["out_of_order"] == 2


def test_expect_tells_missing_and_doubled_readings(bench: Bench) -> None:
    bench.post(bench.gateway.packet(READINGS))
    bench.post(bench.gateway.packet({"1700000002000": {"7": 0}}))
    lines = (
        b'{"SIM0000001": [1700000001000, 1700000002000]}\n'
        b'{"SIM0000001": [1700000003000]}\n{"SIM0000009": [5]}\n'
    )

    status, body = http_request(bench.port, "POST", "/expect", lines)

    assert status == 200
    assert json.loads(body) == {
        "missing": {"SIM0000001": [1700000003000], "SIM0000009": [5]},
        "doubled": {"SIM0000001": [1700000002000]},
    }


def test_the_report_can_leave_out_early_readings(bench: Bench) -> None:
    bench.post(bench.gateway.packet(READINGS))

    late = bench.report("?after=1700000001000")
    status, _ = http_request(bench.port, "GET", "/report?after=noon")

    assert (late["readings"], late["devices"]["SIM0000001"]["readings"]) == (1, 1)
    assert status == 400


def test_a_gateway_has_a_name_of_three_words(bench: Bench) -> None:
    query = '{ gatewayConfiguration { gatewayName(id: "0123ee") { name } } }'

    status, reply = bench.ask("/", {"query": query})

    name = reply["data"]["gatewayConfiguration"]["gatewayName"]["name"]
    assert status == 200
    assert name == gateway_name("0123ee")
    assert len(name.split()) == 3
    assert gateway_name("0123ef") != name


def test_other_queries_get_an_error_and_other_bodies_400(bench: Bench) -> None:
    unknown = bench.ask("/", {"query": "{ weather }"})
    nonsense, _ = http_request(bench.port, "POST", "/", b"nonsense")

    assert unknown[0] == 200
    assert "errors" in unknown[1]
    assert nonsense == 400


def test_refusing_answers_503_until_told_otherwise(bench: Bench) -> None:
    packet = bench.gateway.packet(READINGS)

    bench.ask("/control", {"refuse": True})
    refused, _ = bench.post(packet)
    bench.ask("/control", {"refuse": False})

    assert refused == 503
    assert bench.post(packet)[0] == 200


def test_hanging_never_answers(bench: Bench) -> None:
    bench.ask("/control", {"hang": True})
    connection = http.client.HTTPConnection("127.0.0.1", bench.port, timeout=0.2)
    connection.request("POST", DATA, bench.gateway.packet(READINGS))

    with pytest.raises(TimeoutError):
        connection.getresponse()

    connection.close()
    assert bench.report()["packets"] == 0


def test_slowness_still_takes_the_packet(bench: Bench) -> None:
    bench.ask("/control", {"slow_ms": 30})

    assert bench.post(bench.gateway.packet(READINGS))[0] == 200


def test_a_reset_takes_nothing_and_a_lost_reply_takes_all(bench: Bench) -> None:
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


def test_garbage_is_no_http(bench: Bench) -> None:
    bench.ask("/control", {"garbage": True})

    with pytest.raises(http.client.HTTPException):
        bench.post(bench.gateway.packet(READINGS))


def test_packets_of_a_named_device_are_rejected(bench: Bench) -> None:
    bench.ask("/control", {"reject_packets": ["SIM0000001"]})

    rejected, reason = bench.post(bench.gateway.packet(READINGS))
    other, _ = bench.post(bench.gateway.packet(READINGS, sn="SIM0000002"))

    assert (rejected, other) == (400, 200)
    assert "SIM0000001" in reason


def test_a_backend_that_is_down_comes_back(bench: Bench) -> None:
    def refuses() -> bool:
        try:
            socket.create_connection(("127.0.0.1", bench.port), 1).close()
        except ConnectionRefusedError:
            return True
        return False

    bench.ask("/control", {"down_ms": 300})

    assert eventually(refuses)
    assert eventually(lambda: not refuses())
    assert bench.post(bench.gateway.packet(READINGS))[0] == 200


def test_an_unknown_fault_is_named(bench: Bench) -> None:
    status, reason = bench.ask("/control", {"refuze": True})

    assert status == 400
    assert "refuze" in reason


def test_one_connection_serves_many_requests(bench: Bench) -> None:
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
    bench: Bench, raw: bytes, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", bench.port), PATIENCE_S) as connection:
        connection.sendall(raw)
        with connection.makefile("rb") as stream:
            answer = stream.read()

    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert bench.report()


def test_a_journal_file_is_continued(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    first = Bench(loop, Journal(path))
    packet = first.gateway.packet(READINGS)
    first.post(packet)
    first.close()
    with path.open("ab") as file:
        file.write(b'{"sn": "torn')

    second = Bench(loop, Journal(path))
    second.ask(
        "/gateways",
        {"serial": first.gateway.serial, "public_key": first.gateway.public_key},
    )
    second.post(packet)
    report = second.report()
    second.close()

    assert (report["packets"], report["readings"], report["redelivered"]) == (1, 2, 1)
    assert len(path.read_text().splitlines()) == 2


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary\n")

    with pytest.raises(JournalError, match=r"notes\.txt: not a journal"):
        Journal(path)


def test_a_public_key_that_is_no_point_of_the_curve_is_refused(bench: Bench) -> None:
    status, reason = bench.ask("/gateways", {"serial": "01", "public_key": "11" * 64})

    assert status == 400
    assert "public_key" in reason
