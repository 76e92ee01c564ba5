"""The words that a field of a profile may have, found in the types of the schema."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from msgspec import inspect

from egw.devices.profile import Profile


def choices(field: str) -> tuple[str, ...]:
    """Return the words that the field called `field` may have; empty: any.

    A field of one name has the same words in all parts of a profile. The words of a
    mapping are those of its keys.
    """
    return _all_choices().get(field, ())


@cache
def _all_choices() -> dict[str, tuple[str, ...]]:
    return dict(_found("", inspect.type_info(Profile)))


def _found(field: str, kind: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    match kind:
        case inspect.LiteralType(values=values):
            yield field, tuple(str(value) for value in values)
        case inspect.StructType(fields=fields):
            for inner in fields:
                yield from _found(inner.name, inner.type)
        case inspect.VarTupleType(item_type=item):
            yield from _found(field, item)
        case inspect.DictType(key_type=key, value_type=value):
            yield from _found(field, key)
            yield from _found(field, value)
        case inspect.UnionType(types=types):
            for member in types:
                yield from _found(field, member)
