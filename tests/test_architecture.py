"""Who may import whom, and how long a file may be."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
MAX_LINES = 400

VOCABULARY = ("egw.devices.blocks", "egw.devices.profile")
"""Types that describe data; messages carry them, so they import nothing of egw else."""

LIBRARIES = ("egw.devices", "egw.crypto", "egw.storage", "egw.ble")
CONFIG = (
    *("egw.config", "egw.config_docs", "egw.config_keys"),
    *("egw.config_transport", "egw.config_values"),
)

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "egw.runtime": (),
    "egw.messages": ("egw.runtime.message", *VOCABULARY),
    "egw.testing": ("egw.runtime",),
    "egw.devices": ("egw.messages",),
    "egw.crypto": ("egw.messages",),
    "egw.storage": ("egw.messages", "egw.crypto.jws", *VOCABULARY),
    "egw.ble": ("egw.messages",),
    "egw.api": ("egw.messages", "egw.runtime", "egw.devices", "egw.crypto.keys"),
    "egw.web": (),
    "egw.actors": ("egw.messages", "egw.runtime", "egw.api", *LIBRARIES),
    "egw.config": CONFIG,
    "egw.config_docs": CONFIG,
    "egw.config_keys": CONFIG,
    "egw.config_transport": CONFIG,
    "egw.config_values": CONFIG,
    "egw.devices_docs": ("egw.devices",),
    "simulators": ("egw.devices",),
}
"""What each part may import of egw besides itself; a part not listed may import all.

Storage writes packets in the form in which they are signed and read, which is why it
knows that form and the blocks.
"""

RUNTIME_FOR_API = {
    "egw.runtime",
    "egw.runtime.clock",
    "egw.runtime.errors",
    "egw.runtime.message",
    "egw.runtime.ref",
    "egw.runtime.control",
}

PARTS = sorted(MAY_IMPORT, key=len, reverse=True)


def is_within(module: str, part: str) -> bool:
    return module == part or module.startswith(f"{part}.")


def part_of(module: str) -> str | None:
    """Return the longest part that a module belongs to."""
    return next((part for part in PARTS if is_within(module, part)), None)


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the module of every import, wherever it stands.

    What is imported from a package counts as that package's module of the same name
    when there is one.
    """
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            module = node.module or ""
            for alias in node.names:
                yield node.lineno, submodule(module, alias.name)


def submodule(package: str, name: str) -> str:
    folder = ROOT.joinpath(*package.split("."))
    is_module = (folder / f"{name}.py").exists() or (folder / name).is_dir()
    return f"{package}.{name}" if is_module else package


def forbidden_imports() -> Iterator[str]:
    for path in sources("egw", "simulators"):
        part = part_of(name_of(path))
        if part is None:
            continue
        for line, module in imports_of(path):
            if not is_within(module, "egw") or is_within(module, part):
                continue
            if not any(is_within(module, allowed) for allowed in MAY_IMPORT[part]):
                yield f"{path.relative_to(ROOT)}:{line} imports {module}"


def test_every_import_follows_the_arrows() -> None:
    assert list(forbidden_imports()) == []


def test_what_messages_carry_imports_nothing_of_egw_else() -> None:
    paths = [
        ROOT.joinpath(*module.split(".")).with_suffix(".py") for module in VOCABULARY
    ]
    imported = {module for path in paths for _, module in imports_of(path)}

    assert {m for m in imported if is_within(m, "egw")} <= set(VOCABULARY)


def test_imports_are_found_wherever_they_stand(tmp_path: Path) -> None:
    source = tmp_path / "sample.py"
    source.write_text(
        "import json\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n"
        "    from egw.actors import signer\n"
        "def late():\n"
        "    import egw.config\n"
    )

    assert list(imports_of(source)) == [
        (1, "json"),
        (2, "typing"),
        (4, "egw.actors.signer"),
        (6, "egw.config"),
    ]


def test_a_module_is_under_the_rule_of_its_longest_part() -> None:
    assert part_of("egw.config_keys") == "egw.config_keys"
    assert part_of("egw.devices.loader") == "egw.devices"
    assert part_of("egw.main") is None


def test_the_api_knows_of_the_runtime_only_how_to_ask() -> None:
    known = {
        module
        for path in sources("egw/api")
        for _, module in imports_of(path)
        if is_within(module, "egw.runtime")
    }

    assert known <= RUNTIME_FOR_API
    assert "Actor" not in names_imported("egw/api")


def names_imported(folder: str) -> set[str]:
    return {
        alias.name
        for path in sources(folder)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_no_actor_imports_another_actor() -> None:
    crossing = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in sources("egw/actors")
        for line, module in imports_of(path)
        if is_within(module, "egw.actors") and has_actor(module)
    ]

    assert crossing == []


def has_actor(module: str) -> bool:
    """Tell whether a module defines a class that derives from Actor."""
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    if not path.exists():
        return False
    return any(
        isinstance(node, ast.ClassDef)
        and any(ast.unparse(base).startswith("Actor") for base in node.bases)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
    )


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("pymodbus", ("egw/devices",)),
        ("serial", ("egw/devices",)),
        ("pykka", ("egw/runtime",)),
        ("multiprocessing", ("egw/runtime",)),
        ("cryptography", ("egw/crypto",)),
        ("falcon", ("egw/api",)),
    ],
)
def test_a_library_stays_behind_the_package_that_is_made_for_it(
    library: str, homes: tuple[str, ...]
) -> None:
    strays = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources("egw")
        for line, module in imports_of(path)
        if is_within(module, library)
        and not any(path.is_relative_to(ROOT / home) for home in homes)
    ]

    assert strays == []


@pytest.mark.parametrize(
    "path", sources("egw", "simulators", "benchmarks"), ids=name_of
)
def test_no_file_is_longer_than_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES
