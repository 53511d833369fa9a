"""The reference in docs/configuration.md and the models of the file name the same keys."""

import re
from pathlib import Path

from addon.config.model import (
    Background,
    Cache,
    Clients,
    Compaction,
    Config,
    Failover,
    Keepalive,
    Limits,
    ModelRoute,
    ModelTarget,
    Provider,
    Section,
    StoreLimits,
    Vision,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"

SECTIONS: dict[str, type[Section]] = {
    "": Config,
    "providers.NAME.": Provider,
    "models.NAME.": ModelRoute,
    "models.NAME.targets[].": ModelTarget,
    "clients.": Clients,
    "compaction.": Compaction,
    "vision.": Vision,
    "failover.": Failover,
    "keepalive.": Keepalive,
    "limits.": Limits,
    "store_limits.": StoreLimits,
    "background.": Background,
    "cache.": Cache,
}


def reference_rows() -> dict[str, list[str]]:
    reference = DOCUMENT.read_text("utf-8").partition("### Reference")[2].partition("### ")[0]
    rows = re.findall(r"^\| `([^`]+)` \|(.*)\|$", reference, re.MULTILINE)
    return {key: [cell.strip() for cell in re.split(r"(?<!\\)\|", cells)] for key, cells in rows}


def test_every_section_is_listed_here():
    assert set(SECTIONS.values()) == set(Section.__subclasses__())


def test_every_key_has_its_row_and_every_row_its_key():
    keys = {f"{prefix}{name}" for prefix, section in SECTIONS.items() for name in section.model_fields}
    assert set(reference_rows()) == keys


def test_every_row_tells_meaning_and_default():
    for key, (meaning, default, _example) in reference_rows().items():
        assert meaning, key
        assert default or key in (
            "compaction",
            "vision",
            "failover",
            "keepalive",
            "limits",
            "background",
            "store_limits",
        ), key


def test_every_key_is_described_in_the_code():
    fields = [field for section in SECTIONS.values() for field in section.model_fields.values()]
    assert all(field.description for field in fields)


def test_every_key_but_a_target_has_a_default():
    required = {
        f"{prefix}{name}"
        for prefix, section in SECTIONS.items()
        for name, field in section.model_fields.items()
        if field.is_required()
    }
    assert required == {"models.NAME.targets", "models.NAME.targets[].target"}
