from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

from hypothesis import given
from hypothesis import strategies as st

from egw.runtime.logs import MAX_LINE_BYTES, _render_json

TALKER = """
import logging, structlog, sys
from egw.runtime.logs import configure_logs
configure_logs(sys.argv[1], level="info", incarnation=2)
log = structlog.get_logger()
for number in range(300):
    log.info("talk", number=number, text="x" * (number * 37 % 5000))
"""

ONE_OF_EACH = """
import logging, structlog
from egw.runtime.logs import configure_logs
configure_logs("core", level="info", incarnation=2)
log = structlog.get_logger().bind(actor="signer")
log.debug("not.shown")
log.warning("chip.slow", took_ms=1.5)
try:
    1 / 0
except ZeroDivisionError:
    log.exception("chip.failed")
logging.getLogger("some.library").warning("said %s", "this")
logging.getLogger("waitress").warning("chatter")
"""


def run(script: str, *arguments: str, out: int = subprocess.PIPE) -> list[str]:
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, stdout=out, check=True, timeout=60, text=True)
    return (done.stdout or "").splitlines()


def test_an_event_is_one_json_line_with_its_process_and_actor() -> None:
    lines = [json.loads(line) for line in run(ONE_OF_EACH)]

    slow = lines[0]
    assert slow["event"] == "chip.slow"
    assert (slow["process"], slow["incarnation"], slow["actor"]) == (
        "core",
        2,
        "signer",
    )
    assert slow["took_ms"] == 1.5
    assert slow["level"] == "warning"
    assert {"pid", "timestamp"} <= slow.keys()
    assert "ZeroDivisionError" in lines[1]["exception"]


def test_libraries_speak_in_the_same_stream_but_for_the_noisy_ones() -> None:
    lines = [json.loads(line) for line in run(ONE_OF_EACH)]

    assert lines[2]["event"] == "said this"
    assert lines[2]["logger"] == "some.library"
    assert len(lines) == 3


VALUES = st.one_of(
    st.text(max_size=9000),
    st.integers(),
    st.binary(max_size=100),
    st.lists(st.text(max_size=50), max_size=200),
)


@given(st.text(max_size=6000), st.dictionaries(st.text(max_size=30), VALUES))
def test_a_line_is_valid_json_and_never_longer_than_the_pipe_takes_whole(
    name: str, fields: dict[str, object]
) -> None:
    line = _render_json(None, "info", {**fields, "event": name})

    assert isinstance(json.loads(line), dict)
    assert len(line.encode()) < MAX_LINE_BYTES


def test_a_long_trace_keeps_its_end() -> None:
    trace = "File one\n" * 1000 + "ValueError: the cause"

    line = _render_json(None, "error", {"event": "actor.failed", "trace": trace})

    assert json.loads(line)["trace"].endswith("ValueError: the cause")


def test_of_several_long_fields_each_keeps_its_end() -> None:
    fields = {name: "x" * 4000 + name for name in ("trace", "stack")}

    event = json.loads(_render_json(None, "error", {"event": "hung", **fields}))

    assert event["trace"].endswith("xtrace")
    assert event["stack"].endswith("xstack")


def test_an_event_with_hundreds_of_fields_still_gives_its_name() -> None:
    fields = {f"field_{number}": "x" * 50 for number in range(500)}

    line = _render_json(None, "info", {**fields, "event": "much.to.say"})

    assert json.loads(line)["event"] == "much.to.say"
    assert len(line.encode()) < MAX_LINE_BYTES


def test_lines_of_several_processes_on_one_pipe_are_not_torn() -> None:
    reading, writing = os.pipe()
    talkers = [
        threading.Thread(target=run, args=(TALKER, name), kwargs={"out": writing})
        for name in ("one", "two", "three")
    ]
    for talker in talkers:
        talker.start()
    with os.fdopen(reading, "rb") as stream:
        read: list[bytes] = []
        reader = threading.Thread(target=lambda: read.extend(stream))
        reader.start()
        for talker in talkers:
            talker.join()
        os.close(writing)
        reader.join()

    said = [json.loads(line) for line in read]
    for name in ("one", "two", "three"):
        numbers = [event["number"] for event in said if event["process"] == name]
        assert numbers == list(range(300))
    assert max(map(len, read)) <= MAX_LINE_BYTES
