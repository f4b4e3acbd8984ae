"""A fast Cloudflare with made-up invoices: `python -m tests.benchmarks.server --help`.

Its answers are made ahead, so that serving one takes microseconds. Beside Cloudflare's paths it knows two of
its own, which cost no quota and are not counted:

    GET /control/stage/1    move on to stage 1 of the lists (back to 0, too); answers what they hold
    GET /control/take       what was asked since the last time: {"requests", "refused", "at_s"}
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from tests.benchmarks.data import PER_PAGE, Listing, make_directory, make_listing

BASE_PATH = "/client/v4"
HISTORY = "/ai-gateway/billing/invoice-history"
TOKEN = "benchmark-token-that-opens-nothing-else-"
_REFUSAL = b'{"success":false,"errors":[{"code":971,"message":"Please wait"}],"messages":[],"result":null}'
_LOST = b'{"success":false,"errors":[{"code":7003,"message":"No route"}],"messages":[],"result":null}'


def account_id(number: int) -> str:
    """Name an account: 32 hexadecimal digits."""
    return f"{number:032x}"


@dataclass
class Lists:
    """What is served.

    Args:
        accounts: How many there are.
        invoices: In each of them, at stage 0.
    """

    accounts: int
    invoices: int
    stage: int = 0
    _directory: list[bytes] = field(init=False)
    _made: dict[int, dict[str, Listing]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._directory = make_directory([account_id(number) for number in range(self.accounts)])
        self.move_to(0)

    def move_to(self, stage: int) -> dict[str, object]:
        """Serve this stage from now on, and say what it holds."""
        if stage not in self._made:
            names = (account_id(number) for number in range(self.accounts))
            self._made[stage] = {
                name: make_listing(self.invoices, stage=stage, account=name) for name in names
            }
        self.stage = stage
        facts = [listing.facts for listing in self._made[stage].values()]
        return {
            "invoices": sum(each.invoices for each in facts),
            "paid": sum(each.paid for each in facts),
            "amount_due": str(sum(each.amount_due for each in facts)),
        }

    def body(self, target: str) -> bytes | None:
        """Find the answer to a request; None if there is none."""
        address = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(address.query).items()}
        page = int(query.get("page", "1"))
        if query.get("per_page") != str(PER_PAGE):
            return None
        path = address.path.removeprefix(BASE_PATH)
        if path == "/accounts":
            return self._directory[page - 1] if page <= len(self._directory) else None
        listing = self._made[self.stage].get(path.removeprefix("/accounts/").removesuffix(HISTORY))
        if listing is None or not path.endswith(HISTORY):
            return None
        return listing.pages[page - 1] if page <= len(listing.pages) else listing.beyond


@dataclass
class Limit:
    """Cloudflare's rate limit: so many requests in each window, which begins with its first request.

    Args:
        quota: Requests; 0 for no limit.
        window_s: Seconds.
    """

    quota: int
    window_s: float
    _ends: float = 0.0
    _spent: int = 0

    def headers(self, now: float) -> tuple[bool, str]:
        """Count a request; say whether it is within the limit, and the headers that tell."""
        if not self.quota:
            return True, ""
        if now >= self._ends:
            self._ends, self._spent = now + self.window_s, 0
        self._spent += 1
        left, reset_s = self.quota - self._spent, int(self._ends - now) + 1
        headers = (
            f'Ratelimit: "default";r={max(left, 0)};t={reset_s}\r\n'
            f'Ratelimit-Policy: "default";q={self.quota};w={self.window_s:.0f}\r\n'
        )
        return left >= 0, headers if left >= 0 else f"{headers}Retry-After: {reset_s}\r\n"


@dataclass
class Service:
    """What all connections share.

    Args:
        lists: What is served.
        limit: The rate limit.
        latency_s: How long each answer is kept back, without a hold on the others.
    """

    lists: Lists
    limit: Limit
    latency_s: float
    refused: int = 0
    at_s: list[float] = field(default_factory=list)

    def answer(self, target: str) -> tuple[bytes, bytes]:
        """Give the head and the body of an answer."""
        if target.startswith("/control/"):
            return _answer(200, json.dumps(self._control(target)).encode())
        now = time.monotonic()
        self.at_s.append(now)
        is_within, headers = self.limit.headers(now)
        if not is_within:
            self.refused += 1
            return _answer(429, _REFUSAL, headers)
        body = self.lists.body(target)
        return _answer(404, _LOST, headers) if body is None else _answer(200, body, headers)

    def _control(self, target: str) -> dict[str, object]:
        if target.startswith("/control/stage/"):
            return self.lists.move_to(int(target.rpartition("/")[2]))
        taken = {"requests": len(self.at_s), "refused": self.refused, "at_s": self.at_s}
        self.refused, self.at_s = 0, []
        return taken


def _answer(status: int, body: bytes, headers: str = "") -> tuple[bytes, bytes]:
    fixed = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{fixed}{headers}\r\n".encode(), body


class Connection(asyncio.Protocol):
    """One client's connection, which stays open: reads requests and sends the answers.

    Args:
        service: Who knows the answers.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where the answers go."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request whose head is complete; GET has no body."""
        *heads, self._unread = (self._unread + data).split(b"\r\n\r\n")
        for head in heads:
            target = head.split(b" ", 2)[1].decode()
            answer = self._service.answer(target)
            if self._service.latency_s and not target.startswith("/control/"):
                loop = asyncio.get_running_loop()
                loop.call_later(self._service.latency_s, self._transport.writelines, answer)
            else:
                self._transport.writelines(answer)


async def serve(service: Service) -> None:
    """Listen on a free port of the loopback interface, and say on stdout where, until the process ends."""
    server = await asyncio.get_running_loop().create_server(lambda: Connection(service), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)  # who started it waits for this line
    await server.serve_forever()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.server", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--accounts", type=int, default=1)
    parser.add_argument("--invoices", type=int, default=1_000, help="in each account")
    parser.add_argument("--latency", type=float, default=0, help="milliseconds for each answer")
    parser.add_argument("--quota", type=int, default=0, help="requests in a window; 0 for no limit")
    parser.add_argument("--window", type=float, default=300, help="seconds")
    given = parser.parse_args(arguments)
    limit = Limit(given.quota, given.window)
    asyncio.run(serve(Service(Lists(given.accounts, given.invoices), limit, given.latency / 1_000)))


if __name__ == "__main__":
    main()
