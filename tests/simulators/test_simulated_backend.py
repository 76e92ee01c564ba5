from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from simulator_bench import READINGS, BackendBench
from simulator_client import (
    Gateway,
    base64url,
    http_request,
)

from simulators.backend import gateway_name
from simulators.journal import Journal, JournalError

if TYPE_CHECKING:
    from pathlib import Path

    from simulator_bench import Loop


def test_a_good_packet_is_accepted_and_journaled(bench: BackendBench) -> None:
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


def test_a_tampered_packet_is_invalid(bench: BackendBench) -> None:
    header, payload, signature = bench.gateway.packet(READINGS).split(b".")
    other = base64url(json.dumps({"1700000009000": {"1": 1}}).encode())

    status, reason = bench.post(b".".join((header, other, signature)))

    assert (status, reason) == (400, "signature: does not fit")
    assert bench.report()["invalid"] == 1
    assert bench.report()["readings"] == 0
    assert payload != other


def test_a_packet_signed_with_another_key_is_invalid(bench: BackendBench) -> None:
    impostor = Gateway(bench.gateway.serial)

    status, _ = bench.post(impostor.packet(READINGS))

    assert status == 400


def test_a_gateway_that_nobody_knows_is_forbidden_until_it_is_registered(
    bench: BackendBench,
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
    bench: BackendBench, header: dict[str, object], named: str
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
        b'{"\xff": 1}',
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
def test_a_payload_that_does_not_fit_is_invalid(
    bench: BackendBench, payload: str | bytes
) -> None:
    status, reason = bench.post(bench.gateway.packet_of_text(payload))

    assert status == 400
    assert reason.startswith("payload: ")
    assert bench.report()["invalid"] == 1


@pytest.mark.parametrize(
    "packet", [b"", b"a.b", b"a.b.c", b"\xff\x00.\x80.e30", b"...."]
)
def test_what_is_no_packet_at_all_is_invalid(
    bench: BackendBench, packet: bytes
) -> None:
    status, _ = bench.post(packet)

    assert status == 400
    assert bench.report()["invalid"] == 1


def test_json_nested_without_end_is_invalid(bench: BackendBench) -> None:
    deep = b'{"1700000001000": {"a": ' + b"[" * 100_000

    status, reason = bench.post(bench.gateway.packet_of_text(deep, dtype="other"))
    control, _ = http_request(bench.port, "POST", "/control", deep)

    assert (status, control) == (400, 400)
    assert "recursion" in reason


def test_padded_base64_is_invalid(bench: BackendBench) -> None:
    header, payload, signature = bench.gateway.packet(READINGS).split(b".")

    status, reason = bench.post(b".".join((header, payload, signature + b"==")))

    assert (status, reason) == (400, "signature: not base64url without padding")


def test_the_same_bytes_again_are_a_redelivery(bench: BackendBench) -> None:
    packet = bench.gateway.packet(READINGS)

    statuses = [bench.post(packet)[0] for _ in range(3)]

    report = bench.report()
    assert statuses == [200, 200, 200]
    assert (report["packets"], report["redelivered"]) == (1, 2)
    assert (report["readings"], report["doubled"]) == (2, 0)


def test_a_reading_in_a_second_packet_is_doubled(bench: BackendBench) -> None:
    bench.post(bench.gateway.packet(READINGS))
    bench.post(bench.gateway.packet({"1700000002000": {"7": 0}}))
    bench.post(bench.gateway.packet({"1700000002000": {"7": 0}}, sn="SIM0000002"))

    report = bench.report()

    assert (report["packets"], report["readings"], report["doubled"]) == (3, 3, 1)


def test_readings_older_than_the_last_are_out_of_order(bench: BackendBench) -> None:
    bench.post(bench.gateway.packet({"1700000005000": {"7": 0}}))
    bench.post(bench.gateway.packet(READINGS))

    assert bench.report()["out_of_order"] == 2


def test_expect_tells_missing_and_doubled_readings(bench: BackendBench) -> None:
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


def test_the_report_can_leave_out_early_readings(bench: BackendBench) -> None:
    bench.post(bench.gateway.packet(READINGS))

    late = bench.report("?after=1700000001000")
    status, _ = http_request(bench.port, "GET", "/report?after=noon")

    assert (late["readings"], late["devices"]["SIM0000001"]["readings"]) == (1, 1)
    assert status == 400


def test_a_gateway_has_a_name_of_three_words(bench: BackendBench) -> None:
    query = '{ gatewayConfiguration { gatewayName(id: "0123ee") { name } } }'

    status, reply = bench.ask("/", {"query": query})

    name = reply["data"]["gatewayConfiguration"]["gatewayName"]["name"]
    assert status == 200
    assert name == gateway_name("0123ee")
    assert len(name.split()) == 3
    assert gateway_name("0123ef") != name


def test_other_queries_get_an_error_and_other_bodies_400(bench: BackendBench) -> None:
    unknown = bench.ask("/", {"query": "{ weather }"})
    nonsense, _ = http_request(bench.port, "POST", "/", b"nonsense")

    assert unknown[0] == 200
    assert "errors" in unknown[1]
    assert nonsense == 400


def test_a_journal_file_is_continued(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    first = BackendBench(loop, Journal(path))
    packet = first.gateway.packet(READINGS)
    first.post(packet)
    first.close()
    with path.open("ab") as file:
        file.write(b'{"sn": "torn')

    second = BackendBench(loop, Journal(path))
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


def test_a_public_key_that_is_no_point_of_the_curve_is_refused(
    bench: BackendBench,
) -> None:
    status, reason = bench.ask("/gateways", {"serial": "01", "public_key": "11" * 64})

    assert status == 400
    assert "public_key" in reason
