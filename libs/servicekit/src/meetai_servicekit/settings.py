"""The environment, read once into a frozen Struct, every wrong key reported at once.

A service declares its settings as a Struct whose field `redis_url` is read from `REDIS_URL`. Owns reading and reporting;
must not hold a default secret, nor be called at import time.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from typing import Annotated, Any, Final, NoReturn, Protocol, TypeVar, Union, get_args, get_origin, runtime_checkable

import msgspec
from msgspec import Meta, Struct

from meetai_contracts.codec import name_field

S = TypeVar("S", bound=Struct)

EXIT_BAD_SETTINGS = 2
INNGEST_DEV_URL: Final = "http://127.0.0.1:8288"
"""Where `inngest dev` listens."""

# What several services are told, and must take alike.
LiveKitUrl = Annotated[
    str, Meta(pattern=r"^(wss?|https?)://[^/?#]+", description="Address of the LiveKit server, wss://… or https://….")
]
AgentName = Annotated[
    str, Meta(min_length=1, max_length=64, description="Name that the agent's workers register under.")
]
StreamShards = Annotated[int, Meta(ge=1, le=256, description="How many streams meetings are spread over.")]


@runtime_checkable
class ParsesSetting(Protocol):
    """A type that reads itself from the text of a setting."""

    @classmethod
    def parse_setting(cls, raw: str) -> Any:
        """Read the value.

        Raises:
            ValueError: says what is wrong, without the value.
        """


@runtime_checkable
class ComparesSettings(Protocol):
    """Settings that only together are right or wrong. A rule in `__post_init__` would be asked last, when all else is right."""

    @classmethod
    def compare_settings(cls, values: Mapping[str, Any]) -> list[str]:
        """A line for each problem, `NAME: what is wrong`. `values` are the fields that are set and right by themselves."""


class InngestDev(str):
    """`INNGEST_DEV`: the dev server's URL; "" when it is switched off."""

    __slots__ = ()

    @classmethod
    def parse_setting(cls, raw: str) -> InngestDev:
        """Read 1, true, 0, false or a URL, as the SDK does.

        Raises:
            ValueError: none of these.
        """
        if raw.lower() in {"1", "true"}:
            return cls(INNGEST_DEV_URL)
        if raw.lower() in {"0", "false"}:
            return cls("")
        if raw.startswith(("http://", "https://")):
            return cls(raw)
        raise ValueError("must be 1, 0 or the dev server's URL")


class SettingsError(Exception):
    """One or more settings are missing or wrong.

    Attributes:
        problems: A line each, `NAME: what is wrong`.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class HttpSettings(Struct, frozen=True, kw_only=True):
    """What every service needs to listen and to log. `port` has no default here: each service has its own."""

    otel_exporter_otlp_endpoint: (
        Annotated[str, Meta(pattern=r"^https?://[^/?#\s]+", description="Base URL of an OTLP/HTTP collector.")] | None
    ) = None
    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    log_level: Annotated[
        str, Meta(pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least severe level logged.")
    ] = "INFO"


def load(settings: type[S], environ: Mapping[str, str]) -> S:
    """Read settings from the environment. A variable that is set but empty counts as absent.

    Raises:
        SettingsError: names every missing or wrong variable, never a value.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for field in msgspec.structs.fields(settings):
        name = field.name.upper()
        raw = environ.get(name, "")
        if not raw:
            if field.required:
                problems.append(f"{name}: is required ({_description(field.type)})")
            continue
        try:
            values[field.name] = _read(raw, field.type)
        except ValueError as error:  # msgspec.ValidationError is one
            problems.append(f"{name}: {name_field('', str(error))[1]}")
    if isinstance(settings, ComparesSettings):
        problems += settings.compare_settings(values)
    if problems:
        raise SettingsError(problems)
    try:
        return settings(**values)
    except ValueError as error:
        raise SettingsError([str(error)]) from None


def load_or_exit(settings: type[S], environ: Mapping[str, str]) -> S:
    """As `load`, but print the problems and leave with exit code 2, before anything has been started."""
    try:
        return load(settings, environ)
    except SettingsError as error:
        exit_with_problems(error.problems)


def exit_with_problems(problems: list[str]) -> NoReturn:
    """Print a line for each problem on stderr and leave with exit code 2."""
    sys.stderr.write("".join(f"settings: {problem}\n" for problem in problems))
    raise SystemExit(EXIT_BAD_SETTINGS)


def _read(raw: str, annotation: Any) -> Any:
    plain = _without_none(annotation)
    target = get_args(plain)[0] if get_origin(plain) is Annotated else plain
    if isinstance(target, type) and issubclass(target, ParsesSetting):
        return target.parse_setting(raw)
    if get_origin(target) is tuple:
        parts = tuple(part.strip() for part in raw.split(",") if part.strip())
        return msgspec.convert(parts, annotation, strict=False)
    return msgspec.convert(raw, plain, strict=False)


def _without_none(annotation: Any) -> Any:
    """`int | None` as `int`: an absent variable is never converted."""
    if get_origin(annotation) in {Union, types.UnionType}:
        (annotation,) = [part for part in get_args(annotation) if part is not type(None)]
    return annotation


def _description(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        for part in annotation.__metadata__:
            if isinstance(part, Meta) and part.description:
                return part.description.rstrip(".")
    return "see the service's settings.py"
