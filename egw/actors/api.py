"""ApiActor: keeps what the others tell for those who ask over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, assert_never

from egw.api.app import create_app
from egw.api.server import ApiServer
from egw.api.snapshot import Snapshot
from egw.messages import (
    BackendStatus,
    DeviceStatus,
    GatewayStatus,
    Identity,
    Live,
    OutboxStatus,
    SignerStatus,
    UplinkStatus,
)
from egw.runtime import SUPERVISOR, Actor, Context, Describe, Tell, TreeView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egw.runtime.mailbox import Overflow

_DESCRIBE_WITHIN_S = 1.0
_BIND_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Listen(Tell):
    """Timer: try to have the port again."""


Inbox = (
    Live
    | DeviceStatus
    | OutboxStatus
    | UplinkStatus
    | SignerStatus
    | Identity
    | BackendStatus
    | GatewayStatus
    | Listen
)


class ApiActor(Actor[Inbox]):
    """Serves HTTP on `host` and `port` (0: any free one) with `threads` threads.

    `profiles` maps each configured device to its profile's name; profiles of the
    user's own are looked for in `data_dir`/profiles.
    """

    mailbox_capacity: ClassVar[int] = 5000
    overflow: ClassVar[Overflow] = "oldest"

    def __init__(
        self,
        context: Context,
        *,
        host: str,
        port: int,
        threads: int,
        profiles: Mapping[str, str],
        data_dir: str,
    ) -> None:
        super().__init__(context)
        self._host = host
        self._port = port
        self._threads = threads
        self.server: ApiServer | None = None
        """None while the port cannot be had."""
        self._bind_trouble = ""
        self._snapshot = Snapshot(
            profiles, clock=context.clock, profile_dir=Path(data_dir) / "profiles"
        )
        self._app = create_app(self._snapshot, self._describe)

    def _describe(self) -> TreeView:
        return self.ref(SUPERVISOR).ask(Describe(), timeout=_DESCRIBE_WITHIN_S)

    def started(self) -> None:
        """Listen; when the port is taken, go on trying."""
        self._listen()

    def stopping(self) -> None:
        """Close the port and all connections."""
        if self.server is not None:
            self.server.close()
            self.server = None

    def receive(self, message: Inbox) -> None:
        """Note what was told."""
        snapshot = self._snapshot
        match message:
            case Live():
                snapshot.add_live(message)
            case DeviceStatus():
                snapshot.add_device_status(message)
            case OutboxStatus():
                snapshot.add_outbox(message)
            case UplinkStatus():
                snapshot.add_uplink(message)
            case SignerStatus():
                snapshot.add_signer(message)
            case Identity():
                snapshot.add_identity(message)
            case BackendStatus():
                snapshot.add_backend(message)
            case GatewayStatus():
                snapshot.add_gateway(message)
            case Listen():
                self._listen()
            case _:
                assert_never(message)

    def _listen(self) -> None:
        try:
            self.server = ApiServer(
                self._app, host=self._host, port=self._port, threads=self._threads
            )
        except OSError as error:
            reason = error.strerror or str(error)
            if reason != self._bind_trouble:
                self.log.warning(
                    "api.bind_failed", host=self._host, port=self._port, error=reason
                )
            self._bind_trouble = reason
            self.after(_BIND_AGAIN_S, Listen())
        else:
            self.log.info("api.listening", host=self._host, port=self.server.port)
