"""Errors over HTTP: RFC 9457 problem+json, `errors` naming the field where input was bad.

Owns the translation of exceptions to responses. Must not put a value, a token or a stack into one.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.typing import FieldDefinition

from meetai_contracts.api import FieldError, Problem
from meetai_contracts.codec import ContractError, name_field

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"

log = structlog.get_logger()


def described_problems(descriptions: Mapping[int, str]) -> dict[int, ResponseSpec]:
    """`responses` of a route, for the OpenAPI document: that it fails with problem+json, and when."""
    return {
        status: ResponseSpec(Problem, generate_examples=False, description=text, media_type=PROBLEM_MEDIA_TYPE)
        for status, text in descriptions.items()
    }


def keyed_problems(scope: str, descriptions: Mapping[int, str]) -> dict[int, ResponseSpec]:
    """As `described_problems`, of a route that takes a service key with a scope, and asks a store."""
    usual = {
        400: "Something in the request is not acceptable; `errors` names it",
        401: "No service key that is known",
        403: f"A key without `{scope}`",
        503: "The store is away; try again after `Retry-After` seconds",
    }
    return described_problems({**usual, **descriptions})


class InvalidFieldError(Exception):
    """A request with a field that isn't acceptable: 400, the field named."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class UnavailableError(Exception):
    """Something this request needs is away: 503 with Retry-After.

    Attributes:
        what: The thing that is away, in a word or two.
        retry_after_seconds: When it is worth trying again.
    """

    def __init__(self, what: str, retry_after_seconds: int = 2) -> None:
        super().__init__(f"{what} is unavailable")
        self.what = what
        self.retry_after_seconds = retry_after_seconds


def problem_response(
    status: int, detail: str, *, errors: tuple[FieldError, ...] = (), headers: Mapping[str, str] | None = None
) -> Response[bytes]:
    """A problem+json response; `type` is `about:blank`, the status says what it is (RFC 9457, section 4.2.1)."""
    problem = Problem(type="about:blank", title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)
    return Response(
        msgspec.json.encode(problem),
        status_code=status,
        media_type=PROBLEM_MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def from_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Litestar's own errors: routing, limits, authentication, and input that doesn't fit the handler."""
    if isinstance(error, ValidationException):
        return problem_response(400, "The request is not acceptable.", errors=_field_errors(error, request))
    detail = error.detail if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR else ""
    if error.status_code == HTTPStatus.BAD_REQUEST:
        detail = "The body is not valid JSON."
    return problem_response(error.status_code, detail or HTTPStatus(error.status_code).phrase, headers=error.headers)


def from_invalid_field(_request: Request[Any, Any, Any], error: InvalidFieldError) -> Response[bytes]:
    """A field that one of our own checks refused."""
    return problem_response(
        400, "The request is not acceptable.", errors=(FieldError(field=error.field, message=error.message),)
    )


def from_contract_error(_request: Request[Any, Any, Any], error: ContractError) -> Response[bytes]:
    """A body that one of our own codecs refused."""
    return problem_response(
        400, "The request is not acceptable.", errors=(FieldError(field=error.field, message=error.reason),)
    )


def from_undecodable(_request: Request[Any, Any, Any], error: RecursionError | UnicodeDecodeError) -> Response[bytes]:
    """JSON nested deeper than the interpreter's stack, or not UTF-8: bad input, not our failure."""
    message = "is nested too deeply" if isinstance(error, RecursionError) else "must be UTF-8"
    return problem_response(400, "The request is not acceptable.", errors=(FieldError(field="", message=message),))


def from_unavailable(_request: Request[Any, Any, Any], error: UnavailableError) -> Response[bytes]:
    """A dependency is away; the caller may try again."""
    headers = {"Retry-After": str(error.retry_after_seconds)}
    return problem_response(503, f"{error.what} is unavailable; try again.", headers=headers)


def from_bug(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Anything unforeseen: logged with its place, answered without a word of it."""
    log.error("request_failed", route=request.scope.get("path_template"), exc_info=error)
    return problem_response(500, "The service failed; its log says where.")


EXCEPTION_HANDLERS: Final[dict[Any, Any]] = {
    HTTPException: from_http_exception,
    InvalidFieldError: from_invalid_field,
    ContractError: from_contract_error,
    RecursionError: from_undecodable,
    UnicodeDecodeError: from_undecodable,
    UnavailableError: from_unavailable,
    Exception: from_bug,
}


def _field_errors(error: ValidationException, request: Request[Any, Any, Any]) -> tuple[FieldError, ...]:
    extra = error.extra if isinstance(error.extra, list) else []
    return tuple(_field_error(item, request) for item in extra if isinstance(item, dict) and "message" in item)


def _field_error(item: Mapping[str, Any], request: Request[Any, Any, Any]) -> FieldError:
    if item["message"] == "'data'":  # Litestar's complaint where there is no body at all
        return FieldError(field="", message="a JSON body is required")
    key = str(item.get("key", ""))
    if item.get("source") != "body" and (parameter := _parameter(request, key)):
        _, message = name_field("", item["message"], parameter.annotation)
        return FieldError(field=getattr(parameter.kwarg_definition, "name", None) or key, message=message)
    field, message = name_field(key.removeprefix("data"), item["message"], _body_type(request))
    return FieldError(field=field, message=message)


def _parameter(request: Request[Any, Any, Any], name: str) -> FieldDefinition | None:
    """The handler's parameter of this name; the caller may know it by another, which its definition has."""
    signature = getattr(request.scope.get("route_handler"), "parsed_fn_signature", None)
    return signature and signature.parameters.get(name)


def _body_type(request: Request[Any, Any, Any]) -> Any:
    """What the route takes as its body, so that a refusal can say what would be accepted; None without one."""
    field = getattr(request.scope.get("route_handler"), "parsed_data_field", None)
    return field and field.annotation
