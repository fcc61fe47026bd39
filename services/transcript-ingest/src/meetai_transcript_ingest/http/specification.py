"""What the OpenAPI document says of every route here beside its own answers: how it fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from litestar.openapi.datastructures import ResponseSpec

from meetai_contracts.api import Problem
from meetai_servicekit.problems import PROBLEM_MEDIA_TYPE


def _problem(description: str) -> ResponseSpec:
    return ResponseSpec(Problem, generate_examples=False, description=description, media_type=PROBLEM_MEDIA_TYPE)


PROBLEMS: Final[Mapping[int, ResponseSpec]] = {
    400: _problem("A parameter is not acceptable; `errors` names it"),
    401: _problem("No service key and no participant's token that is valid now"),
    403: _problem("A credential that doesn't open this meeting's transcript, whether there is one or not"),
    503: _problem("The store is away; try again after `Retry-After` seconds"),
}
