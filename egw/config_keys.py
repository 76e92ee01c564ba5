"""The configuration: every key with its type, range, default and meaning.

Errors, environment variables and docs/configuration.md are made from these structs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import msgspec
from msgspec import Meta

from egw.config_values import (
    has_no_doubles,
    has_no_null,
    is_absolute_path,
    is_host,
    is_http_url,
    is_http_url_or_empty,
    is_short_and_printable,
)

ENVIRONMENT_PREFIX = "EGW_"

HttpUrl = Annotated[
    str,
    Meta(
        extra={
            "expected": "an http:// or https:// URL without user name and #fragment",
            "check": is_http_url,
        }
    ),
]
OptionalHttpUrl = Annotated[
    str,
    Meta(
        extra={
            "expected": "an http:// or https:// URL, or an empty text for none",
            "check": is_http_url_or_empty,
        }
    ),
]
Host = Annotated[
    str,
    Meta(
        extra={
            "expected": "a host name or an IP address, without scheme and port",
            "check": is_host,
        }
    ),
]

Transport = Literal["modbus-tcp", "modbus-rtu", "rtu-over-tcp"]


class Table(msgspec.Struct, frozen=True):
    """A frozen table of the configuration."""


class Api(Table, frozen=True, kw_only=True):
    """The REST API and the status page."""

    host: Annotated[Host, Meta(description="Address to listen on.")] = "0.0.0.0"  # noqa: S104 - the page is for the local network
    port: Annotated[
        int, Meta(ge=0, le=65535, description="TCP port; 0 takes any free one.")
    ] = 5000
    threads: Annotated[
        int, Meta(ge=1, le=64, description="Requests that are answered at a time.")
    ] = 4


class Uplink(Table, frozen=True, kw_only=True):
    """Delivery of signed packets."""

    endpoints: Annotated[
        tuple[HttpUrl, ...],
        Meta(
            description="Addresses that every packet is posted to; with none, packets "
            "are kept. In the environment: separated by commas.",
            extra={
                "expected": "a list of different http:// or https:// URLs",
                "check": has_no_doubles,
            },
        ),
    ] = ()
    timeout_s: Annotated[
        float,
        Meta(ge=0.1, le=300, description="Seconds to wait for an endpoint's answer."),
    ] = 10.0
    max_packets_per_s: Annotated[
        int,
        Meta(ge=1, le=10000, description="Bound on the rate that drains a backlog."),
    ] = 500
    in_flight: Annotated[
        int,
        Meta(ge=1, le=64, description="Packets posted at the same time."),
    ] = 8


class Backend(Table, frozen=True, kw_only=True):
    """The service that knows the gateway's name."""

    url: Annotated[
        OptionalHttpUrl,
        Meta(description="GraphQL address; empty: the gateway does not ask."),
    ] = ""
    timeout_s: Annotated[
        float, Meta(ge=0.1, le=300, description="Seconds to wait for an answer.")
    ] = 10.0


class Signer(Table, frozen=True, kw_only=True):
    """The key that signs packets."""

    provider: Annotated[
        Literal["none", "file"],
        Meta(
            description='Where the key is: `"file"` is a software key in a file, made '
            'at first start; with `"none"` packets are kept unsigned and not sent.'
        ),
    ] = "none"
    key_file: Annotated[
        str,
        Meta(
            description="PEM file of the software key; a relative path starts at "
            "`data_dir`; empty: `signer.pem`.",
            extra={"expected": "a path", "check": has_no_null},
        ),
    ] = ""


class Harvest(Table, frozen=True, kw_only=True):
    """How readings become packets."""

    packet_readings: Annotated[
        int, Meta(ge=1, le=100, description="Readings of one device in a packet.")
    ] = 10
    commit_interval_s: Annotated[
        float,
        Meta(
            ge=1,
            le=60,
            description="Longest time between commits, in seconds: what a power cut "
            "can take.",
        ),
    ] = 10.0


class Outbox(Table, frozen=True, kw_only=True):
    """The store of packets on disk."""

    max_mb: Annotated[
        int,
        Meta(
            ge=1,
            le=1048576,
            description="Size in megabytes beyond which the oldest packets go.",
        ),
    ] = 512
    max_age_days: Annotated[
        int,
        Meta(ge=1, le=3650, description="Age in days at which a packet is dropped."),
    ] = 30
    keep_delivered_s: Annotated[
        int,
        Meta(
            ge=0, le=604800, description="Seconds for which a delivered packet is kept."
        ),
    ] = 3600


class Workers(Table, frozen=True, kw_only=True):
    """How actors are spread over processes."""

    single: Annotated[
        bool,
        Meta(description="Put all actors but main into one worker, to save memory."),
    ] = False
    devices: Annotated[
        int,
        Meta(
            ge=0,
            le=64,
            description="Workers that share the devices, at most one for each device; "
            "0: one for each core.",
        ),
    ] = 0


class Device(Table, frozen=True, kw_only=True):
    """One inverter or meter; repeat `[[device]]` for each."""

    name: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9-]{1,32}\Z",
            description="Unique name: 1 to 32 of `a-z`, `0-9` and `-`.",
            extra={"expected": "1 to 32 of the characters a-z, 0-9 and -"},
        ),
    ]
    profile: Annotated[
        str,
        Meta(
            description="Profile that describes this type of device.",
            extra={"expected": "the name of a profile"},
        ),
    ]
    transport: Annotated[
        Transport,
        Meta(
            description='How the device is reached: `"modbus-rtu"` on a serial port, '
            '`"rtu-over-tcp"` through a bridge that passes on bytes as they are.'
        ),
    ] = "modbus-tcp"
    host: Annotated[
        Host,
        Meta(description="Address of the device or bridge; not with `modbus-rtu`."),
    ] = ""
    port: Annotated[
        int,
        Meta(
            ge=0,
            le=65535,
            description="TCP port; 0: the profile's. Required with `rtu-over-tcp`, not "
            "with `modbus-rtu`.",
        ),
    ] = 0
    serial_port: Annotated[
        str,
        Meta(
            description="Path of the serial port, best one in `/dev/serial/by-id`; "
            "with `modbus-rtu` only, as are the next three.",
            extra={
                "expected": "the absolute path of a serial port",
                "check": is_absolute_path,
            },
        ),
    ] = ""
    baud_rate: Annotated[
        int, Meta(ge=300, le=4_000_000, description="Bits a second on the line.")
    ] = 9600
    parity: Annotated[
        Literal["none", "even", "odd"], Meta(description="Parity bit of a character.")
    ] = "none"
    stop_bits: Annotated[
        int, Meta(ge=1, le=2, description="Stop bits of a character.")
    ] = 1
    unit: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=255,
                description="Modbus unit id, 1 to 247 on a serial line; left out: the "
                "profile's, or of several the first that answers.",
            ),
        ]
        | None
    ) = None
    timeout_ms: Annotated[
        int,
        Meta(ge=100, le=10000, description="Milliseconds to wait for an answer."),
    ] = 1000
    sn: Annotated[
        str,
        Meta(
            description="Serial number to use where the device names none.",
            extra={
                "expected": "at most 64 printable characters",
                "check": is_short_and_printable,
            },
        ),
    ] = ""
    frequency: Annotated[
        bool, Meta(description="Sample the grid frequency ten times a second.")
    ] = True


class Config(Table, frozen=True, kw_only=True):
    """The whole configuration of one gateway."""

    data_dir: Annotated[
        Path,
        Meta(description="Directory for everything that the gateway keeps on disk."),
    ] = Path("/data/egw")
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="Least level of the events that are logged."),
    ] = "info"
    api: Api = Api()
    uplink: Uplink = Uplink()
    backend: Backend = Backend()
    signer: Signer = Signer()
    harvest: Harvest = Harvest()
    outbox: Outbox = Outbox()
    workers: Workers = Workers()
    devices: tuple[Device, ...] = msgspec.field(name="device", default=())

    @property
    def signer_key_path(self) -> Path:
        """Where the software key is."""
        return self.data_dir / (self.signer.key_file or "signer.pem")


class Key(NamedTuple):
    """A key outside `[[device]]`, as the environment and the documentation see it."""

    table: str
    """Name of its table; empty at the top of the file."""
    name: str
    kind: Any
    """Its type with range and description."""
    default: Any

    @property
    def dotted(self) -> str:
        """The key as errors and TOML write it: `api.port`."""
        return f"{self.table}.{self.name}" if self.table else self.name

    @property
    def variable(self) -> str:
        """The environment variable that overrides it: `EGW_API_PORT`."""
        return ENVIRONMENT_PREFIX + self.dotted.replace(".", "_").upper()


def keys() -> Iterator[Key]:
    """Yield every key but those of devices, in the order of the structs."""
    for field in msgspec.structs.fields(Config):
        if table := table_type(field.type):
            for inner in msgspec.structs.fields(table):
                yield Key(field.name, inner.name, inner.type, inner.default)
        elif not entry_type(field.type):
            yield Key("", field.name, field.type, field.default)


def table_type(kind: Any) -> type[Table] | None:
    """Return the struct of a `[table]`; None when the type is not one."""
    is_table = isinstance(kind, type) and issubclass(kind, Table)
    return kind if is_table else None


def entry_type(kind: Any) -> type[Table] | None:
    """Return the struct of one entry of a `[[list]]`; None when the type is not one."""
    return table_type(get_args(kind)[0]) if get_origin(kind) is tuple else None
