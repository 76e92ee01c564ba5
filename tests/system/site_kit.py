"""Simulated devices and backends as processes, and a hand on their faults."""

from __future__ import annotations

import json
import socket
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import urllib3

from egw.demo.children import Child
from egw.devices.frequency import frequency_ranges
from egw.devices.loader import find_profile
from egw.devices.plan import HarvestPlan
from egw.devices.profile import Point, RegisterRange, Variant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egw.crypto.file_key import FileKey

_START_WITHIN_S = 30.0
_ANSWER_WITHIN_S = 20.0


def announced(child: Child) -> dict[str, Any]:
    """Return what a simulator says when it is ready."""
    line = child.first_line(_START_WITHIN_S)
    assert line, "the simulator did not start"
    told: dict[str, Any] = json.loads(line)
    return told


class BackendClient:
    """What a test asks of a simulated backend."""

    def __init__(self, url: str, endpoint: str) -> None:
        self.url = url
        self.endpoint = endpoint

    def suffer(self, **faults: Any) -> None:
        """Make it misbehave."""
        self._request("POST", "control", json.dumps(faults).encode())

    def heal(self) -> None:
        """Let it behave."""
        self._request("POST", "control", b"null")

    def report(self) -> dict[str, Any]:
        """Return its own account."""
        report: dict[str, Any] = json.loads(self._request("GET", "report"))
        return report

    def journal(self) -> list[tuple[str, int]]:
        """Return serial number and stamp of every reading, as they came."""
        lines = self._request("GET", "journal").splitlines()
        entries = (json.loads(line) for line in lines)
        return [(entry["sn"], entry["stamp_ms"]) for entry in entries]

    def _request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        with urllib3.PoolManager(retries=False, timeout=_ANSWER_WITHIN_S) as http:
            reply = http.request(method, self.url + path, body=body)
            assert reply.status == 200, reply.data
            return reply.data


class BackendProcess(Child):
    """One more backend."""

    def __init__(self, key: FileKey) -> None:
        gateway = f"{key.serial}:{key.public_key().hex()}"
        options = ["--port", "0", "--json", "--until-eof", "--gateway", gateway]
        super().__init__(["simulators", "backend", *options], output=subprocess.PIPE)
        told = announced(self)
        self.client = BackendClient(told["url"], told["endpoint"])


class Devices:
    """Simulated devices behind one control port, as their announcement names them."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.addresses: list[dict[str, Any]] = told["devices"]
        self._control = (told["control"]["host"], told["control"]["port"])

    @property
    def names(self) -> list[str]:
        """`roof-1` and so on."""
        return [address["name"] for address in self.addresses]

    def suffer(self, device: str, **faults: Any) -> None:
        """Make one device misbehave."""
        self._ask({"device": device, "fault": faults})

    def heal(self, device: str) -> None:
        """Let it behave."""
        self._ask({"device": device, "fault": None})

    def requests(self, device: str) -> int:
        """Return how many requests have come to a device."""
        requests: int = self._ask({"get": device})["counters"]["requests"]
        return requests

    def serial(self, device: str) -> str:
        """Return the serial number of a device of a site, by its number."""
        return f"SIM{self.names.index(device) + 1:07d}"

    def pin(self, device: str) -> dict[str, int]:
        """Hold every harvested register at a word of its own; return them.

        No other pinned register of any device has its word. The registers of serial
        number and frequency stay as they are.
        """
        words = {}
        profile = next(a["profile"] for a in self.addresses if a["name"] == device)
        start = 1000 + 1000 * self.names.index(device)
        for number, (function, address) in enumerate(_pinnable(profile)):
            words[str(address)] = start + number
            place = {"device": device, "function": function, "address": address}
            self._ask({"set_register": {**place, "value": start + number}})
        return words

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with (
            closing(socket.create_connection(self._control, _ANSWER_WITHIN_S)) as sock,
            sock.makefile("rwb") as stream,
        ):
            stream.write(json.dumps(request).encode() + b"\n")
            stream.flush()
            reply: dict[str, Any] = json.loads(stream.readline())
        assert reply.pop("ok"), reply
        return reply


class Site(Child):
    """Devices and a backend that verifies every signature."""

    def __init__(self, key: FileKey, profiles: list[str]) -> None:
        gateway = f"{key.serial}:{key.public_key().hex()}"
        options = ["--json", "--until-eof", "--gateway", gateway]
        options += ["--devices", str(len(profiles)), "--profiles", ",".join(profiles)]
        super().__init__(["simulators", "site", *options], output=subprocess.PIPE)
        told = announced(self)
        self.devices = Devices(told)
        self.backend = BackendClient(
            told["backend"]["url"], told["backend"]["endpoint"]
        )


def _pinnable(profile_name: str) -> Iterator[tuple[str, int]]:
    """Yield the harvested registers that do not say what kind of device it is."""
    profile = find_profile(profile_name)
    identification = profile.identification
    names = {*identification.serial, identification.model}
    names |= {sign.point for sign in identification.signs}
    kept = [point for point in profile.points if point.key in names]
    kept += [*frequency_ranges(profile), *profile.variants.values()]
    runs = HarvestPlan.for_profile(profile, full=True).requests
    # In a packet a number that stands in both tables is that of the input register.
    for run in sorted(runs, key=lambda run: run.function):
        for address in range(run.address, run.end):
            if not any(_has(part, run.function, address) for part in kept):
                yield run.function, address


def _has(part: Point | RegisterRange | Variant, function: str, address: int) -> bool:
    end = part.address + 1 if isinstance(part, Variant) else part.end
    return part.function == function and part.address <= address < end
