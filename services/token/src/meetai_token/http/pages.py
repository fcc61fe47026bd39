"""Which web pages may have a browser ask, where a browser sends cookies along (`CORS_CREDENTIALS`).

CORS hides an answer from a page that may not call; what was asked for is done all the same. With a bearer credential in the page's own
hands that is no matter: a foreign page has none. A cookie, which a proxy before us makes one of, goes along with whatever any page asks.

Owns that decision. Whoever isn't a browser says nothing about a page, and is let through.
"""

from __future__ import annotations

from collections.abc import Collection

from litestar.exceptions import PermissionDeniedException
from litestar.types import ASGIApp, Middleware, Receive, Scope, Send


def only_of(origins: Collection[str]) -> Middleware:
    """What answers 403 to requests of pages that are neither of these origins nor of the service's own."""
    allowed = frozenset(origin.encode() for origin in origins)

    def around(app: ASGIApp) -> ASGIApp:
        async def of_its_own(scope: Scope, receive: Receive, send: Send) -> None:
            if not _may_ask(dict(scope["headers"]), allowed):
                raise PermissionDeniedException(detail="Pages of this origin may not call.")
            await app(scope, receive, send)

        return of_its_own

    return around


def _may_ask(headers: dict[bytes, bytes], allowed: frozenset[bytes]) -> bool:
    origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site")
    if origin in allowed or site in {b"same-origin", b"none"}:  # "none": a person did it, no page
        return True
    if site is not None:
        return False
    return origin is None or origin.partition(b"://")[2] == headers.get(b"host")  # a browser without Fetch Metadata
