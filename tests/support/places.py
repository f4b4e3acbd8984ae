"""Clean places to load in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def settings_of(place: Path) -> dict[str, str]:
    """What is set in every test: nothing leaves the machine, all files are in the place, and nobody waits."""
    return {
        "DLT_DATA_DIR": str(place / "dlt"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__REQUEST_BACKOFF_FACTOR": "0",
        "DATA_WRITER__DISABLE_COMPRESSION": "true",
        "NO_PROXY": "*",
    }


def begin_anew(place: Path) -> None:
    """Let dlt, which keeps its settings for the whole process, begin anew in a place."""
    from dlt.common.configuration.container import Container
    from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
    from dlt.common.pipeline import PipelineContext

    import tests.support.quicker  # noqa: F401 - for what it does to dlt

    Container()[PipelineContext].clear()
    Container()[PluggableRunContext].reload(str(place))


@contextmanager
def settled(place: Path, **settings: str) -> Iterator[pytest.MonkeyPatch]:
    """Be in a place that several tests share, with its settings and these."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (settings_of(place) | settings).items():
            patch.setenv(name, value)
        patch.chdir(place)
        begin_anew(place)
        yield patch
