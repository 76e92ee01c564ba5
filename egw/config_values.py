"""One configuration value: what its type expects, and the check against it.

A key's type carries everything: the Python type, the range and the description in
`msgspec.Meta`, and in `Meta.extra` two entries of our own, `expected` (the words an
error uses) and `check` (a predicate for what a range or pattern cannot say).
"""

from __future__ import annotations

import ipaddress
import json
import re
from datetime import date, datetime, time
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from urllib.parse import urlsplit

import msgspec

_SHOWN_CHARACTERS = 60
_WORDS = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a text",
    Path: "a path",
}
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\Z")


class ConfigError(Exception):
    """Raised when the configuration cannot be used; its text is one line.

    The line names where the mistake is (file or environment variable), the key, what
    was found there and what is expected.
    """

    def __init__(self, where: str, key: str, *, found: str, expected: str) -> None:
        place = f"{where}: {key}: " if key else f"{where}: "
        text = f"{place}found {found}, expected {expected}"
        super().__init__(
            "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
        )


def is_host(text: str) -> bool:
    """Tell whether `text` is an IP address or a host name (RFC 1123, `_` allowed)."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        labels = text.split(".")
        named = len(text) <= 253 and all(_LABEL.match(label) for label in labels)
        return named and not labels[-1].isdigit()
    return True


def is_http_url(text: str) -> bool:
    """Tell whether `text` is an http or https URL without user name and fragment."""
    if not re.fullmatch(r"[!-~]+", text) or "@" in text or "#" in text:
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or port == 0:
        return False
    return is_host(parts.hostname or "")


def is_http_url_or_empty(text: str) -> bool:
    """Tell whether `text` is empty or an http or https URL."""
    return not text or is_http_url(text)


def has_no_null(text: str) -> bool:
    """Tell whether `text` can be a path."""
    return "\0" not in text


def is_absolute_path(text: str) -> bool:
    """Tell whether `text` can be an absolute path."""
    return text.startswith("/") and has_no_null(text)


def is_short_and_printable(text: str) -> bool:
    """Tell whether `text` has at most 64 characters, all printable."""
    return len(text) <= 64 and text.isprintable()


def has_no_doubles(values: tuple[str, ...]) -> bool:
    """Tell whether no value occurs twice."""
    return len(set(values)) == len(values)


def show(value: Any) -> str:
    """Write a value the way TOML does, on one line and not longer than useful."""
    match value:
        case str() | bool():
            text = json.dumps(value, ensure_ascii=False)
        case dict():
            return "a table"
        case list() | tuple():
            text = f"[{', '.join(show(item) for item in value)}]"
        case datetime() | date() | time():
            text = value.isoformat()
        case int() if value.bit_length() > 256:
            return "a number far out of range"
        case _:
            text = str(value)
    if len(text) > _SHOWN_CHARACTERS:
        return f"{text[:_SHOWN_CHARACTERS]}..."
    return text


def unwrap(kind: Any) -> tuple[Any, list[msgspec.Meta]]:
    """Return the plain type and the annotations of a key's type, without None."""
    if get_origin(kind) in (Union, UnionType):
        kind = next(part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is not Annotated:
        return kind, []
    plain, *metas = get_args(kind)
    return plain, metas


def describe(kind: Any) -> str:
    """Return the sentence that documents a key; every key has one."""
    return next(meta.description for meta in unwrap(kind)[1] if meta.description)


def expected(kind: Any) -> str:
    """Say in words what values the type accepts."""
    plain, metas = unwrap(kind)
    if stated := _own(metas, "expected"):
        return str(stated[-1])
    if get_origin(plain) is Literal:
        *first, last = (show(choice) for choice in get_args(plain))
        return f"{', '.join(first)} or {last}" if first else last
    limits = next((meta for meta in metas if meta.ge is not None), None)
    span = f" from {limits.ge} to {limits.le}" if limits else ""
    return _WORDS[plain] + span


def _own(metas: list[msgspec.Meta], entry: str) -> list[Any]:
    """Return our own annotations called `entry`, the innermost first."""
    extras = [meta.extra or {} for meta in metas]
    return [extra[entry] for extra in extras if entry in extra]


def checked(where: str, key: str, found: Any, kind: Any, *, from_text: bool) -> Any:
    """Return `found` as the type wants it; raises ConfigError when it does not fit.

    With `from_text` (environment variables) numbers, booleans and comma-separated
    lists are read from the text.
    """
    try:
        return _converted(where, key, found, kind, from_text=from_text)
    except msgspec.ValidationError as error:
        raise ConfigError(
            where, key, found=show(found), expected=expected(kind)
        ) from error


def _converted(where: str, key: str, found: Any, kind: Any, *, from_text: bool) -> Any:
    plain, metas = unwrap(kind)
    value: Any
    if get_origin(plain) is tuple:
        items = _split(found) if from_text else found
        value = _checked_items(where, key, items, get_args(plain)[0])
    else:
        value = msgspec.convert(
            found, kind, strict=not from_text, dec_hook=_path_from_text
        )
    if not all(check(value) for check in _own(metas, "check")):
        raise msgspec.ValidationError
    return value


def _checked_items(where: str, key: str, found: Any, kind: Any) -> tuple[Any, ...]:
    if not isinstance(found, list):
        raise msgspec.ValidationError
    return tuple(
        checked(where, f"{key}, item {number}", item, kind, from_text=False)
        for number, item in enumerate(found, start=1)
    )


def _split(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _path_from_text(kind: type, found: Any) -> Any:
    if kind is Path and isinstance(found, str) and found and has_no_null(found):
        return Path(found)
    raise msgspec.ValidationError
