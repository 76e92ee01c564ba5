from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from harvesting import (
    ME,
    Harvesting,
    digest_of,
    header_of,
    readings,
    with_signature,
)

from egw.messages import Signed, TellIdentity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def harvest(tmp_path: Path) -> Iterator[Harvesting]:
    running = Harvesting(tmp_path / "outbox.db")
    running.want()
    yield running
    running.kill()


def two_packets(harvest: Harvesting) -> None:
    harvest.take(readings(1, 20))
    harvest.flush()


def test_at_its_start_it_asks_who_signs(harvest: Harvesting) -> None:
    assert harvest.signer.expect(TellIdentity).to == "harvest"


def test_packets_wait_unsigned_until_it_is_known_who_signs(harvest: Harvesting) -> None:
    two_packets(harvest)
    assert harvest.asked() == []
    assert harvest.status().unsigned_packets == 2

    harvest.take(ME)

    assert len(harvest.asked()) == 2


def test_the_signature_is_of_what_is_delivered(harvest: Harvesting) -> None:
    harvest.take(ME)
    two_packets(harvest)

    asked = harvest.asked()
    for sign in asked:
        harvest.take(Signed(sign.packet, sign.digest, sign.digest * 2))
    harvest.flush()

    given = harvest.given()
    assert [digest_of(packet) for packet in given] == [sign.digest for sign in asked]
    assert header_of(given[0]) == {
        "alg": "ES256",
        "typ": "JWT",
        "device": ME.serial,
        "opr": "production",
        "model": "huawei",
        "dtype": "modbus_registers",
        "sn": "HV1",
    }
    assert given[0].jwt == with_signature(given[0], asked[0].digest * 2)


def test_a_packet_is_asked_for_once(harvest: Harvesting) -> None:
    harvest.take(ME)
    two_packets(harvest)

    harvest.flush(5)

    assert len(harvest.asked()) == 2


def test_the_signer_has_no_more_to_do_at_a_time_than_it_can(
    harvest: Harvesting,
) -> None:
    harvest.take(ME)
    harvest.take(*(readings(10 * n + 1, 10 * n + 10) for n in range(200)))
    harvest.flush()

    rounds = []
    while asked := harvest.sign():
        rounds.append(len(asked))
        harvest.flush()

    assert max(rounds) <= 64
    assert sum(rounds) == 200
    assert harvest.status().unsigned_packets == 0


def test_a_signature_is_on_disk_before_the_packet_is_handed_out(
    harvest: Harvesting,
) -> None:
    harvest.take(ME)
    two_packets(harvest)
    harvest.sign()

    assert harvest.given() == []
    harvest.flush()

    assert len(harvest.given()) == 2
    harvest.kill()
    harvest.start()
    assert harvest.status().unsigned_packets == 0


def test_a_signer_that_was_restarted_is_asked_again(harvest: Harvesting) -> None:
    harvest.take(ME)
    two_packets(harvest)
    lost = harvest.asked()

    harvest.take(ME)

    again = harvest.asked()
    assert again == lost


def test_a_packet_that_was_asked_for_twice_is_signed_once(harvest: Harvesting) -> None:
    harvest.take(ME)
    two_packets(harvest)
    first = harvest.asked()
    harvest.take(ME)
    second = harvest.asked()

    for n, sign in enumerate(first + second):
        harvest.take(Signed(sign.packet, sign.digest, bytes([n]) * 64))
    harvest.flush()

    given = harvest.given()
    expected = [with_signature(p, bytes([n]) * 64) for n, p in enumerate(given)]
    assert [p.jwt for p in given] == expected
    assert harvest.status().signed_packets == 2


def test_another_identity_while_a_signature_is_not_on_disk_yet_changes_nothing(
    harvest: Harvesting,
) -> None:
    harvest.take(ME)
    two_packets(harvest)
    harvest.sign()

    harvest.take(ME)
    harvest.sign(salt=b"other")
    harvest.flush()

    given = harvest.given()
    for packet in given:
        expected = hashlib.sha512(digest_of(packet)).digest()
        assert packet.jwt == with_signature(packet, expected)
    assert harvest.status().signed_packets == 2


def test_a_signature_of_a_former_key_is_not_put_under_the_new_ones_name(
    harvest: Harvesting,
) -> None:
    harvest.take(ME)
    two_packets(harvest)
    late = harvest.asked()
    other = replace(ME, serial="5fffffffffffffffff")

    harvest.take(other)
    for sign in late:
        harvest.take(Signed(sign.packet, sign.digest, bytes(64)))
    harvest.flush()
    assert harvest.given() == []
    harvest.sign()
    harvest.flush()

    assert [header_of(p)["device"] for p in harvest.given()] == [other.serial] * 2


def test_a_signer_that_is_silent_for_ten_seconds_is_asked_again(
    harvest: Harvesting,
) -> None:
    harvest.take(ME)
    two_packets(harvest)
    lost = harvest.asked()
    harvest.flush(9.5)
    assert harvest.asked() == []

    harvest.flush(1.5)

    assert harvest.asked() == lost


def test_a_signer_that_is_slow_but_answers_is_not_asked_again(
    harvest: Harvesting,
) -> None:
    harvest.take(ME)
    harvest.take(*(readings(10 * n + 1, 10 * n + 10) for n in range(5)))
    harvest.flush()
    asked = harvest.asked()
    assert len(asked) == 5

    for sign in asked:
        harvest.flush(8)
        harvest.take(Signed(sign.packet, sign.digest, bytes(64)))

    assert harvest.asked() == []


def test_a_signature_that_nobody_asked_for_is_not_taken(harvest: Harvesting) -> None:
    harvest.take(ME)
    two_packets(harvest)
    sign = harvest.asked()[0]

    harvest.take(
        Signed(sign.packet, b"\0" * 32, bytes(64)),
        Signed(12345, sign.digest, bytes(64)),
    )
    harvest.flush()

    assert harvest.status().signed_packets == 0


def test_unsigned_packets_are_signed_after_a_restart(harvest: Harvesting) -> None:
    two_packets(harvest)
    harvest.kill()

    harvest.start()
    harvest.take(ME)

    assert len(harvest.asked()) == 2
