"""The routes of Cloudflare's API that this project uses: tokens, accounts, invoice history.

Error codes and messages are Cloudflare's, taken from answers quoted in public issue trackers.
"""

import re
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, cast, get_args
from urllib.parse import quote, unquote

from cf_invoice_source.simulator.answers import Answer, Request, failure, failures, success
from cf_invoice_source.simulator.documents import pdf_of
from cf_invoice_source.simulator.world import Account, Kind, World

BASE_PATH = "/client/v4"
PDF_PATH = "/invoice/"
DEFAULT_PER_PAGE = 20
ACCOUNTS_PER_PAGE = (5, 50)

# Made up, in the shape of the real ones: a token has 40 characters, a Global API Key 37 hexadecimal digits.
DEMO_TOKEN = "simulator-token-that-opens-nothing-else-"  # noqa: S105
DEMO_EMAIL = "demo@example.com"
DEMO_API_KEY = "5157a11ed5157a11ed5157a11ed5157a11ed5"


@dataclass(eq=False, repr=False)
class Api:
    """Answers requests about a world. Every attribute may be changed between two requests.

    Attributes:
        world: The accounts and invoices that it serves.
        token: The API token that is valid, for `Authorization: Bearer`.
        email: The user of the other way to sign in, `X-Auth-Email`.
        api_key: That user's Global API Key, `X-Auth-Key`.
        max_per_page: The most invoices on a page, even if more are asked for.
        denied: Ids of accounts that are listed, but whose invoices may not be read.
        token_owner: The id of the only account that knows the token; empty for a user's token.
        token_status: The status that is reported for the token: active, disabled or expired.
        pdf_origin: Where the links to PDFs lead, `http://127.0.0.1:PORT` for this server itself.
        link_life: How many answers with links a link outlives; None for any number.
    """

    world: World
    _: KW_ONLY
    token: str = DEMO_TOKEN
    email: str = DEMO_EMAIL
    api_key: str = DEMO_API_KEY
    max_per_page: int = 50
    denied: set[str] = field(default_factory=set)
    token_owner: str = ""
    token_status: str = "active"  # noqa: S105
    pdf_origin: str = "https://pay.stripe.com"
    link_life: int | None = None
    _links: int = field(default=0, init=False)
    _listings: int = field(default=0, init=False)

    def answer(self, request: Request) -> Answer:
        """Answer one request. Like Cloudflare, it checks the sign-in before the route."""
        if request.method != "GET":
            return failure(405, 10405, "Method not allowed for this authentication scheme")
        if request.path.startswith(PDF_PATH):
            return self._pdf(request.path)
        return self._refusal(request) or self._route(request)

    def _route(self, request: Request) -> Answer:
        match request.path.removeprefix(f"{BASE_PATH}/").split("/"):
            case ["accounts"]:
                return self._accounts(request)
            case ["accounts", account_id, "ai-gateway", "billing", "invoice-history"]:
                return self._account_refusal(request, account_id) or self._invoices(request, account_id)
            case ["user", "tokens", "verify"]:
                return self._verified(request, owner="")
            case ["accounts", account_id, "tokens", "verify"] if account_id in self.world.accounts:
                return self._verified(request, owner=account_id)
        return _no_route(request)

    def _refusal(self, request: Request) -> Answer | None:
        authorization = request.headers.get("authorization")
        if authorization is not None:
            return self._token_refusal(request, authorization)
        signs = (request.headers.get("x-auth-email"), request.headers.get("x-auth-key"))
        if None in signs:
            return failure(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
        if signs != (self.email, self.api_key):
            return failure(403, 9103, "Unknown X-Auth-Key or X-Auth-Email")
        return None

    def _token_refusal(self, request: Request, authorization: str) -> Answer | None:
        if not re.fullmatch(r"Bearer \S+", authorization):
            chain = [{"code": 6111, "message": "Invalid format for Authorization header"}]
            return failure(400, 6003, "Invalid request headers", error_chain=chain)
        if authorization == f"Bearer {self.token}":
            return None
        if request.path.endswith("/tokens/verify"):
            return failure(401, 1000, "Invalid API Token")
        return failure(401, 10000, "Authentication error")

    def _account_refusal(self, request: Request, account_id: str) -> Answer | None:
        if account_id not in self.world.accounts:
            return _no_route(request)
        if account_id in self.denied:
            return failure(403, 10000, "Authentication error")
        return None

    def _invoices(self, request: Request, account_id: str) -> Answer:
        kind, page = request.query.get("type", "all"), request.page
        per_page = _per_page(request, 1, self.max_per_page)
        if kind not in get_args(Kind) or page is None or per_page is None:
            return failure(400, 7001, "Input Validation Error")
        account = self.world.accounts[account_id]
        records = account.listed(cast("Kind", kind))
        end = page * per_page
        pagination = {
            "has_more": end < len(records),
            "page": page,
            "per_page": per_page,
            "total_count": len(records),
        }
        self._listings += 1
        invoices = [self._with_fresh_link(account, record) for record in records[end - per_page : end]]
        return success({"invoices": invoices, "pagination": pagination}, result_info=pagination)

    def _with_fresh_link(self, account: Account, record: Any) -> Any:
        if not isinstance(record, dict) or record.get("invoice_pdf", "") is None:
            return record
        self._links += 1
        number = f"live_{self._listings:06}_{self._links:06}"
        key = quote(_key(account, record), safe="")
        link = f"{self.pdf_origin}{PDF_PATH}{account.id}/{number}/{key}/pdf?s=ap"
        return record | {"invoice_pdf": link}

    def _pdf(self, path: str) -> Answer:
        """Serve the PDF of an invoice as it is now; like Stripe's, a link opens without signing in."""
        found = re.fullmatch(rf"{PDF_PATH}(\w+)/live_(\d+)_\d+/([^/]+)/pdf", path)
        account = self.world.accounts.get(found[1]) if found else None
        if not found or not account:
            return Answer(404, b"Not found", _TEXT_TYPE)
        if self.link_life is not None and self._listings - int(found[2]) > self.link_life:
            return Answer(403, b"This link has expired", _TEXT_TYPE)
        for record in account.records:
            if isinstance(record, dict) and _key(account, record) == unquote(found[3]):
                return Answer(200, pdf_of(record), {"content-type": "application/pdf"})
        return Answer(404, b"Not found", _TEXT_TYPE)

    def _accounts(self, request: Request) -> Answer:
        page, per_page = request.page, _per_page(request, *ACCOUNTS_PER_PAGE)
        if page is None or per_page is None:
            return failure(400, 7001, "Input Validation Error")
        everyone = list(self.world.accounts.values())
        end = page * per_page
        shown = [
            {
                "id": account.id,
                "name": account.name,
                "type": "standard",
                "settings": {"enforce_twofactor": False},
            }
            for account in everyone[end - per_page : end]
        ]
        info = {
            "page": page,
            "per_page": per_page,
            "count": len(shown),
            "total_count": len(everyone),
            "total_pages": -(-len(everyone) // per_page),
        }
        return success(shown, result_info=info)

    def _verified(self, request: Request, *, owner: str) -> Answer:
        if "authorization" not in request.headers:
            return failure(400, 1001, 'Missing "Authorization" header')
        if self.token_owner and owner != self.token_owner:
            return failure(401, 1000, "Invalid API Token")
        valid = {"code": 10000, "message": f"This API Token is valid and {self.token_status}", "type": None}
        token = {"id": "5157a11ed0005157a11ed0005157a11e", "status": self.token_status}
        return success(token, messages=[valid])


_TEXT_TYPE = {"content-type": "text/plain"}


def _key(account: Account, record: Any) -> str:
    """Tell a record from the others: by its id, or by its place from the oldest, which stays."""
    if record.get("id"):
        return str(record["id"])
    return f"@{next(n for n, each in enumerate(reversed(account.records)) if each is record)}"


def _per_page(request: Request, least: int, most: int) -> int | None:
    text = request.query.get("per_page", str(DEFAULT_PER_PAGE))
    return min(max(int(text), least), most) if text.isdecimal() else None


def _no_route(request: Request) -> Answer:
    message = f"Could not route to {request.path}, perhaps your object identifier is invalid?"
    errors = [{"code": 7003, "message": message}, {"code": 7000, "message": "No route for that URI"}]
    return failures(404, errors)
