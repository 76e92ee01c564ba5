from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egw.config import ConfigError
from egw.config_keys import Key, keys
from egw.config_values import checked, is_host, is_http_url

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.just(datetime(2020, 1, 1, tzinfo=UTC)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.sampled_from(list(keys())), values)
def test_any_value_fits_or_is_refused_in_one_line(key: Key, found: object) -> None:
    text = ""

    try:
        checked("egw.toml", key.dotted, found, key.kind, from_text=False)
    except ConfigError as error:
        text = str(error)

    assert text.isprintable()


@pytest.mark.parametrize(
    "host", ["localhost", "10.0.0.1", "fe80::1%eth0", "::", "my_meter.lan", "a-1"]
)
def test_addresses_and_names_are_hosts(host: str) -> None:
    assert is_host(host)


@pytest.mark.parametrize(
    "host", ["", "a b", "10.0.0.300", "1.2.3", "-a", "a..b", "a/b", "x" * 64, "a\n"]
)
def test_other_texts_are_not_hosts(host: str) -> None:
    assert not is_host(host)


@pytest.mark.parametrize(
    "url", ["http://a", "https://a.example:8443/x?y=1", "http://[::1]:80/"]
)
def test_http_addresses_are_accepted(url: str) -> None:
    assert is_http_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.example",
        "ftp://a",
        "http://",
        "http://a:0/",
        "http://a:99999/",
        "http://a:x/",
        "http://[::1/",
        "http://me:secret@a/",
        "http://a/#b",
        "http://a b/",
        "http://a/\n",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    assert not is_http_url(url)
