"""YAML files as plain data, within bounds that no honest profile comes near.

A profile may come from anywhere, and a YAML parser can be made to take all memory
(aliases of aliases), or to end the process (nesting).
"""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any, ClassVar

import yaml

from egw.devices.profile import ProfileError

MAX_BYTES = 1_000_000
MAX_DEPTH = 20

_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> Any:
    """Return the data of a YAML file; mappings have no key twice.

    Raises ProfileError, without the name of the file, when it cannot be read, is not
    YAML, or uses what a profile has no use for: aliases and tags.
    """
    content = _content(path)
    try:
        _check_bounds(content)
        return yaml.load(content, _Loader)  # noqa: S506 (a safe loader)
    except yaml.MarkedYAMLError as error:
        raise ProfileError(f"{_line(error.problem_mark)}{error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ProfileError(f"is not YAML: {reason}") from error


def _content(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        content = b""
        if stat.S_ISREG(mode):
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ProfileError(f"cannot be read: {why}") from error
    if not stat.S_ISREG(mode):
        what = "is a folder" if stat.S_ISDIR(mode) else "is not a file"
        raise ProfileError(f"cannot be read: {what}")
    if len(content) > MAX_BYTES:
        raise ProfileError(f"is larger than {MAX_BYTES // 1_000_000} MB")
    return content


def _check_bounds(content: bytes) -> None:
    depth = 0
    for event in yaml.parse(content, _SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _problem("an alias (*) is not allowed here", event.start_mark)
        if isinstance(event, yaml.NodeEvent) and getattr(event, "tag", None):
            raise _problem("a tag (!) is not allowed here", event.start_mark)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise _problem(f"nested deeper than {MAX_DEPTH}", event.start_mark)


_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z"
    r"|[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z"
)
_INT_TAG, _FLOAT_TAG = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"


class _Loader(_SafeLoader):  # type: ignore[misc]
    """Plain YAML data in which no mapping has a key twice.

    Numbers are those of YAML 1.2. In 1.1, which PyYAML reads, `0010` is 8, `1:30` is 90
    and `1e3` a text; here the first two are texts, which no field of a profile that
    wants a number takes.
    """

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        first: [(tag, p) for tag, p in known if tag not in (_INT_TAG, _FLOAT_TAG)]
        for first, known in _SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        """Build a mapping; raises ConstructorError on a repeated or odd key."""
        mapping: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _problem("a key must be a plain word", key_node.start_mark)
            key = self.construct_object(key_node)
            if key in mapping:
                raise _problem(f"key {key!r} stands here twice", key_node.start_mark)
            mapping[key] = self.construct_object(value_node, deep=deep)
        return mapping


_Loader.add_implicit_resolver(_INT_TAG, _INT, list("-+0123456789"))
_Loader.add_implicit_resolver(_FLOAT_TAG, _FLOAT, list("-+.0123456789"))


def _problem(text: str, mark: Any) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, text, mark)


def _line(mark: yaml.Mark | None) -> str:
    return f"line {mark.line + 1}: " if mark else ""
