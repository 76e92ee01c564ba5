"""A data directory, a simulated site, and the gateways that run there in turn."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Self

from egw.crypto.file_key import FileKey
from egw.demo.children import DemoError, Gateway, Site
from egw.demo.verdict import Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_ANSWER_WITHIN_S = 30.0
_DRAIN_WITHIN_S = 120.0
_TAIL_LINES = 5


class Setting:
    """Ends its site when it is left; the directory belongs to the caller."""

    def __init__(
        self,
        directory: Path,
        *,
        devices: int,
        port: int,
        profiles: str = "",
        tables: Sequence[str] = (),
    ) -> None:
        """Start the site; `tables` are further lines of the configuration."""
        self.directory = directory
        self.port = port
        self._tables = tuple(tables)
        key = FileKey.open(directory / "signer.pem")
        self._serial = key.serial
        self.site = Site(
            devices=devices,
            gateway=f"{key.serial}:{key.public_key().hex()}",
            profiles=profiles,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.site.stop()

    @property
    def log(self) -> Path:
        """Where all the gateways write."""
        return self.directory / "gateway.log"

    def start(self, *, with_devices: bool = True) -> Gateway:
        """Start a gateway; returns at once."""
        config = self.directory / "egw.toml"
        config.write_text(self._toml(self.site.devices if with_devices else []))
        with self.log.open("ab") as log:
            return Gateway(config, port=self.port, log=log)

    def check_it_is_ours(self, gateway: Gateway) -> None:
        """Raise DemoError when another gateway has the port."""
        crypto = gateway.patient_get("/api/crypto", _ANSWER_WITHIN_S)
        if crypto["serialNumber"] != self._serial:
            raise DemoError(
                f"another gateway answers on port {self.port}; "
                "name a free port with --port"
            )

    def drain(self) -> None:
        """Let a gateway without devices deliver what is left on disk.

        Raises DemoError when it does not manage in two minutes.
        """
        deadline = time.monotonic() + _DRAIN_WITHIN_S
        with self.start(with_devices=False) as gateway:
            self.check_it_is_ours(gateway)
            while time.monotonic() < deadline:
                state = gateway.patient_get("/api/state", _ANSWER_WITHIN_S)
                if state["outbox"] and state["outbox"]["waiting_packets"] == 0:
                    return
                time.sleep(0.05)
        raise DemoError(f"not everything was delivered within {_DRAIN_WITHIN_S:g} s")

    def judge(self) -> Verdict:
        """Compare what is on disk with what the backend got."""
        return judge(self.directory / "outbox.db", self.site.journal())

    def log_tail(self) -> str:
        """Return the last lines of the gateways' log."""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])

    def _toml(self, devices: list[dict[str, Any]]) -> str:
        lines = [
            f"data_dir = {json.dumps(str(self.directory))}",
            f'api = {{ host = "127.0.0.1", port = {self.port} }}',
            f"uplink = {{ endpoints = [{json.dumps(self.site.endpoint)}] }}",
            f"backend = {{ url = {json.dumps(self.site.backend_url)} }}",
            'signer = { provider = "file" }',
            *self._tables,
        ]
        for device in devices:
            lines.append("[[device]]")
            lines += [
                f"{key} = {json.dumps(device[key])}"
                for key in ("name", "profile", "host", "port", "unit")
            ]
        return "\n".join(lines) + "\n"
