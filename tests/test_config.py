from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from egw.config import Config, ConfigError, Device, load_config

PROFILES = ("growatt", "huawei", "solaredge", "sungrow")

COMPLETE = """\
data_dir = "/data/egw"
[api]
host = "127.0.0.1"
port = 5000
[uplink]
endpoints = ["http://127.0.0.1:8080/gw/data/"]
[backend]
url = "http://127.0.0.1:8080/"
[signer]
provider = "file"
[[device]]
name = "roof"
profile = "solaredge"
transport = "modbus-tcp"
host = "127.0.0.1"
port = 1502
unit = 1
"""

DEVICE = '[[device]]\nname = "roof"\nprofile = "huawei"\nhost = "10.0.0.5"\n'


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str | bytes, **environ: str) -> Config:
    """Load `text` as egw.toml."""
    path = Path("egw.toml")
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_config(path, environ, profiles=lambda _: PROFILES)


def mistake(text: str | bytes, **environ: str) -> str:
    """Return the line that loading `text` ends with."""
    with pytest.raises(ConfigError) as caught:
        load(text, **environ)
    return str(caught.value)


def test_a_complete_file_is_read_as_written() -> None:
    config = load(COMPLETE)

    assert config.data_dir == Path("/data/egw")
    assert (config.api.host, config.api.port) == ("127.0.0.1", 5000)
    assert config.uplink.endpoints == ("http://127.0.0.1:8080/gw/data/",)
    assert config.backend.url == "http://127.0.0.1:8080/"
    assert config.signer.provider == "file"
    assert config.devices == (
        Device(name="roof", profile="solaredge", host="127.0.0.1", port=1502, unit=1),
    )


def test_without_file_and_environment_the_defaults_hold() -> None:
    config = load_config(None, {"HOME": "/root"}, profiles=lambda _: PROFILES)

    assert config == Config()
    assert config.signer.provider == "none"
    assert config.signer_key_path == Path("/data/egw/signer.pem")


def test_a_device_that_says_little_leaves_the_rest_to_its_profile() -> None:
    (device,) = load(DEVICE).devices

    assert (device.port, device.unit) == (0, None)
    assert (device.transport, device.timeout_ms, device.sn) == ("modbus-tcp", 1000, "")
    assert device.frequency is True


def test_the_environment_overrides_the_file() -> None:
    config = load(
        COMPLETE,
        EGW_API_PORT="0",
        EGW_DATA_DIR="/mnt/egw",
        EGW_UPLINK_ENDPOINTS="http://a.example/x, https://b.example/y",
        EGW_UPLINK_TIMEOUT_S="2.5",
        EGW_WORKERS_SINGLE="true",
        EGW_LOG_LEVEL="debug",
    )

    assert config.api.port == 0
    assert config.api.host == "127.0.0.1"
    assert config.data_dir == Path("/mnt/egw")
    assert config.uplink.endpoints == ("http://a.example/x", "https://b.example/y")
    assert config.uplink.timeout_s == 2.5
    assert config.workers.single is True
    assert config.log_level == "debug"


def test_an_empty_variable_empties_a_list() -> None:
    config = load(COMPLETE, EGW_UPLINK_ENDPOINTS="")

    assert config.uplink.endpoints == ()


def test_the_data_directory_of_the_command_line_wins() -> None:
    path = Path("egw.toml")
    path.write_text(COMPLETE)
    environ = {"EGW_DATA_DIR": "/mnt/egw"}

    config = load_config(
        path, environ, profiles=lambda _: PROFILES, data_dir=Path("here")
    )

    assert config.data_dir == Path("here")
    assert config.signer_key_path == Path("here/signer.pem")


def test_a_relative_key_file_starts_at_the_data_directory() -> None:
    config = load('data_dir = "/d"\n[signer]\nkey_file = "keys/a.pem"')

    assert config.signer_key_path == Path("/d/keys/a.pem")


def test_an_absolute_key_file_is_taken_as_it_is() -> None:
    config = load('data_dir = "/d"\n[signer]\nkey_file = "/run/secrets/a.pem"')

    assert config.signer_key_path == Path("/run/secrets/a.pem")


def test_an_integer_is_a_number_of_seconds() -> None:
    config = load("[uplink]\ntimeout_s = 3")

    assert config.uplink.timeout_s == 3.0


def test_a_file_with_a_byte_order_mark_and_windows_lines_is_read() -> None:
    config = load(b"\xef\xbb\xbf[api]\r\nport = 81\r\n")

    assert config.api.port == 81


def test_a_configuration_can_go_to_another_process() -> None:
    config = load(COMPLETE)

    assert pickle.loads(pickle.dumps(config)) == config


WRONG_VALUES = {
    'api.port = "five"': 'api.port: found "five", expected an integer from 0 to 65535',
    "api.port = 65536": "api.port: found 65536, expected an integer from 0 to 65535",
    "api.port = -1": "api.port: found -1, expected an integer from 0 to 65535",
    "api.port = true": "api.port: found true, expected an integer from 0 to 65535",
    "api.port = 5.0": "api.port: found 5.0, expected an integer from 0 to 65535",
    "api.port = 2020-01-02": "api.port: found 2020-01-02, expected an integer",
    f"api.port = {'9' * 400}": "api.port: found a number far out of range, expected",
    "uplink.timeout_s = nan": "uplink.timeout_s: found nan, expected a number from 0.1",
    "uplink.timeout_s = inf": "uplink.timeout_s: found inf, expected a number from 0.1",
    "uplink.timeout_s = false": "uplink.timeout_s: found false, expected a number",
    "harvest.commit_interval_s = 61": "found 61, expected a number from 1 to 60",
    "harvest.packet_readings = 0": "found 0, expected an integer from 1 to 100",
    "workers.single = 1": "workers.single: found 1, expected true or false",
    'log_level = "loud"': 'log_level: found "loud", expected "debug", "info"',
    'signer.provider = "tpm"': 'found "tpm", expected "none" or "file"',
    'signer.key_file = "a\\u0000b"': "signer.key_file: found",
    'data_dir = ""': 'data_dir: found "", expected a path',
    "data_dir = 5": "data_dir: found 5, expected a path",
    'api.host = "http://x"': 'found "http://x", expected a host name or an IP address',
    'backend.url = "ftp://x/"': 'backend.url: found "ftp://x/", expected an http://',
    'uplink.endpoints = "http://x/"': 'found "http://x/", expected a list of different',
    'uplink.endpoints = ["http://x/", 7]': "uplink.endpoints, item 2: found 7, ",
    'uplink.endpoints = ["http://x", "http://x"]': "expected a list of different http",
    "api = 5": "api: found 5, expected a table, [api]",
    "device = 5": "device: found 5, expected tables that each begin with [[device]]",
    "device.x = 5": "device: found a table, expected tables that each begin with",
    "device = [5]": "device: found 5, expected tables that each begin with [[device]]",
    "api.prot = 5": "api.prot: found an unknown key, expected one of host, port, "
    "threads (did you mean port?)",
    "api.nonsense = 5": "expected one of host, port, threads",
    "uplnk.in_flight = 5": "uplnk: found an unknown key",
    '"a\\nb\\u009b" = 5': "found an unknown key",
}


@pytest.mark.parametrize("line", WRONG_VALUES)
def test_a_wrong_value_is_named_with_its_key_and_what_is_expected(line: str) -> None:
    text = mistake(line)

    assert text.startswith("egw.toml: ")
    assert WRONG_VALUES[line] in text
    assert text.isprintable()


WRONG_DEVICES = {
    'name = "Roof"': 'device 1 "Roof": name: found "Roof", expected 1 to 32 of',
    'name = "roof\\n"': 'device 1 "roof\\n": name: found "roof\\n", expected 1 to 32',
    "name = 3": "device 1 3: name: found 3, expected 1 to 32 of the characters",
    'name = ""': 'device 1: name: found "", expected 1 to 32 of the characters',
    'profile = "huawai"': 'profile: found "huawai", expected one of growatt, huawei, '
    "solaredge, sungrow (did you mean huawei?)",
    'transport = "rtu"': 'transport: found "rtu", expected "modbus-tcp", "modbus-rtu"',
    'host = "10.0.0.5:502"': 'device 1 "roof": host: found "10.0.0.5:502", expected',
    'host = ""': 'device 1 "roof": host: found "", expected a host name',
    "port = 70000": 'device 1 "roof": port: found 70000, expected an integer from 0',
    "unit = 256": 'device 1 "roof": unit: found 256, expected an integer from 0 to 255',
    "unit = true": 'device 1 "roof": unit: found true, expected an integer',
    "timeout_ms = 99": "timeout_ms: found 99, expected an integer from 100 to 10000",
    'sn = "a\\tb"': "sn: found",
    'frequency = "yes"': 'frequency: found "yes", expected true or false',
    "ip = 5": "ip: found an unknown key, expected one of name, profile, transport",
}


@pytest.mark.parametrize("line", WRONG_DEVICES)
def test_a_wrong_key_of_a_device_is_named_with_the_device(line: str) -> None:
    kept = [at for at in DEVICE.splitlines() if at.split()[0] != line.split()[0]]

    text = mistake("\n".join([*kept, line]))

    assert text.startswith("egw.toml: device 1")
    assert WRONG_DEVICES[line] in text
    assert text.isprintable()


PORT = (
    '[[device]]\nname = "meter"\nprofile = "growatt"\ntransport = "modbus-rtu"\n'
    'serial_port = "/dev/ttyUSB0"\n'
)
BRIDGE = DEVICE + 'transport = "rtu-over-tcp"\nport = 8899\n'


def test_a_device_on_a_serial_port_has_the_settings_of_most_until_told_others() -> None:
    (usual,) = load(PORT).devices
    (told,) = load(
        f'{PORT}baud_rate = 19200\nparity = "even"\nstop_bits = 2\nunit = 247\n'
    ).devices

    assert (usual.baud_rate, usual.parity, usual.stop_bits) == (9600, "none", 1)
    assert (told.baud_rate, told.parity, told.stop_bits) == (19200, "even", 2)
    assert (told.serial_port, told.host, told.unit) == ("/dev/ttyUSB0", "", 247)


def test_a_device_behind_a_bridge_has_its_address() -> None:
    (device,) = load(BRIDGE).devices

    assert (device.transport, device.port) == ("rtu-over-tcp", 8899)


MISFITS = {
    PORT + 'host = "10.0.0.5"': "host: found a key of modbus-tcp and rtu-over-tcp, "
    'expected only keys of the device\'s transport, "modbus-rtu"',
    PORT + "port = 0": "port: found a key of modbus-tcp and rtu-over-tcp, expected",
    PORT + "unit = 0": "unit: found 0, expected an integer from 1 to 247 on a serial",
    PORT + "unit = 248": "unit: found 248, expected an integer from 1 to 247",
    PORT + "baud_rate = 0": "baud_rate: found 0, expected an integer from 300 to",
    PORT + 'parity = "E"': 'parity: found "E", expected "none", "even" or "odd"',
    PORT + "stop_bits = 1.5": "stop_bits: found 1.5, expected an integer from 1 to 2",
    PORT.replace("/dev/", ""): 'serial_port: found "ttyUSB0", expected the absolute',
    PORT.replace("serial_port", "#"): "serial_port: found nothing, expected the abs",
    DEVICE + 'serial_port = "/dev/ttyS0"': "serial_port: found a key of modbus-rtu, "
    'expected only keys of the device\'s transport, "modbus-tcp"',
    DEVICE + "baud_rate = 9600": "baud_rate: found a key of modbus-rtu, expected",
    BRIDGE + 'parity = "even"': "parity: found a key of modbus-rtu, expected only",
    BRIDGE + "unit = 0": "unit: found 0, expected an integer from 1 to 247",
    BRIDGE.replace(
        "\nport =", "\n#"
    ): "port: found nothing, expected the TCP port of the",
    BRIDGE.replace("host =", "#"): "host: found nothing, expected a host name",
}


@pytest.mark.parametrize("text", MISFITS)
def test_a_key_that_does_not_go_with_the_transport_is_named(text: str) -> None:
    line = mistake(text)

    assert line.startswith("egw.toml: device 1 ")
    assert MISFITS[text] in line


def test_two_devices_on_one_serial_port_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/ttyUSB0")
    other = PORT.replace("meter", "barn")

    same = mistake(f"{PORT}unit = 1\n{other}unit = 2\n")
    linked = mistake(PORT + other.replace("/dev/ttyUSB0", str(tmp_path / "link")))

    assert same == (
        'egw.toml: device 2 "barn": serial_port: found "/dev/ttyUSB0", the port of '
        "device 1, expected a serial port of its own"
    )
    assert linked.endswith("expected a serial port of its own")


def test_devices_on_two_serial_ports_are_fine() -> None:
    other = PORT.replace("meter", "barn").replace("USB0", "USB1")

    assert len(load(PORT + other + DEVICE).devices) == 3


@pytest.mark.parametrize("key", ["name", "profile", "host"])
def test_a_device_without_a_required_key_is_refused(key: str) -> None:
    lines = [line for line in DEVICE.splitlines() if not line.startswith(key)]

    text = mistake("\n".join(lines))

    assert f": {key}: found nothing, expected " in text


def test_two_devices_of_one_name_are_refused() -> None:
    other = DEVICE.replace("10.0.0.5", "10.0.0.6")

    text = mistake(DEVICE + other)

    assert text == (
        'egw.toml: device 2 "roof": name: found "roof", the name of device 1, '
        "expected a name of its own"
    )


@pytest.mark.parametrize("address", ["", "port = 502\n", "unit = 3\nport = 502\n"])
def test_two_devices_at_one_address_are_refused(address: str) -> None:
    other = DEVICE.replace("roof", "barn")

    text = mistake(DEVICE + address + other + address)

    assert text == (
        'egw.toml: device 2 "barn": host: found "10.0.0.5" with the port and unit of '
        "device 1, expected an address of its own"
    )


@pytest.mark.parametrize("address", ["port = 503\n", "unit = 0\n"])
def test_devices_behind_one_host_differ_by_port_or_unit(address: str) -> None:
    config = load(DEVICE + DEVICE.replace("roof", "barn") + address)

    assert [device.name for device in config.devices] == ["roof", "barn"]


def test_the_first_of_several_mistakes_is_reported() -> None:
    text = mistake('[uplink]\nin_flight = 0\n[api]\nport = "x"')

    assert "uplink.in_flight" in text


def test_a_mistake_in_the_file_counts_although_a_variable_overrides_it() -> None:
    text = mistake("api.port = -5", EGW_API_PORT="80")

    assert text.startswith("egw.toml: api.port: found -5")


WRONG_VARIABLES = {
    ("EGW_API_PORT", "five"): 'api.port: found "five", expected an integer from 0',
    ("EGW_API_PORT", ""): 'api.port: found "", expected an integer from 0 to 65535',
    ("EGW_WORKERS_SINGLE", "maybe"): 'found "maybe", expected true or false',
    ("EGW_UPLINK_TIMEOUT_S", "nan"): 'found "nan", expected a number from 0.1 to 300',
    ("EGW_UPLINK_ENDPOINTS", "http://a/,b"): 'uplink.endpoints, item 2: found "b"',
    ("EGW_DATA_DIR", ""): 'data_dir: found "", expected a path',
    ("EGW_LOG_LEVEL", "x\ny"): 'log_level: found "x\\ny", expected "debug"',
}


@pytest.mark.parametrize(("variable", "value"), WRONG_VARIABLES)
def test_a_wrong_variable_is_named_with_its_key(variable: str, value: str) -> None:
    text = mistake("", **{variable: value})

    assert text.startswith(f"environment variable {variable}: ")
    assert WRONG_VARIABLES[variable, value] in text
    assert text.isprintable()


@pytest.mark.parametrize(
    ("variable", "wanted"),
    [
        ("EGW_API_PROT", "expected EGW_API_PORT"),
        ("EGW_ZZZ", "expected a variable listed in docs/configuration.md"),
        ("EGW_DEVICE_HOST", "expected devices in the configuration file only"),
    ],
)
def test_an_unknown_variable_is_refused(variable: str, wanted: str) -> None:
    text = mistake("", **{variable: "1"})

    assert text == (
        f"environment variable: {variable}: found a name that overrides no key, "
        f"{wanted}"
    )


def test_a_missing_file_is_reported() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(Path("none.toml"), {}, profiles=lambda _: PROFILES)

    assert str(caught.value) == (
        "none.toml: found no readable file (No such file or directory), "
        "expected a TOML file"
    )


def test_a_directory_is_not_a_configuration() -> None:
    with pytest.raises(ConfigError, match=r"no readable file \(Is a directory\)"):
        load_config(Path("/"), {}, profiles=lambda _: PROFILES)


def test_bytes_that_are_not_utf_8_are_reported_with_their_line() -> None:
    text = mistake(b'log_level = "info"\n# sm\xf8rrebr\xf8d\n')

    assert text == (
        "egw.toml, line 2: found bytes that are not UTF-8, expected UTF-8 text"
    )


def test_broken_toml_is_reported_with_its_line() -> None:
    text = mistake("[api]\nport 5\n")

    assert text.startswith("egw.toml, line 2, column 6: found a mistake in the TOML (")
    assert text.endswith("expected a TOML file")


@pytest.mark.parametrize(
    "broken",
    [
        "a = " + "[" * 5000,
        f"a = {'9' * 5000}",
        'a = "\n"',
        "a = 2020-99-99",
        "[a]\n[a]",
    ],
)
def test_any_broken_toml_ends_in_one_printable_line(broken: str) -> None:
    text = mistake(broken)

    assert text.startswith("egw.toml")
    assert text.isprintable()


def test_a_long_value_is_cut_in_the_message() -> None:
    text = mistake(f'log_level = "{"x" * 5000}"')

    assert len(text) < 200
