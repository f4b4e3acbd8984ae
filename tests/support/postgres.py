"""A real PostgreSQL for the tests, from Debian's binaries: on a free port, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import Any

PASSWORD = "made-up"
"""dlt insists on one; the server trusts whoever comes over loopback."""


def binaries() -> Path | None:
    """Where `initdb` and `pg_ctl` are: the newest that Debian's package has put down, else on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    initdb = found[-1] if found else on_path and Path(on_path)
    return initdb.parent if initdb else None


@dataclass
class Postgres:
    """A server. Its owner is another user where root runs the tests: PostgreSQL refuses root."""

    binaries: Path
    data: Path
    port: int
    owner: str | None

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self.data} -c fsync=off -c max_connections=200"
        self._run("pg_ctl", "-w", "-t", "60", "-o", options, "-l", str(self.data / "log"), "start")

    def stop(self) -> None:
        """End at once, as when the power fails: what is under way is lost."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def initialize(self) -> None:
        self._run("initdb", "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8")

    def dsn(self, database: str = "postgres") -> str:
        return f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def _run(self, command: str, *arguments: str) -> None:
        subprocess.run(
            [self.binaries / command, "-D", self.data, *arguments],
            user=self.owner,
            group=pwd.getpwnam(self.owner).pw_gid if self.owner else None,
            extra_groups=[] if self.owner else None,
            cwd=self.data,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            stdout=subprocess.DEVNULL,  # the server keeps these open: a pipe would never end
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=90,
        )


@contextmanager
def running(binaries: Path) -> Iterator[Postgres]:
    """Run a server in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as directory:
        data = Path(directory)
        owner = None
        if os.geteuid() == 0:
            names = {user.pw_name for user in pwd.getpwall()}
            owner = "postgres" if "postgres" in names else "nobody"
            shutil.chown(data, owner)
        server = Postgres(binaries, data, free_port(), owner)
        server.initialize()
        server.start()
        try:
            yield server
        finally:
            server.stop()


@dataclass(frozen=True)
class Database:
    """One database of the server, for one test."""

    server: Postgres
    name: str

    @property
    def dsn(self) -> str:
        return self.server.dsn(self.name)

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run any statement; empty where it gives no rows."""
        import psycopg2

        connection = psycopg2.connect(self.dsn)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql, parameters or None)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()


def create_database(server: Postgres, name: str) -> Database:
    import psycopg2

    connection = psycopg2.connect(server.dsn())
    connection.autocommit = True
    try:
        connection.cursor().execute(f'CREATE DATABASE "{name}"')
    finally:
        connection.close()
    return Database(server, name)


def free_port() -> int:
    """Give a port that stays free until a server takes it: connections get higher ones from the system."""
    while True:
        port = SystemRandom().randrange(20_000, 32_000)  # another one in each worker, whatever its seed is
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
