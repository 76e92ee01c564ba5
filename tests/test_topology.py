from __future__ import annotations

import inspect
import itertools
from pathlib import Path
from typing import Any

import pytest

from egw.config import Config, ConfigError, load_config
from egw.devices.loader import known_profiles
from egw.devices.wire import SerialLine
from egw.gateway import GatewayError, load
from egw.runtime import ChildSpec, WorkerSpec
from egw.runtime.spec import generations, load_actor
from egw.testing import Peers
from egw.topology import check_connections, topology

DEVICE = """
[[device]]
name = "{name}"
profile = "sungrow"
host = "{name}.lan"
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return configured(tmp_path)


def configured(tmp_path: Path, *, devices: int = 5, extra: str = "") -> Config:
    path = tmp_path / "egw.toml"
    path.write_text(
        f'data_dir = "{tmp_path}"\n{extra}\n'
        '[uplink]\nendpoints = ["http://a.example/x", "http://b.example/y"]\n'
        '[signer]\nprovider = "file"\n'
        + "".join(DEVICE.format(name=f"roof-{n}") for n in range(devices))
    )
    return load_config(path, {}, profiles=lambda where: known_profiles(where))


def actors(workers: tuple[WorkerSpec, ...]) -> dict[str, ChildSpec]:
    return {child.name: child for worker in workers for child in worker.children}


def names(workers: tuple[WorkerSpec, ...]) -> dict[str, list[str]]:
    return {worker.name: [c.name for c in worker.children] for worker in workers}


def test_who_lives_where(tmp_path: Path) -> None:
    config = configured(tmp_path, extra="[workers]\ndevices = 2\n")

    workers = names(topology(config))

    assert workers == {
        "signer": ["signer"],
        "core": ["harvest", "uplink/1", "uplink/2", "backend", "gateway"],
        "devices-0": ["inverter/roof-0", "inverter/roof-2", "inverter/roof-4"],
        "devices-1": ["inverter/roof-1", "inverter/roof-3"],
        "api": ["api"],
    }


def test_one_worker_can_hold_everything(tmp_path: Path) -> None:
    apart = configured(tmp_path)
    single = configured(tmp_path, extra="[workers]\nsingle = true\n")

    (worker,) = topology(single)

    assert worker.name == "gateway"
    assert actors((worker,)).keys() == actors(topology(apart)).keys()


def test_no_worker_is_made_without_a_device_for_it(tmp_path: Path) -> None:
    many = configured(tmp_path, devices=1, extra="[workers]\ndevices = 8\n")
    none = configured(tmp_path, devices=0)

    assert list(names(topology(many))) == ["signer", "core", "devices-0", "api"]
    assert list(names(topology(none))) == ["signer", "core", "api"]


def test_everyone_starts_after_those_they_need(config: Config) -> None:
    order = generations(topology(config))

    place = {name: n for n, group in enumerate(order) for name in group}
    assert place["signer"] < place["harvest"] < place["inverter/roof-0"] < place["api"]
    assert place["harvest"] < place["uplink/1"] < place["api"]
    assert place["signer"] < place["backend"]
    assert set(order[-1]) == {"api"}


def test_who_may_keep_failing_without_ending_the_gateway(config: Config) -> None:
    spared = {n for n, c in actors(topology(config)).items() if not c.critical}

    assert spared == {"backend", *(f"inverter/roof-{n}" for n in range(5))}


def test_every_actor_is_made_of_the_arguments_that_it_is_given(config: Config) -> None:
    for name, child in actors(topology(config)).items():
        kind = load_actor(child.actor)

        inspect.signature(kind).bind(Peers(name), **child.arguments)
        actor: Any = kind(Peers(name), **child.arguments)

        assert actor.name == name


def test_a_device_that_says_little_gets_its_profiles_address(config: Config) -> None:
    settings = actors(topology(config))["inverter/roof-0"].arguments["settings"]

    assert (settings.port, settings.unit, settings.timeout_s) == (502, None, 1.0)


def test_what_is_learned_of_a_device_has_a_file_of_its_own(config: Config) -> None:
    settings = actors(topology(config))["inverter/roof-3"].arguments["settings"]

    assert settings.learned_file == config.data_dir / "learned" / "roof-3.json"


SHARED = """
[[device]]
name = "{name}"
profile = "{profile}"
host = "{host}"
unit = {unit}
port = {port}
"""


def sharing(tmp_path: Path, *devices: dict[str, Any]) -> Config:
    path = tmp_path / "egw.toml"
    path.write_text(
        f'data_dir = "{tmp_path}"\n'
        + "".join(
            SHARED.format(name=f"roof-{n}", unit=n, **device)
            for n, device in enumerate(devices, start=1)
        )
    )
    return load_config(path, {}, profiles=lambda where: known_profiles(where))


SINGLE: dict[str, Any] = {"profile": "solaredge", "host": "Roof.lan", "port": 0}


def test_two_devices_cannot_share_one_that_serves_one_connection(
    tmp_path: Path,
) -> None:
    config = sharing(tmp_path, SINGLE, {**SINGLE, "host": "roof.lan", "port": 1502})

    with pytest.raises(ConfigError) as caught:
        check_connections(config, "egw.toml")

    assert str(caught.value) == (
        'egw.toml: device 2 "roof-2": host: found "roof.lan", port 1502, where device '
        "1 is too, expected another host or port: a solaredge serves one connection"
    )


def test_a_device_that_is_not_read_over_modbus_tcp_is_refused(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "stick.yaml").write_text(
        "name: stick\nbased_on: deye\ntransports: [solarman]\n"
    )
    path = tmp_path / "egw.toml"
    roof = SHARED.format(
        name="roof", profile="stick", host="roof.lan", unit=1, port=502
    )
    path.write_text(f'data_dir = "{tmp_path}"\n{roof}')

    with pytest.raises(GatewayError) as caught:
        load(path, {})

    assert str(caught.value) == (
        f'{path}: device 1 "roof": profile: found "stick", read by solarman, '
        "expected one that is read by modbus-tcp"
    )


def test_a_configuration_with_such_devices_is_refused_when_it_is_checked(
    tmp_path: Path,
) -> None:
    sharing(tmp_path, SINGLE, {**SINGLE, "port": 1502})

    with pytest.raises(GatewayError, match="serves one connection"):
        load(tmp_path / "egw.toml", {})


def test_it_does_not_matter_which_of_the_two_serves_one_connection(
    tmp_path: Path,
) -> None:
    other = {"profile": "sdm630", "host": "roof.lan", "port": 1502}
    config = sharing(tmp_path, SINGLE, other)
    reverse = sharing(tmp_path, other, SINGLE)

    for shared in (config, reverse):
        with pytest.raises(ConfigError, match="a solaredge serves one connection"):
            check_connections(shared, "egw.toml")


def test_devices_that_serve_several_connections_may_share_an_address(
    tmp_path: Path,
) -> None:
    many = {"profile": "sdm630", "host": "roof.lan", "port": 502}
    check_connections(sharing(tmp_path, many, many), "egw.toml")

    apart = {**SINGLE, "host": "barn.lan"}
    check_connections(sharing(tmp_path, SINGLE, apart), "egw.toml")
    check_connections(sharing(tmp_path, SINGLE, {**SINGLE, "port": 1503}), "egw.toml")


BRIDGE = {"profile": "sdm630", "host": "bridge.lan", "port": 8899}


def test_two_devices_cannot_share_a_bridge(tmp_path: Path) -> None:
    sharing(tmp_path, BRIDGE, BRIDGE)
    path = tmp_path / "egw.toml"
    path.write_text(path.read_text() + 'transport = "rtu-over-tcp"\n')

    with pytest.raises(GatewayError) as caught:
        load(path, {})

    assert str(caught.value).endswith(
        'device 2 "roof-2": host: found "bridge.lan", port 8899, where device 1 is '
        "too, expected another host or port: a bridge serves one device"
    )


def test_a_device_that_is_not_read_by_rtu_is_refused_on_a_serial_port(
    tmp_path: Path,
) -> None:
    path = tmp_path / "egw.toml"
    path.write_text(
        f'data_dir = "{tmp_path}"\n[[device]]\nname = "roof"\nprofile = "sma"\n'
        'transport = "modbus-rtu"\nserial_port = "/dev/ttyUSB0"\n'
    )

    with pytest.raises(GatewayError) as caught:
        load(path, {})

    assert str(caught.value).endswith(
        'device 1 "roof": profile: found "sma", read by modbus-tcp, expected one that '
        "is read by modbus-rtu"
    )


def test_a_device_on_a_serial_port_is_reached_there(tmp_path: Path) -> None:
    path = tmp_path / "egw.toml"
    path.write_text(
        f'data_dir = "{tmp_path}"\n[[device]]\nname = "meter"\nprofile = "sdm630"\n'
        'transport = "modbus-rtu"\nserial_port = "/dev/ttyUSB0"\nparity = "even"\n'
        "baud_rate = 19200\n"
    )

    settings = actors(topology(load(path, {})))["inverter/meter"].arguments["settings"]

    assert (settings.host, settings.port) == ("/dev/ttyUSB0", 0)
    assert settings.reach.transport == "modbus-rtu"
    assert settings.reach.line == SerialLine(19_200, "even", 1)
    assert settings.reach.place == "/dev/ttyUSB0"


def test_what_a_device_states_wins_over_its_profile(tmp_path: Path) -> None:
    path = tmp_path / "egw.toml"
    path.write_text(
        f'data_dir = "{tmp_path}"\n'
        + DEVICE.format(name="roof")
        + "port = 1502\nunit = 0\ntimeout_ms = 250\nfrequency = false\n"
    )
    config = load_config(path, {}, profiles=lambda where: known_profiles(where))

    settings = actors(topology(config))["inverter/roof"].arguments["settings"]

    assert (settings.port, settings.unit, settings.timeout_s) == (1502, 0, 0.25)
    assert settings.frequency is False


def test_devices_have_their_turns_spread_over_the_second(tmp_path: Path) -> None:
    config = configured(tmp_path, devices=100)

    children = actors(topology(config))
    slots = sorted(
        children[f"inverter/roof-{n}"].arguments["settings"].slot for n in range(100)
    )

    gaps = [after - before for before, after in itertools.pairwise(slots)]
    assert len(slots) == 100
    assert 0 <= slots[0] < slots[-1] < 1
    assert 0.003 < min(gaps) <= max(gaps) < 0.03


def test_the_outbox_gets_the_bounds_that_were_configured(tmp_path: Path) -> None:
    extra = (
        "[outbox]\nmax_mb = 3\nmax_age_days = 2\nkeep_delivered_s = 60\n"
        "[harvest]\npacket_readings = 5\ncommit_interval_s = 2\n"
    )
    config = configured(tmp_path, extra=extra)

    settings = actors(topology(config))["harvest"].arguments["settings"]

    assert settings.path == tmp_path / "outbox.db"
    assert settings.endpoints == ("http://a.example/x", "http://b.example/y")
    assert settings.max_bytes == 3 * 1024 * 1024
    assert settings.max_age_ms == 2 * 24 * 3_600_000
    assert settings.keep_done_ms == 60_000
    assert (settings.packet_readings, settings.commit_interval_s) == (5, 2.0)
