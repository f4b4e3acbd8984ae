"""Made-up invoice lists, as bytes that are ready to be sent.

An invoice is decided by its number alone, 1 being the oldest: a list that has grown still has the same ones.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha512
from itertools import islice
from typing import Any

import orjson

PER_PAGE = 50
"""What Cloudflare serves at most."""

START_S = 1_577_836_800  # 2020-01-01T00:00:00Z
EVERY_S = 180
CHANGED = 200
"""From one stage to the next, one in so many invoices is paid, and as many are new: 1 % together."""

_NETS = (1_000, 2_000, 2_500, 5_000, 10_000, 25_000, 50_000)
_DESCRIPTIONS = ("AI Gateway credits", "Unified Billing top-up", "Automatic top-up below $20", None)
_PEOPLE = ("ada@example.com", "lin.okafor@example.com", "6f0c1d7be5a94c2ab3d8e9017f4426aa")
_OPEN_IN_FRONT = 3


@dataclass(frozen=True)
class Facts:
    """What a table must hold in the end.

    Attributes:
        invoices: Rows.
        paid: Those of them with the status paid.
        amount_due: Exact sum over the rows.
    """

    invoices: int
    paid: int
    amount_due: Decimal


@dataclass(frozen=True)
class Listing:
    """One account's list.

    Attributes:
        pages: The bodies of the answers, page 1 first.
        beyond: The body of the answer to every page after the last.
        facts: What it holds.
    """

    pages: Sequence[bytes]
    beyond: bytes
    facts: Facts


def make_listing(invoices: int, *, stage: int = 0, account: str = "") -> Listing:
    """Make one account's list, newest first.

    In stage 0, one in `CHANGED` invoices is open, anywhere in the list. In stage 1 these are paid, and as
    many are new in front. In both, the newest few are open. Every link to a PDF differs from stage to stage,
    as it does with Cloudflare from answer to answer.
    """
    total = invoices + stage * (invoices // CHANGED)
    paid = amount_due = 0

    def newest_first() -> Iterator[bytes]:
        nonlocal paid, amount_due
        for number in range(total, 0, -1):
            invoice, hundredths = _make_invoice(number, account, stage, newest=total)
            paid += invoice["status"] == "paid"
            amount_due += hundredths
            yield orjson.dumps(invoice)

    records = newest_first()
    last = max(1, -(-total // PER_PAGE))
    pages = [_body(list(islice(records, PER_PAGE)), page, last, total) for page in range(1, last + 1)]
    facts = Facts(total, paid, Decimal(amount_due).scaleb(-2))
    return Listing(pages, _body([], last + 1, last, total), facts)


def make_directory(account_ids: Sequence[str]) -> list[bytes]:
    """Make the bodies of the answers that list accounts, page 1 first."""
    last = max(1, -(-len(account_ids) // PER_PAGE))
    return [
        _envelope(
            orjson.dumps(
                [{"id": name, "name": f"Account {name[-5:]}", "type": "standard"} for name in shown]
            ),
            {
                "page": page,
                "per_page": PER_PAGE,
                "count": len(shown),
                "total_count": len(account_ids),
                "total_pages": last,
            },
        )
        for page in range(1, last + 1)
        for shown in [account_ids[(page - 1) * PER_PAGE : page * PER_PAGE]]
    ]


def _make_invoice(number: int, account: str, stage: int, *, newest: int) -> tuple[dict[str, Any], int]:
    """Make one, and say what is due in hundredths of the minor unit: a few amounts have decimals."""
    digest = sha512(f"{account}/{number}".encode()).digest()
    dice, name = int.from_bytes(digest[:8], "big"), digest[8:20].hex()
    dice, changes = divmod(dice, CHANGED)
    dice, net = divmod(dice, len(_NETS))
    dice, fraction = divmod(dice, 5_000)
    dice, person = divmod(dice, len(_PEOPLE))
    dice, description = divmod(dice, len(_DESCRIPTIONS))
    dice, is_kept = divmod(dice, 30)
    is_open = number > newest - _OPEN_IN_FRONT or (not changes and not stage)
    status = "open" if is_open else "paid" if is_kept or not changes else "void"
    hundredths = _NETS[net] * 100 + (fraction if fraction < 100 else 0)
    due = hundredths / 100 if hundredths % 100 else hundredths // 100
    link = sha512(digest + bytes([stage])).hexdigest()
    return {
        "id": f"in_1{name}",
        "amount_due": due,
        "amount_paid": due if status == "paid" else 0,
        "amount_remaining": 0 if status == "paid" else due,
        "attempt_count": 1,
        "attempted": True,
        "auto_advance": is_open,
        "created": START_S + number * EVERY_S,
        "created_by": _PEOPLE[person],
        "currency": "usd",
        "description": _DESCRIPTIONS[description],
        "invoice_origin": "auto_topup" if dice % 4 else "manual_topup",
        "invoice_pdf": f"https://pay.stripe.com/invoice/acct_1BeNcHmArK0001/live_{link}/pdf?s=ap",
        "status": status,
    }, hundredths


def _body(records: Sequence[bytes], page: int, last: int, total: int) -> bytes:
    pagination = {"has_more": page < last, "page": page, "per_page": PER_PAGE, "total_count": total}
    result = b'{"invoices":[' + b",".join(records) + b'],"pagination":' + orjson.dumps(pagination) + b"}"
    return _envelope(result, pagination)


def _envelope(result: bytes, info: dict[str, Any]) -> bytes:
    parts = (b'{"success":true,"errors":[],"messages":[],"result":', result)
    return b"".join((*parts, b',"result_info":', orjson.dumps(info), b"}"))
