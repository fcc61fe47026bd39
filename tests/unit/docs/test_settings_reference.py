"""The configuration reference says what each setting means."""

from __future__ import annotations

import msgspec
import pytest
from deploy.docs.site import settings_reference
from deploy.docs.site.settings_reference import COMMANDS, SERVICES, description_of, is_secret

SETTINGS = [
    pytest.param(settings, field, id=f"{name}-{field.name}")
    for name, settings in {**SERVICES, **COMMANDS}.items()
    for field in msgspec.structs.fields(settings)
]


@pytest.mark.parametrize(("settings", "field"), SETTINGS)
def test_setting_has_its_meaning_when_it_is_read_by_a_service(
    settings: type[msgspec.Struct], field: msgspec.structs.FieldInfo
) -> None:
    """In its annotation, or in its class's `Attributes:`. The service's own error says it too."""
    assert len(description_of(settings, field.name)) > 10


@pytest.mark.parametrize(("settings", "field"), SETTINGS)
def test_setting_is_marked_when_its_name_is_a_secrets(
    settings: type[msgspec.Struct], field: msgspec.structs.FieldInfo
) -> None:
    """What holds a secret is declared as one, so that no repr shows it."""
    ends = ("_secret", "_secret_next", "database_url", "redis_url", "_signing_key", "_event_key", "more_keys")
    named = field.name.endswith(ends) or field.name in {"openai_api_key", "deepgram_api_key"}
    assert is_secret(field.type) == named


def test_page_has_every_variable_when_it_is_written() -> None:
    """A row each, with its default."""
    text = settings_reference.page().content
    assert isinstance(text, str)
    assert "| `TOKEN_TTL_SECONDS` | integer, 60 to 21,600 | `600` |" in text
    assert "| `DATABASE_URL` | `postgresql://…` | **required** | **Secret.**" in text
    assert "| `LOG_LEVEL` | text, `DEBUG`, `INFO`, `WARNING`, `ERROR` | `INFO` |" in text
    assert all(f"| `{each.values[1].name.upper()}` |" in text for each in SETTINGS)  # type: ignore[union-attr]
