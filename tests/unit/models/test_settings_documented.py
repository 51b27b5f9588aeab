"""docs/settings.md names every setting with its default, and no other."""

import re
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from models import settings

DOCUMENT = Path(__file__).parents[3] / "docs" / "settings.md"
ROW = re.compile(r"^\| `([A-Z_]+)` \| (.+?) \| (.+) \|$", re.MULTILINE)
CLASSES = [
    settings.DatabaseSettings,
    settings.Settings,
    settings.ReachingSettings,
    settings.ApiSettings,
    settings.SchedulerSettings,
    settings.NodeSettings,
]


def variables() -> dict[str, str | None]:
    """Each variable with its default as the document writes it; None where it is computed."""
    found: dict[str, str | None] = {}
    for kind in CLASSES:
        for name, field in kind.model_fields.items():
            variable = str(field.validation_alias or f"GPULAB_{name.upper()}")
            if field.default_factory is not None:
                found[variable] = None
            else:
                absent = field.default is PydanticUndefined or field.default is None
                found[variable] = "none" if absent else f"`{field.default}`"
    return found


def documented() -> dict[str, str]:
    return {variable: default for variable, default, _ in ROW.findall(DOCUMENT.read_text())}


def test_every_setting_is_documented_and_nothing_else() -> None:
    assert documented().keys() == variables().keys()


@pytest.mark.parametrize("variable", variables())
def test_documented_default_is_the_default(variable: str) -> None:
    expected = variables()[variable]
    assert expected is None or documented()[variable] == expected


def test_every_class_of_settings_is_looked_at() -> None:
    found = {
        kind
        for kind in vars(settings).values()
        if isinstance(kind, type) and issubclass(kind, settings.DatabaseSettings)
    }
    assert found == set(CLASSES)
