"""Imported once by the fork server, so that a worker starts in milliseconds.

The fork server then freezes it all: the collector does not touch what is frozen, so
the pages stay shared between all workers. The profiles that the devices use are there
already, for the main process has read them before it makes its fork server.
"""

# Imported for being loaded.
# ruff: noqa: F401

import sys

# Where structlog finds rich it loads it, 4 MB for tracebacks that nobody sees.
sys.modules.setdefault("rich", None)  # type: ignore[arg-type]

import egw.actors.api
import egw.actors.backend
import egw.actors.gateway
import egw.actors.harvest
import egw.actors.inverter
import egw.actors.signer
import egw.actors.uplink
import egw.runtime.worker
