"""UplinkActor: delivers signed packets to one endpoint, oldest first for each device.

It asks harvest for as many packets as it has room for, keeps each until the endpoint
has answered for it, and repeats the same bytes after a failure. Posting happens in a
few threads of its own, so that an endpoint that hangs does not hang the actor.
"""

from __future__ import annotations

import random
import uuid
from collections import OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, assert_never

from egw.actors.posting import Poster, PostError
from egw.messages import (
    API,
    GATEWAY,
    HARVEST,
    Deliver,
    Delivered,
    Packet,
    Rejected,
    UplinkStatus,
    Want,
)
from egw.runtime import Actor, Context, Tell

_TICK_S = 0.1
_PUBLISH_S = 1.0
_ROOM_FOR_EACH_THREAD = 4
_DEVICES_AT_LEAST = 4
"""So many share the room when there is much to deliver."""
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 60.0
_REMEMBERED = 10_000
_PACKET_IS_BAD = (400, 413, 415, 422)
"""The packet will not be taken, however often it is sent; all else is repeated."""


@dataclass(frozen=True, slots=True)
class Posted(Tell):
    """From a posting thread. `error` is empty when the endpoint took the packet."""

    session: str
    packet: Packet
    status: int
    """HTTP status; 0 when no reply came."""
    error: str
    retry_after_s: float | None


@dataclass(frozen=True, slots=True)
class _Tick(Tell):
    """Timer: spend the allowance, end a pause."""


@dataclass(frozen=True, slots=True)
class _Publish(Tell):
    """Timer: tell how the uplink is, ask for more."""


Inbox = Deliver | Posted | _Tick | _Publish


class UplinkActor(Actor[Inbox]):
    """See the module."""

    patience_s = 10.0

    def __init__(
        self,
        context: Context,
        *,
        endpoint: str,
        timeout_s: float = 10.0,
        in_flight: int = 8,
        max_packets_per_s: float = 500.0,
    ) -> None:
        super().__init__(context)
        self._endpoint = endpoint
        self._in_flight = in_flight
        self._room = in_flight * _ROOM_FOR_EACH_THREAD
        self._room_each = max(1, self._room // _DEVICES_AT_LEAST)
        self._rate = max_packets_per_s
        self._allowance = 0.0
        self._session = uuid.uuid4().hex
        self._poster = Poster(timeout_s=timeout_s, connections=in_flight)
        self._threads = ThreadPoolExecutor(in_flight, f"{context.name}-post")
        self._queues: dict[str, deque[Packet]] = {}
        self._held: set[int] = set()
        self._asked = False
        """Whether harvest has been asked and has not given anything since."""
        self._posting: dict[str, int] = {}
        """By device: how many failures in a row there were when its post began."""
        self._done: OrderedDict[int, str] = OrderedDict()
        """Why it was rejected, empty when it was taken; by packet."""
        self._delivered = self._rejected = self._failed = 0
        self._failures_in_a_row = 0
        self._reason = ""
        self._paused_until = 0.0

    def started(self) -> None:
        """Ask for the first packets."""
        self._want()
        self.every(_TICK_S, _Tick())
        self.every(_PUBLISH_S, _Publish())

    def stopping(self) -> None:
        """Leave what is not delivered to the next start; it is all on disk."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._poster.close()

    def receive(self, message: Inbox) -> None:
        """Handle one message, then post what may be posted."""
        match message:
            case Deliver(packets):
                self._take(packets)
            case Posted():
                self._posted(message)
            case _Tick():
                share = self._rate * _TICK_S
                self._allowance = min(self._allowance + share, max(share, 1.0))
            case _Publish():
                self._publish()
                self._want()
            case _:
                assert_never(message)
        self._post_more()

    def _want(self) -> None:
        self._asked = True
        free = self._room - len(self._held)
        full = tuple(d for d, q in self._queues.items() if len(q) >= self._room_each)
        self.ref(HARVEST).tell(
            Want(self.name, self._endpoint, self._session, free, full)
        )

    def _take(self, packets: tuple[Packet, ...]) -> None:
        self._asked = False
        for packet in packets:
            if packet.id in self._done:
                # Harvest was restarted before it could write down the outcome.
                self._report(packet, self._done[packet.id])
            elif packet.id not in self._held:
                self._held.add(packet.id)
                self._queues.setdefault(packet.device, deque()).append(packet)

    def _post_more(self) -> None:
        if self.clock.monotonic() < self._paused_until:
            return
        # After a failure one packet at a time tries whether the endpoint is back.
        limit = 1 if self._failures_in_a_row else self._in_flight
        for device, queue in self._queues.items():
            if len(self._posting) >= limit or self._allowance < 1:
                return
            if queue and device not in self._posting:
                self._allowance -= 1
                self._posting[device] = self._failures_in_a_row
                self._threads.submit(self._post, queue[0])

    def _post(self, packet: Packet) -> None:
        """Run in a posting thread; touches nothing of the actor but its mailbox."""
        status, error, retry_after_s = 0, "", None
        try:
            reply = self._poster.post(
                self._endpoint, packet.jwt, content_type="text/plain"
            )
            status, retry_after_s = reply.status, reply.retry_after_s
            if status != 200:
                text = reply.body[:200].decode("utf-8", "replace")
                error = f"HTTP {status}: {text}"
        except PostError as failure:
            error = str(failure)
        except Exception as bug:  # noqa: BLE001 - without an answer the device waits
            error = f"{type(bug).__name__}: {bug}"
        self.ref(self.name).tell(
            Posted(self._session, packet, status, error, retry_after_s)
        )

    def _posted(self, message: Posted) -> None:
        if message.session != self._session:
            # From a thread that a former incarnation left behind.
            return
        failures_before = self._posting.pop(message.packet.device)
        if not message.error:
            self._delivered += 1
            self._finish(message.packet, "")
        elif message.status in _PACKET_IS_BAD:
            self._rejected += 1
            self._finish(message.packet, message.error)
        else:
            self._failing(message, failures_before)

    def _report(self, packet: Packet, reason: str) -> None:
        if reason:
            self.ref(HARVEST).tell(Rejected(self._endpoint, packet.id, reason))
        else:
            self.ref(HARVEST).tell(Delivered(self._endpoint, packet.id))

    def _finish(self, packet: Packet, rejected: str) -> None:
        self._report(packet, rejected)
        if self._failures_in_a_row:
            self.log.info("uplink.recovered", endpoint=self._endpoint)
        self._failures_in_a_row = 0
        self._reason = ""
        self._held.discard(packet.id)
        queue = self._queues[packet.device]
        queue.popleft()
        if not queue:
            del self._queues[packet.device]
        self._done[packet.id] = rejected
        if len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)
        if len(self._held) <= self._room // 2 and not self._asked:
            self._want()

    def _failing(self, message: Posted, failures_before: int) -> None:
        if not self._failures_in_a_row:
            self.log.warning(
                "uplink.failing", endpoint=self._endpoint, error=message.error
            )
        self._failed += 1
        # Posts that were under way together count as one failure.
        self._failures_in_a_row = max(self._failures_in_a_row, failures_before + 1)
        self._reason = message.error
        # Another device's packet tries next: this one alone may be the trouble.
        device = message.packet.device
        self._queues[device] = self._queues.pop(device)
        pause_s = self._pause_s(message.retry_after_s)
        self._paused_until = self.clock.monotonic() + pause_s

    def _pause_s(self, retry_after_s: float | None) -> float:
        doublings = min(self._failures_in_a_row - 1, 20)
        pause_s = min(_FIRST_PAUSE_S * 2.0**doublings, _LONGEST_PAUSE_S)
        pause_s *= random.uniform(0.8, 1.0)  # noqa: S311 - spreads load, no secret
        return float(max(pause_s, retry_after_s or 0.0))

    def _publish(self) -> None:
        state: Literal["idle", "delivering", "failing"] = "idle"
        if self._failures_in_a_row:
            state = "failing"
        elif self._held:
            state = "delivering"
        status = UplinkStatus(
            uplink=self.name,
            endpoint=self._endpoint,
            state=state,
            reason=self._reason,
            delivered=self._delivered,
            rejected=self._rejected,
            failed=self._failed,
            retry_in_s=max(0.0, self._paused_until - self.clock.monotonic()),
        )
        self.ref(API).tell(status)
        self.ref(GATEWAY).tell(status)
