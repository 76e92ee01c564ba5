"""`GET /api/actors`: the supervision tree and what its processes cost."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from egw.api.processes import ProcessCost, ProcessCosts
from egw.api.replies import send
from egw.api.uptime import described

if TYPE_CHECKING:
    from falcon import Request, Response

    from egw.api.uptime import DescribeTree
    from egw.runtime.clock import Clock
    from egw.runtime.control import TreeView

_UNKNOWN = ProcessCost(None, None)


class Actors:
    """Asks the supervisor each time."""

    def __init__(self, describe: DescribeTree, clock: Clock) -> None:
        self._describe = describe
        self._costs = ProcessCosts(clock)

    def on_get(self, _req: Request, resp: Response) -> None:
        """Answer the tree; 503 when the supervisor does not answer."""
        send(resp, self._with_costs(described(self._describe)))

    def _with_costs(self, tree: TreeView) -> dict[str, Any]:
        pids = {worker.pid for worker in tree.workers if worker.pid is not None}
        costs = self._costs.of(pids | {tree.main_pid})
        body = asdict(tree)
        body["main"] = {"pid": tree.main_pid} | asdict(costs[tree.main_pid])
        for shown, actor in zip(body["actors"], tree.actors, strict=True):
            shown["gauges"] = actor.gauges and actor.gauges._asdict()
        for worker in body["workers"]:
            worker |= asdict(costs.get(worker["pid"], _UNKNOWN))
        return body
