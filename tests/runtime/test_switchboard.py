from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from played import Held, Hold, HoldOn, Stage, ref
from sample_actors import Echo, Number, Numbers, Sample
from waiting import HANG_S, until

from egw.runtime import ActorDown, ActorError, Ask, PeerFailed, Refused
from egw.runtime.errors import from_wire, to_wire
from egw.runtime.link import MAX_FRAME_BYTES, Frame, Kind, encode
from egw.runtime.mailbox import Mailbox
from egw.runtime.switchboard import Switchboard


@dataclass(frozen=True, slots=True)
class GiveSomething(Ask[Any]):
    pass


class Giver(Sample):
    """Answers with what the test gave it."""

    gift: Any = None

    def receive(self, message: Any) -> object:
        return self.gift if isinstance(message, GiveSomething) else message.text


class Failed(threading.Thread):
    """Asks in a thread and keeps the error."""

    def __init__(self, board: Switchboard, name: str) -> None:
        super().__init__(daemon=True)
        self._ref = ref(board, name)
        self.error: ActorError | None = None
        self.start()

    def run(self) -> None:
        try:
            self._ref.ask(Hold(), timeout=HANG_S)
        except ActorError as error:
            self.error = error


def test_a_name_that_nobody_knows_is_down() -> None:
    board = Switchboard("main")

    with pytest.raises(ActorDown, match="nobody"):
        board.ask("nobody", Echo("?"), HANG_S)


def test_a_tell_to_a_name_that_nobody_knows_is_a_dead_letter() -> None:
    board = Switchboard("main")

    board.tell("nobody", Number(1))

    assert board.dead_letters.total == 1


def test_only_the_first_of_many_dead_letters_of_a_kind_is_logged(
    events: list[Any],
) -> None:
    board = Switchboard("main")

    for _ in range(50):
        board.tell("nobody", Number(1))

    assert board.dead_letters.total == 50
    assert [(e["to"], e["why"], e["count"]) for e in events] == [
        ("nobody", "actor_down", 1)
    ]


def test_main_forwards_between_workers_without_unpacking(stage: Stage) -> None:
    one, other = stage.star.worker("one"), stage.star.worker("other")
    inbox = Mailbox()
    other.attach("signer", inbox)
    stage.star.main.route("signer", stage.star.down["other"])
    unreadable = Frame(Kind.TELL, 0, "signer", "one", b"no pickle")

    one._default.send(encode(unreadable))  # type: ignore[union-attr]

    until(lambda: other.dead_letters.total == 1)
    assert stage.star.main.dead_letters.total == 0
    one.tell("signer", Number(1))
    assert inbox.get().message == Number(1)


def test_an_ask_that_cannot_be_read_is_answered_and_harms_nobody(stage: Stage) -> None:
    worker = stage.star.worker("one")
    stage.run(Sample, "sample", worker)
    main = stage.star.main
    main.route("sample", stage.star.down["one"])
    answer = main._pending[99] = _Reply()  # type: ignore[assignment]
    poison = Frame(Kind.ASK, 99, "sample", "main", b"\x80\x05poison")

    stage.star.down["one"].send(encode(poison))

    assert answer.failed.wait(HANG_S)
    assert ref(main, "sample").ask(Echo("well"), timeout=HANG_S) == "well"


def test_an_answer_that_cannot_be_read_fails_its_ask_only(stage: Stage) -> None:
    stage.star.worker("one")
    main = stage.star.main
    answer = main._pending[99] = _Reply()  # type: ignore[assignment]
    link = stage.star.down["one"]

    main.on_frame(link, Frame(Kind.REPLY, 99, "main", "main", b"poison"), b"")

    assert answer.failed.is_set()


class _Reply:
    """Stands for an ask that waits."""

    def __init__(self) -> None:
        self.failed = threading.Event()

    def fail(self, _error: ActorError) -> None:
        self.failed.set()


@pytest.mark.parametrize(
    "gift",
    [
        pytest.param(threading.Lock(), id="a lock"),
        pytest.param(bytes(MAX_FRAME_BYTES), id="more than a frame holds"),
    ],
)
def test_an_answer_that_cannot_be_sent_fails_its_ask_only(
    stage: Stage, gift: object
) -> None:
    giver, _ = stage.run(Giver, "giver", stage.star.worker("one"))
    giver.gift = gift
    stage.star.main.route("giver", stage.star.down["one"])
    peer = ref(stage.star.main, "giver")

    with pytest.raises(ActorError, match="unsendable answer"):
        peer.ask(GiveSomething(), timeout=HANG_S)

    assert peer.ask(Echo("well"), timeout=HANG_S) == "well"


def test_a_message_too_large_for_a_frame_is_refused_by_the_sender(
    stage: Stage,
) -> None:
    worker = stage.star.worker("one")
    stage.run(Sample, "sample", worker)
    stage.star.main.route("sample", stage.star.down["one"])
    peer = ref(stage.star.main, "sample")

    with pytest.raises(ActorError):
        peer.ask(Echo("x" * MAX_FRAME_BYTES), timeout=HANG_S)

    assert peer.ask(Echo("well"), timeout=HANG_S) == "well"


def test_asks_over_a_link_fail_when_it_ends(stage: Stage) -> None:
    held, _ = stage.run(Held, "held", stage.star.worker("one"))
    stage.star.main.route("held", stage.star.down["one"])
    asker = Failed(stage.star.main, "held")
    assert held.holding.wait(HANG_S)

    stage.star.down["one"].close()

    asker.join(HANG_S)
    assert isinstance(asker.error, ActorDown)


def test_forwarded_asks_fail_when_the_link_to_the_addressee_ends(stage: Stage) -> None:
    one, other = stage.star.worker("one"), stage.star.worker("other")
    held, _ = stage.run(Held, "held", other)
    stage.star.main.route("held", stage.star.down["other"])
    asker = Failed(one, "held")
    assert held.holding.wait(HANG_S)

    stage.star.down["other"].close()

    asker.join(HANG_S)
    assert isinstance(asker.error, ActorDown)


def test_the_end_of_one_link_leaves_the_asks_over_another(stage: Stage) -> None:
    stage.star.worker("one")
    held, _ = stage.run(Held, "held", stage.star.worker("other"))
    stage.star.main.route("held", stage.star.down["other"])
    asker = Failed(stage.star.main, "held")
    assert held.holding.wait(HANG_S)

    stage.star.down["one"].close()
    until(lambda: "one" not in stage.star.main._routes)
    held.release.set()

    asker.join(HANG_S)
    assert asker.error is None


def test_names_behind_a_link_that_ended_are_down_until_they_are_routed_again(
    stage: Stage,
) -> None:
    stage.star.worker("one")
    stage.star.main.route("sample", stage.star.down["one"])
    stage.star.down["one"].close()
    until(lambda: "sample" not in stage.star.main._routes)

    with pytest.raises(ActorDown):
        ref(stage.star.main, "sample").ask(Echo("?"), timeout=HANG_S)
    stage.run(Sample, "sample", stage.star.worker("two"))
    stage.star.main.route("sample", stage.star.down["two"])

    assert ref(stage.star.main, "sample").ask(Echo("!"), timeout=HANG_S) == "!"


def test_answers_to_a_former_incarnation_meet_no_ask_of_the_next() -> None:
    first = Switchboard("one", incarnation=1)
    second = Switchboard("one", incarnation=2)

    of_first = {next(first._serials) for _ in range(1000)}
    of_second = {next(second._serials) for _ in range(1000)}

    assert not of_first & of_second


def test_nothing_is_kept_of_asks_that_were_answered(stage: Stage) -> None:
    stage.run(Sample, "sample", stage.star.worker("one"))
    main = stage.star.main
    main.route("sample", stage.star.down["one"])

    for _ in range(20):
        ref(main, "sample").ask(Numbers(), timeout=HANG_S)

    assert main._pending == {}
    assert not any(main._in_flight.values())


def test_a_full_mailbox_in_another_process_makes_tells_dead_letters(
    stage: Stage,
) -> None:
    held, peers = stage.run(Held, "held", stage.star.worker("one"))
    stage.star.main.route("held", stage.star.down["one"])
    peer = ref(stage.star.main, "held")
    peer.tell(HoldOn())
    assert held.holding.wait(HANG_S)

    for _ in range(10):
        peer.tell(HoldOn())

    until(lambda: len(peers.dead_letters) == 7)
    assert held.mailbox.depth == 3


def test_errors_keep_their_kind_reason_and_text_over_the_wire() -> None:
    refusal = from_wire(*pickle.loads(pickle.dumps(to_wire(Refused("busy", "wait")))))

    assert isinstance(refusal, Refused)
    assert (refusal.reason, str(refusal)) == ("busy", "wait")
    assert isinstance(from_wire(*to_wire(ActorDown("gone"))), ActorDown)
    assert str(from_wire(*to_wire(ValueError("7")))) == "ValueError: 7"


def test_a_code_that_nobody_knows_is_a_failure_of_the_peer() -> None:
    assert isinstance(from_wire("from_the_future", "?"), PeerFailed)


class Way:
    """All that a switchboard knows of a link that it forgets."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> bool:
        self.sent.append(data)
        return True


def test_forgetting_links_spares_the_new_ways_that_come_meanwhile(
    quick_switches: None,
) -> None:
    names = [f"inverter/{number}" for number in range(200)]
    for _ in range(50):
        board = Switchboard("main")
        old, other, new = Way("old#1"), Way("other#1"), Way("old#2")
        for name in names:
            board.route(name, old)  # type: ignore[arg-type]
            board.route(f"other/{name}", other)  # type: ignore[arg-type]

        with ThreadPoolExecutor(2) as threads:
            forgetting = [threads.submit(board.unroute, way) for way in (old, other)]  # type: ignore[arg-type]
            for name in names:
                board.route(name, new)  # type: ignore[arg-type]
        for future in forgetting:
            future.result()
        for name in names:
            board.tell(name, Number(1))

        assert len(new.sent) == len(names)
