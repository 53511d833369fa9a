"""What the documentation says is what there is: parameters, codes, options, links, examples."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest

from addon.config import load_config
from addon.wire.responses import ResponsesRequest, Wire

ROOT = Path(__file__).parents[1]
ADDON = ROOT / "addon"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
DEMO = ADDON / "demo.py"
"""A provider of its own: its errors are not the bridge's."""


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def code_blocks(text: str) -> list[tuple[str, str]]:
    """Language and content of each block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def headings(text: str) -> list[tuple[int, str]]:
    found = re.findall(r"^(#+) (.+)$", without_code(text), re.MULTILINE)
    return [(len(marks), title) for marks, title in found]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


# --- docs/parameters.md ----------------------------------------------------------------------------------------------

PARAMETERS = text_of("docs/parameters.md")


@pytest.mark.parametrize("parameter", ResponsesRequest.model_fields)
def test_each_parameter_has_its_row(parameter: str) -> None:
    assert re.search(rf"^\| `{parameter}` \| .+ \|$", PARAMETERS, re.MULTILINE)


def wire_types(kind: type[Wire] = Wire) -> Iterator[str]:
    """The values of `type` that are read: items, parts and tools."""
    for subclass in kind.__subclasses__():
        yield from wire_types(subclass)
        field = subclass.model_fields.get("type")
        if field is not None and get_origin(field.annotation) is Literal:
            yield from get_args(field.annotation)


@pytest.mark.parametrize("name", sorted(set(wire_types())))
def test_each_item_part_and_tool_is_described(name: str) -> None:
    assert re.search(rf"^\|[^|]*`{name}`", PARAMETERS, re.MULTILINE)


def event_names() -> set[str]:
    """Whole names of events, and the stems that get `.delta` and `.done`."""
    sources = (ADDON / "translate" / name for name in ("items.py", "output.py"))
    return {name for path in sources for name in re.findall(r'"(response\.[a-z_.]+[a-z])"', path.read_text("utf-8"))}


@pytest.mark.parametrize("event", sorted(event_names()))
def test_each_event_is_described(event: str) -> None:
    assert re.search(rf"`{re.escape(event)}(\.delta|\.done)?`", PARAMETERS)


# --- docs/errors.md --------------------------------------------------------------------------------------------------


def strings_in(node: ast.AST) -> Iterator[str]:
    """The string constants of an expression that may be a code: "x", or `said.code or "x"`."""
    for part in (node, *getattr(node, "values", ())):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def codes_at(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call(func=ast.Name("ApiError"), args=[_, _, code, *_]):
            yield from strings_in(code)
        case ast.keyword(arg="code", value=value):
            yield from strings_in(value)
        case ast.Assign(targets=[ast.Name("code")], value=value):
            yield from strings_in(value)
        case ast.arguments(kwonlyargs=[*names], kw_defaults=[*defaults]):
            for name, default in zip(names, defaults, strict=True):
                if name.arg == "code" and default is not None:
                    yield from strings_in(default)


def error_codes() -> set[str]:
    codes: set[str] = set()
    for path in ADDON.rglob("*.py"):
        if path != DEMO:
            source = path.read_text("utf-8")
            codes.update(re.findall(r'"code": "([a-z_]+)"', source))
            codes.update(code for node in ast.walk(ast.parse(source)) for code in codes_at(node))
    return codes


def test_codes_are_found_in_each_form_they_are_written_in():
    forms = {"not_served_by_bridge", "bridge_misconfigured", "remote_not_allowed", "refused_by_bridge", "forbidden"}
    assert forms <= error_codes()


@pytest.mark.parametrize("code", sorted(error_codes()))
def test_each_error_code_is_explained(code: str) -> None:
    assert f"`{code}`" in text_of("docs/errors.md")


# --- docs/configuration.md -------------------------------------------------------------------------------------------


def option_names() -> list[str]:
    tree = ast.parse((ADDON / "proxy" / "hooks.py").read_text("utf-8"))
    return [
        str(call.args[0].value)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "add_option"
        and isinstance(call.args[0], ast.Constant)
    ]


def test_options_are_found():
    assert "bridge_config" in option_names()


@pytest.mark.parametrize("option", option_names())
def test_each_option_is_described(option: str) -> None:
    assert re.search(rf"\b{option}\b", text_of("docs/configuration.md"))


def variable_names() -> set[str]:
    sources = (path.read_text("utf-8") for path in (ADDON / "config").glob("*.py"))
    return {name for source in sources for name in re.findall(r"\bBRIDGE_[A-Z]+\b", source)} - {"BRIDGE_"}


@pytest.mark.parametrize("variable", sorted(variable_names()))
def test_each_variable_has_its_row(variable: str) -> None:
    rows = re.findall(r"^\| `(BRIDGE_\w+)` \|", text_of("docs/configuration.md"), re.MULTILINE)
    assert variable in rows or f"{variable}_URL" in rows


# --- examples --------------------------------------------------------------------------------------------------------


OWN_PROFILE = 'id = "own"\nbase_url = "http://localhost:1/v1"\nevidence = "U"\nchecked = "2026-11"\n'


def yaml_examples() -> list[object]:
    return [
        pytest.param(content, id=f"{named(path)}-{number}")
        for path in DOCUMENTS
        for number, (language, content) in enumerate(code_blocks(path.read_text("utf-8")))
        if language == "yaml"
    ]


@pytest.mark.parametrize("example", yaml_examples())
def test_each_configuration_example_is_valid(example: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("a-key")
    config = re.sub(r"/run/secrets/\w+", str(key), example)
    if "models:" not in config:
        first = re.search(r"^  ([\w-]+):", config, re.MULTILINE)
        assert first is not None
        config += f'models: {{"*": {first[1]}/a-model}}\n'
    for name in re.findall(r"\./([\w-]+\.toml)", config):
        (tmp_path / name).write_text(OWN_PROFILE)
    path = tmp_path / "bridge.yaml"
    path.write_text(config, "utf-8")
    env = dict.fromkeys(re.findall(r"\$\{(\w+)", config), "a-value")
    assert load_config(path, env, {}).models


# --- links -----------------------------------------------------------------------------------------------------------


def slug(title: str) -> str:
    """The anchor of a heading, as repository hosts make it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def links() -> list[object]:
    return [
        pytest.param(path, target, id=f"{named(path)}: {target}")
        for path in DOCUMENTS
        for target in dict.fromkeys(re.findall(r"\]\(([^)\s]+)\)", without_code(path.read_text("utf-8"))))
        if not re.match(r"[a-z]+:", target)
    ]


@pytest.mark.parametrize(("document", "target"), links())
def test_each_link_leads_somewhere(document: Path, target: str) -> None:
    file, _, anchor = target.partition("#")
    aim = document.parent / file if file else document
    assert aim.exists()
    if anchor:
        assert anchor in [slug(title) for _, title in headings(aim.read_text("utf-8"))]


# --- two languages ---------------------------------------------------------------------------------------------------

ENGLISH, CHINESE = text_of("docs/openai-proxy.md"), text_of("docs/openai-proxy-zh.md")


def test_both_guides_have_the_same_sections():
    assert [level for level, _ in headings(ENGLISH)] == [level for level, _ in headings(CHINESE)]


def test_both_guides_have_the_same_commands():
    def bare(text: str) -> list[tuple[str, list[str]]]:
        """Pictures aside, what is in the blocks without comments."""
        blocks = [(language, re.sub(r"[ \t]*(#|rem ).*", "", content)) for language, content in code_blocks(text)]
        return [(language, content.split()) for language, content in blocks if "─" not in content]

    assert bare(ENGLISH) == bare(CHINESE)


def test_both_guides_have_the_same_tables():
    def shape(text: str) -> list[int]:
        return [len(re.findall(r"(?<!\\)\|", line)) for line in without_code(text).splitlines() if line.startswith("|")]

    assert shape(ENGLISH) == shape(CHINESE)
