from __future__ import annotations

from pathlib import Path

import pytest

from egw.storage.learned import Learned, load_learned, save_learned

ROOF = Learned(profile="sofar", host="10.0.0.5", port=502, max_registers=8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "learned" / "roof.json"


def load(path: Path, **changes: object) -> Learned | None:
    about = {"profile": "sofar", "host": "10.0.0.5", "port": 502, **changes}
    return load_learned(path, **about)  # type: ignore[arg-type]


def test_what_is_saved_is_known_at_the_next_start(path: Path) -> None:
    save_learned(path, ROOF)

    assert load(path) == ROOF
    assert list(path.parent.iterdir()) == [path]


def test_without_a_file_nothing_is_known(path: Path) -> None:
    assert load(path) is None


@pytest.mark.parametrize(
    "change", [{"profile": "solax"}, {"host": "10.0.0.6"}, {"port": 503}]
)
def test_what_is_known_of_another_device_is_not_taken(
    change: dict[str, object], path: Path
) -> None:
    save_learned(path, ROOF)

    assert load(path, **change) is None


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"profile": "sofar", "host": "10.0.0.5", "port": 502}',
        b'{"profile":"sofar","host":"10.0.0.5","port":502,"max_registers":0}',
        b'{"profile":"sofar","host":"10.0.0.5","port":502,"max_registers":126}',
        b'{"profile":"sofar","host":"10.0.0.5","port":502,"max_registers":"8"}',
    ],
)
def test_a_damaged_file_is_ignored_and_replaced(damage: bytes, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(damage)
    assert load(path) is None

    save_learned(path, ROOF)

    assert load(path) == ROOF


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "learned").write_text("a file where the folder should be")

    with pytest.raises(OSError):
        save_learned(tmp_path / "learned" / "roof.json", ROOF)
