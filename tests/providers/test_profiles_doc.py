"""docs/profiles.md names every field with its default, every style and every platform."""

import json
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

from addon.providers.platforms import Platform, builtin_platforms, load_platform_file, resolve
from addon.providers.profile import STYLE_FRAGMENTS, Profile

LINES = (Path(__file__).parents[2] / "docs" / "profiles.md").read_text("utf-8").splitlines()


def row(name: str) -> list[str]:
    """The cells behind the first one of the table row that is about `name`."""
    for line in LINES:
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        if line.startswith("|") and cells[0] == f"`{name}`":
            return cells[1:]
    pytest.fail(f"docs/profiles.md has no row for {name}")


def shown(field: FieldInfo) -> str:
    """A default as the table prints it."""
    default = field.get_default(call_default_factory=True)
    if default is None or default == "":
        return "none"
    if hasattr(default, "model_fields_set"):
        return "see below"
    return f"`{json.dumps(default)}`" if not isinstance(default, str) else f"`{default}`"


@pytest.mark.parametrize("name", Profile.model_fields)
def test_field_has_its_row_and_default(name: str) -> None:
    default = row(name)[-1]
    assert default == shown(Profile.model_fields[name])


@pytest.mark.parametrize("platform", builtin_platforms().values(), ids=builtin_platforms())
def test_platform_is_listed(platform: Platform) -> None:
    cells = " ".join(row(platform.id))
    for expected in (*platform.env, platform.base_url or ""):
        assert expected in cells


@pytest.mark.parametrize("style", STYLE_FRAGMENTS)
def test_style_is_listed(style: str) -> None:
    row(style)


def test_the_example_of_a_profile_in_a_file_is_one(tmp_path: Path) -> None:
    example = "\n".join(LINES).partition("## A profile of your own")[2].partition("```toml\n")[2].partition("```")[0]
    path = tmp_path / "acme.toml"
    path.write_text(example)
    platform = load_platform_file(path)
    assert (platform.id, platform.env) == ("acme", ("ACME_API_KEY",))
    assert resolve(platform, model="thinker-1").thinking_style == "enable_thinking"
