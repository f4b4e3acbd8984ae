"""A real S3 on loopback for the tests: moto's server, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from tests.support.postgres import free_port

KEY = {"aws_access_key_id": "made-up", "aws_secret_access_key": "made-up", "region_name": "us-east-1"}
"""moto takes any."""

BUCKET = "finance"


@dataclass(frozen=True)
class S3:
    """A server with one bucket."""

    url: str

    @property
    def settings(self) -> dict[str, str]:
        """What dlt finds it by, as an environment."""
        credentials = KEY | {"endpoint_url": self.url}
        return {
            f"DESTINATION__FILESYSTEM__CREDENTIALS__{name.upper()}": value
            for name, value in credentials.items()
        }

    def make_bucket(self) -> None:
        self.fsspec().mkdir(BUCKET)

    def fsspec(self) -> Any:
        """Give a client of it."""
        import s3fs

        return s3fs.S3FileSystem(
            key=KEY["aws_access_key_id"],
            secret=KEY["aws_secret_access_key"],
            endpoint_url=self.url,
            use_listings_cache=False,
        )


@contextmanager
def running() -> Iterator[S3]:
    """Run a server. Not in a thread: deltalake waits for it without letting other threads run."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            server = S3(f"http://127.0.0.1:{port}")
            _wait_for(server.url)
            server.make_bucket()
            yield server
        finally:
            process.kill()


def _wait_for(url: str) -> None:
    until = monotonic() + 60
    while True:
        try:
            urlopen(url).close()  # noqa: S310 - loopback
        except URLError:  # noqa: PERF203 - it is there when it answers
            if monotonic() > until:
                raise
            sleep(0.1)
        else:
            return
