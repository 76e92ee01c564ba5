from __future__ import annotations

import tomllib
from pathlib import Path

from egw.config import Config, load_config
from egw.config_docs import render_docs
from egw.config_keys import keys
from egw.config_values import show


def load(directory: Path, text: str) -> Config:
    """Load `text` as a configuration file."""
    path = directory / "egw.toml"
    path.write_text(text)
    return load_config(path, {}, profiles=lambda _: ("solaredge",))


def test_each_key_has_a_variable_of_its_own() -> None:
    variables = [key.variable for key in keys()]

    assert len(set(variables)) == len(variables)


def test_the_documentation_is_made_from_the_code() -> None:
    committed = Path(__file__).parent.parent / "docs" / "configuration.md"

    assert committed.read_text() == render_docs(), (
        "run: python -m egw.config_docs > docs/configuration.md"
    )


def test_the_example_in_the_documentation_can_be_loaded(tmp_path: Path) -> None:
    example = render_docs().split("```toml\n")[1].split("```")[0]

    config = load(tmp_path, example)

    assert config.devices[0].name == "roof"


def test_every_default_in_the_documentation_is_a_value_that_its_key_accepts(
    tmp_path: Path,
) -> None:
    lines = [
        f"{key.dotted} = {documented_default(key.default)}"
        for key in keys()
        if key.name != "data_dir"
    ]

    assert load(tmp_path, "\n".join(lines)) == Config()


def documented_default(value: object) -> str:
    """Find the default in the page and read it as TOML."""
    text = show(value)
    tomllib.loads(f"x = {text}")
    assert f"`{text}`" in render_docs()
    return text
