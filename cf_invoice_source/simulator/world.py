"""A made-up Cloudflare behind the API: accounts whose invoices are added, paid, voided and deleted.

Pure: standard library only, no I/O, no wall clock. The same seed and the same calls make the same world.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from string import ascii_letters, digits
from typing import Any, Literal

Record = dict[str, Any]
"""One invoice as the API sends it. `invoice_pdf` is only ever None here: the server makes the links."""

Kind = Literal["all", "auto", "manual"]

HOUR_S = 3_600
DAY_S = 24 * HOUR_S
START_S = 1_767_225_600  # 2026-01-01T00:00:00Z
HISTORY_S = 730 * DAY_S

ORIGINS: dict[str, str] = {"auto": "auto_topup", "manual": "manual_topup"}
"""The `invoice_origin` that each value of the API's `type` selects."""

MAY_BECOME: dict[str, tuple[str, ...]] = {
    "draft": ("open",),
    "open": ("paid", "void", "uncollectible"),
    "uncollectible": ("paid", "void"),
    "paid": (),
    "void": (),
}
"""The statuses that Stripe lets an invoice of each status change to. Any other status may become anything."""

_NET_MINOR = {
    "usd": (1_000, 2_000, 2_500, 5_000, 10_000, 25_000, 50_000),
    "eur": (1_000, 2_500, 5_000, 10_000, 20_000),
    "jpy": (1_500, 3_000, 7_500, 15_000),
}
_TAX_PER_10_000 = {"usd": 888, "eur": 2_000, "jpy": 1_000}
_DESCRIPTIONS = ("AI Gateway credits", "Unified Billing top-up", "Automatic top-up below $20", None)
_PEOPLE = ("ada@example.com", "lin.okafor@example.com", "6f0c1d7be5a94c2ab3d8e9017f4426aa")


@dataclass
class Account:
    """One Cloudflare account and its invoice list.

    Attributes:
        id: 32 hexadecimal digits.
        name: Its name for people.
        records: Newest first by `created`. Tests may put any JSON value here, such as garbage; a record
            without a numeric `created` stays where it was put.
    """

    id: str
    name: str
    records: list[Any] = field(default_factory=list)

    def add(self, record: Record) -> None:
        """Insert a record by its `created`, in front of equal ones; a late one lands deep in the list.

        Without a numeric `created` it goes to the front, as the newest.
        """
        created = _created(record)
        place = 0
        if created is not None:
            ages = [_created(other) for other in self.records]
            place = next((i for i, age in enumerate(ages) if age is not None and age <= created), len(ages))
        self.records.insert(place, record)

    def find(self, invoice_id: str) -> Record:
        """Return the record itself, not a copy; KeyError if there is none."""
        for record in self.records:
            if isinstance(record, dict) and record.get("id") == invoice_id:
                return record
        raise KeyError(invoice_id)

    def having(self, *statuses: str) -> list[Record]:
        """The invoices in one of these statuses, newest first."""
        return [
            record for record in self.records if isinstance(record, dict) and record.get("status") in statuses
        ]

    def listed(self, kind: Kind) -> list[Any]:
        """What the API lists under `type=all|auto|manual`. Garbage has no origin: only `all` shows it."""
        if kind == "all":
            return list(self.records)
        origin = ORIGINS[kind]
        return [
            record
            for record in self.records
            if isinstance(record, dict) and record.get("invoice_origin") == origin
        ]

    def finalize(self, invoice_id: str) -> None:
        """Change a draft to open; from then on it has a PDF."""
        self._become("open", invoice_id).pop("invoice_pdf", None)

    def pay(self, invoice_id: str) -> None:
        """Change an open or uncollectible invoice to paid, in full."""
        record = self._become("paid", invoice_id)
        record["amount_paid"] = record["amount_due"]
        record["amount_remaining"] = 0
        record["attempted"] = True
        record["attempt_count"] = record.get("attempt_count", 0) + 1

    def void(self, invoice_id: str) -> None:
        """Change an open or uncollectible invoice to void."""
        self._become("void", invoice_id)

    def write_off(self, invoice_id: str) -> None:
        """Change an open invoice to uncollectible."""
        self._become("uncollectible", invoice_id)

    def delete(self, invoice_id: str) -> None:
        """Remove a draft. ValueError for anything else, as only drafts can be deleted."""
        record = self.find(invoice_id)
        if record.get("status") != "draft":
            raise ValueError(f"{invoice_id} is {record.get('status')}: only a draft can be deleted")
        self.records[:] = [other for other in self.records if other is not record]

    def _become(self, status: str, invoice_id: str) -> Record:
        record = self.find(invoice_id)
        before = record.get("status")
        if before in MAY_BECOME and status not in MAY_BECOME[before]:
            raise ValueError(f"{invoice_id} is {before}: it cannot become {status}")
        record["status"] = status
        return record


@dataclass
class World:
    """Accounts, a clock, and a random generator.

    Attributes:
        seed: The seed of everything random.
        clock: The time now, in unix seconds. Only the methods of this class move it.
        accounts: By account id, in the order in which the API lists them.
    """

    seed: int = 0
    clock: int = START_S
    accounts: dict[str, Account] = field(default_factory=dict)
    random: Random = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)  # noqa: S311  (a made-up world, nothing to keep secret)

    def add_account(self, name: str = "", *, invoices: int = 0) -> Account:
        """Open an account with that many invoices, spread over the two years before the clock."""
        account = Account(f"{self.random.getrandbits(128):032x}", name or f"Account {len(self.accounts) + 1}")
        self.accounts[account.id] = account
        births = sorted(self.clock - self.random.randrange(HISTORY_S) for _ in range(invoices))
        for left, created_s in zip(reversed(range(invoices)), births, strict=True):
            weights = _RECENT if left < _RECENT_COUNT else _SETTLED
            [status] = self.random.choices(list(weights), list(weights.values()))
            self.new_invoice(account, status=status, created_s=created_s)
        return account

    def new_invoice(self, account: Account, *, status: str = "open", created_s: int | None = None) -> Record:
        """Make up an invoice and add it: created now, or at `created_s` as if it turned up late."""
        record = make_invoice(
            self.random,
            created_s=self.clock if created_s is None else created_s,
            status=status,
        )
        account.add(record)
        return record

    def live(self, events: int) -> None:
        """Make that many random changes, in random accounts, with or without time in between.

        Each is a change to an invoice, if one can change so, or a new invoice, now and then a late one.
        Records without an id stay as they are.
        """
        for _ in range(events):
            self.clock += self.random.choice((0, 60, HOUR_S, 12 * HOUR_S))
            account = self.random.choice(list(self.accounts.values()))
            [(change, before)] = self.random.choices(list(_CHANGES), list(_CHANGES.values()))
            candidates = [record["id"] for record in account.having(before) if record.get("id")]
            if candidates and self.random.random() < _CHANGE_CHANCE:
                change(account, self.random.choice(candidates))
            else:
                late_s = self.random.randrange(HISTORY_S) if self.random.random() < _LATE_CHANCE else 0
                status = self.random.choice(("draft", "open", "paid"))
                self.new_invoice(account, status=status, created_s=self.clock - late_s)


def make_invoice(random: Random, *, created_s: int, status: str = "open") -> Record:
    """Make up one plausible invoice, with every documented field except the PDF link.

    Amounts are whole minor units: cents, and yen as they are. A draft says that it has no PDF yet.
    """
    [currency] = random.choices(list(_NET_MINOR), (17, 2, 1))
    net = random.choice(_NET_MINOR[currency])
    due = net + random.choice((0, net * _TAX_PER_10_000[currency] // 10_000))
    paid = due if status == "paid" else 0
    attempts = {"draft": 0, "open": random.choice((0, 1, 2)), "uncollectible": 4}.get(status, 1)
    record: Record = {
        "id": "in_1" + "".join(random.choices(ascii_letters + digits, k=23)),
        "amount_due": due,
        "amount_paid": paid,
        "amount_remaining": due - paid,
        "attempt_count": attempts,
        "attempted": attempts > 0,
        "auto_advance": random.choice((True, True, None)) if status in {"draft", "open"} else False,
        "created": created_s,
        "created_by": random.choice(_PEOPLE),
        "currency": currency,
        "description": random.choice(_DESCRIPTIONS),
        "invoice_origin": random.choice(list(ORIGINS.values())),
        "status": status,
    }
    return record | {"invoice_pdf": None} if status == "draft" else record


def demo_world(step: int = 0, begin_s: int = START_S) -> World:
    """Return the world of the demo as it stands after `step` earlier runs, some days apart.

    It has three made-up companies. In each step some invoices are new and the oldest open ones are paid; the
    other changes are random. The same step always gives exactly the same world, but for its calendar, which
    is at `begin_s` in the first run.
    """
    world = World(seed=_DEMO_SEED, clock=begin_s)
    for name, invoices in _DEMO_ACCOUNTS.items():
        world.add_account(name, invoices=invoices)
    for _ in range(step):
        _days_later(world)
    return world


def _days_later(world: World) -> None:
    busy, calm, _ = world.accounts.values()
    world.clock += world.random.randrange(2, 5) * DAY_S
    for account in (busy, calm):
        for record in account.having("open")[-2:]:
            account.pay(record["id"])
    for account, status in ((busy, "open"), (busy, "open"), (busy, "draft"), (calm, "open")):
        world.new_invoice(account, status=status, created_s=world.clock - world.random.randrange(DAY_S))
    world.live(3)


def _created(record: Any) -> int | float | Decimal | None:
    created = record.get("created") if isinstance(record, dict) else None
    return created if isinstance(created, int | float | Decimal) and not isinstance(created, bool) else None


# The random choices of `World`, and their odds.
_RECENT_COUNT = 10
_RECENT = {"draft": 1, "open": 5, "paid": 4}
_SETTLED = {"paid": 60, "void": 3, "uncollectible": 1}
_CHANGES: dict[tuple[Callable[[Account, str], None], str], int] = {
    (Account.finalize, "draft"): 4,
    (Account.pay, "open"): 6,
    (Account.pay, "uncollectible"): 1,
    (Account.void, "uncollectible"): 1,
    (Account.void, "open"): 1,
    (Account.write_off, "open"): 1,
    (Account.delete, "draft"): 1,
}
_CHANGE_CHANCE = 0.6
_LATE_CHANCE = 0.15

_DEMO_SEED = 620  # its next runs show a payment, a void, a deletion and a late arrival early on
_DEMO_ACCOUNTS = {"Harbor Lane Robotics": 130, "Quillfeather Press": 40, "Mostly Sunny Forecasts": 3}
