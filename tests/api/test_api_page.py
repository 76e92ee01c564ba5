"""The status page: how it is served, and what a page must not do."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib.resources import files
from typing import get_args

import pytest
from served import Gateway

from egw.messages import DeviceState, GatewayState

WEB = files("egw.web")
PATHS = ["/", "/page.js", "/page.css", "/icon.svg"]


def source(name: str) -> str:
    return WEB.joinpath(name).read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Collects every start tag of a document with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("path", PATHS)
def test_the_page_is_served_under_a_policy_that_allows_only_itself(
    gateway: Gateway, path: str
) -> None:
    reply = gateway.get(path)

    assert reply.status == 200
    policy = reply.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.parametrize("path", PATHS)
def test_a_browser_that_has_the_page_is_told_that_it_did_not_change(
    gateway: Gateway, path: str
) -> None:
    first = gateway.get(path)

    again = gateway.get(path, **{"If-None-Match": first.headers["ETag"]})
    other = gateway.get(path, **{"If-None-Match": '"0123456789abcdef"'})

    assert first.headers["Cache-Control"] == "no-cache"
    assert (again.status, again.data) == (304, b"")
    assert other.data == first.data


def test_the_page_loads_nothing_from_elsewhere_and_has_no_script_of_its_own() -> None:
    for tag, attributes in Tags(source("index.html")).found:
        address = attributes.get("src") or attributes.get("href")
        assert address is None or address in PATHS, tag
        assert tag != "script" or address
        assert tag != "style"
        assert not [name for name in attributes if name.startswith("on")], tag
        assert "style" not in attributes, tag


def test_the_script_writes_text_and_never_markup() -> None:
    script = source("page.js")

    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"):
        assert way not in script
    assert "eval(" not in script


def test_the_script_uses_only_elements_that_the_page_has() -> None:
    tags = Tags(source("index.html")).found
    script = source("page.js")
    ids = {attributes.get("id") for _, attributes in tags}
    classes = {c for _, a in tags for c in (a.get("class") or "").split()}

    assert set(re.findall(r'byId\("([^"]+)"\)', script)) <= ids
    assert set(re.findall(r'querySelector\("\.([^"]+)"\)', script)) <= classes


def test_the_script_asks_only_for_what_the_api_has(gateway: Gateway) -> None:
    paths = set(re.findall(r'["`](/api/[a-z/]+)', source("page.js")))

    assert paths == {"/api/live", "/api/state", "/api/actors"}
    for path in paths:
        assert gateway.get(path).status == 200


def test_every_state_of_the_gateway_and_its_devices_has_words() -> None:
    script = source("page.js")
    for state in (*get_args(GatewayState), "starting", *get_args(DeviceState)):
        assert re.search(rf'^  "?{state}"?: \[', script, re.MULTILINE), state
