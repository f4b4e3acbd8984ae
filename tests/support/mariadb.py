"""A real MariaDB for the tests, from Debian's binaries: on a free port, gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

from tests.support.postgres import PASSWORD, free_port

INSTALLS, SERVES = "mariadb-install-db", "mariadbd"


_ITS_OWN = {"information_schema", "mysql", "performance_schema", "sys"}


def is_installed() -> bool:
    return all(map(_found, (INSTALLS, SERVES)))


@dataclass(frozen=True)
class MariaDB:
    """A server that lets everybody in."""

    port: int

    @property
    def dsn(self) -> str:
        """What dlt finds it by."""
        return f"mysql+pymysql://root:{PASSWORD}@127.0.0.1:{self.port}/mysql"

    def exact_dsn(self) -> str:
        """The same, once every text fits and IDs that differ only in case stay two."""
        self.query("SET GLOBAL character_set_server = utf8mb4")
        self.query("SET GLOBAL collation_server = utf8mb4_bin")
        return self.dsn

    def begin_anew(self) -> None:
        """Drop what tests have made, and forget what they have set."""
        for row in self.query("SHOW DATABASES"):
            if row["Database"] not in _ITS_OWN:
                self.query(f"DROP DATABASE `{row['Database']}`")
        for name in ("character_set_server", "collation_server"):
            self.query(f"SET GLOBAL {name} = DEFAULT")

    def query(self, sql: str) -> list[dict[str, Any]]:
        import pymysql

        connection = pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", password=PASSWORD, autocommit=True
        )
        try:
            with connection.cursor(pymysql.cursors.DictCursor) as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall())
        finally:
            connection.close()


@contextmanager
def running() -> Iterator[MariaDB]:
    """Run a server in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="my", ignore_cleanup_errors=True) as directory:
        user = []
        if os.geteuid() == 0:
            shutil.chown(directory, "mysql")
            user = ["--user=mysql"]
        data = f"--datadir={directory}/data"
        quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        install = [_found(INSTALLS), "--no-defaults", data, *user, "--skip-test-db"]
        subprocess.run(install, check=True, timeout=90, **quiet)
        server = MariaDB(free_port())
        address = [f"--port={server.port}", "--bind-address=127.0.0.1", f"--socket={directory}/s"]
        options = ["--skip-grant-tables", "--innodb-flush-log-at-trx-commit=0"]
        serve = [_found(SERVES), "--no-defaults", data, *user, *address, *options]
        with subprocess.Popen(serve, **quiet) as process:
            try:
                _wait_for(server)
                yield server
            finally:
                process.kill()


def _wait_for(server: MariaDB) -> None:
    until = monotonic() + 60
    while monotonic() < until:
        with suppress(Exception):
            server.query("SELECT 1")
            return
        sleep(0.1)
    raise TimeoutError("MariaDB does not answer")


def _found(program: str) -> str:
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    return shutil.which(program, path=path) or ""
