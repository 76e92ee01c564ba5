"""Messages as the actors send them, made by hand."""

from __future__ import annotations

import struct
from typing import Any

from egw.devices.blocks import Block
from egw.messages import (
    BackendStatus,
    DeviceStatus,
    FrequencySamples,
    GatewayStatus,
    Identity,
    Live,
    OutboxStatus,
    Reading,
    SignerStatus,
    Suspect,
    UplinkStatus,
)
from egw.runtime import ActorView, TreeView, WorkerView
from egw.runtime.control import ActorGauges

PUBLIC_KEY = bytes(range(64))
NOW_MS = 1_700_000_000_000


def device_status(device: str = "roof", **changes: Any) -> DeviceStatus:
    values: dict[str, Any] = {
        "device": device,
        "profile": "huawei",
        "host": "192.168.1.20",
        "port": 502,
        "unit": 1,
        "sn": "HV2001",
        "state": "online",
        "reason": "",
        "session": "a1",
        "since_ms": NOW_MS - 60_000,
        "samples_taken": 600,
        "samples_missed": 2,
        "readings_taken": 60,
        "readings_unstored": 3,
        "readings_dropped": 0,
        "sample_rate_hz": 9.98,
        "reading_rate_hz": 1.0,
        "requests": 700,
        "failures": 1,
        "success_percent": 99.5,
        "quarantined": 0,
        "max_registers": 125,
    }
    return DeviceStatus(**(values | changes))


def samples(*hz: float, first_ms: int = NOW_MS - 1000, late: float = 0.4) -> Any:
    stamps = tuple(first_ms + 100 * n for n in range(len(hz)))
    return FrequencySamples(stamps, hz, (late,) * len(hz))


def huawei_reading(
    *, power_w: int = 1912, hz: float = 50.02, stamp_ms: int = NOW_MS - 500
) -> Reading:
    words = [0] * 31
    words[1] = words[32080 - 32064 + 1] = power_w
    words[32085 - 32064] = round(hz * 100)
    data = struct.pack(">31H", *words)
    return Reading(
        stamp_ms,
        (Block("holding", 32064, data),),
        first_read_ms=stamp_ms + 50,
        last_read_ms=stamp_ms + 120,
    )


def live(
    device: str = "roof",
    *,
    frequency: FrequencySamples | None = None,
    reading: Reading | None = None,
    suspects: tuple[Suspect, ...] = (),
    **status: Any,
) -> Live:
    if frequency is None:
        frequency = samples(50.0, 50.01, 50.02)
    return Live(device_status(device, **status), frequency, reading, suspects)


def identity() -> Identity:
    return Identity("file", "egw software key", "00a1b2c3d4e5f60718", PUBLIC_KEY)


def signer_status(**changes: Any) -> SignerStatus:
    values: dict[str, Any] = {
        "state": "ready",
        "reason": "",
        "signed": 12,
        "identity": identity(),
    }
    return SignerStatus(**(values | changes))


def outbox_status(**changes: Any) -> OutboxStatus:
    values: dict[str, Any] = {
        "state": "ok",
        "waiting_packets": 4,
        "unsigned_packets": 1,
        "quarantined_packets": 0,
        "oldest_waiting_ms": NOW_MS - 8_000,
        "stored_bytes": 40_960,
        "committed_readings": 120,
        "committed_packets": 12,
        "signed_packets": 11,
        "delivered_packets": 8,
        "dropped_packets": 0,
        "damaged_files": 0,
    }
    return OutboxStatus(**(values | changes))


def uplink_status(uplink: str = "uplink/1", **changes: Any) -> UplinkStatus:
    values: dict[str, Any] = {
        "uplink": uplink,
        "endpoint": "http://127.0.0.1:8080/gw/data/",
        "state": "idle",
        "reason": "",
        "delivered": 8,
        "rejected": 0,
        "failed": 0,
        "retry_in_s": 0.0,
    }
    return UplinkStatus(**(values | changes))


def backend_status(name: str = "Macho Beige Gecko", reason: str = "") -> BackendStatus:
    return BackendStatus(name, "known" if name else "asking", reason)


def gateway_status(**changes: Any) -> GatewayStatus:
    values: dict[str, Any] = {
        "state": "harvesting",
        "reasons": (),
        "since_ms": NOW_MS - 30_000,
    }
    return GatewayStatus(**(values | changes))


def tree(main_pid: int, *, worker_pid: int | None = None) -> TreeView:
    gauges = ActorGauges("harvest", 0, 3, 100, 0, 0, 0.0, "", 20, 90, "")
    return TreeView(
        main_pid=main_pid,
        uptime_s=61.5,
        dead_letters=0,
        recoveries_ms=(7.5,),
        workers=(WorkerView("core", worker_pid, "up", 1, 0, None, 0),),
        actors=(
            ActorView("harvest", "core", "up", 1, 0, True, "", gauges),
            ActorView("signer", "core", "suspended", 4, 3, True, "OSError: x", None),
        ),
    )
