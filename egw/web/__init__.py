"""The status page: plain HTML, script and style, served by `egw.api.page`."""
