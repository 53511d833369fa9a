"""Profiles are all there is to a provider: each field is read by code, and code names no provider."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from addon.providers.platforms import GENERIC, builtin_platforms
from addon.providers.profile import Profile

ADDON = Path(__file__).parents[2] / "addon"
DEFINITION = ADDON / "providers" / "profile.py"
SOURCES = sorted(path for path in ADDON.rglob("*.py") if path != DEFINITION)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


# Each field is read

HOLDERS = re.compile(r"(^|_)(profile|platform)$")
"""What a profile, or the platform it came from, is called where it is used. `.id` of anything else proves nothing."""


def read_from_profiles(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=holder) | ast.Attribute(attr=holder), attr=name):
                if HOLDERS.search(holder) and isinstance(node.ctx, ast.Load):
                    yield name


def methods() -> dict[str, set[str]]:
    """The fields that a profile's own methods and properties read."""
    tree = parsed(DEFINITION)
    profile = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Profile")
    return {
        function.name: {node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute)}
        for function in profile.body
        if isinstance(function, ast.FunctionDef)
    }


READ = {name for path in SOURCES for name in read_from_profiles(parsed(path))}


@pytest.mark.parametrize("field", Profile.model_fields)
def test_a_field_is_read_by_code(field: str) -> None:
    by_method = {inner for name, fields in methods().items() if name in READ for inner in fields}
    assert field in READ | by_method, f"no code outside {DEFINITION.name} asks a profile for {field}"


# No code names a provider

NAMES = sorted(
    {*builtin_platforms(), "kimi", "qwen", "glm", "claude", "grok", "doubao", "google", "azure", "cloudflare"}
    # "generic" is no provider, "openai" is the API that is imitated, "together" is a word of English.
    - {GENERIC, "openai", "together"}
)
WORDS = {word for field in Profile.model_fields.values() for word in get_args(field.annotation)}
"""Values of profile fields: a dialect such as a schema flavor may be called after the one who speaks it."""
NAMED = re.compile(rf"(?<![A-Za-z0-9_])({'|'.join(map(re.escape, NAMES))})(?![A-Za-z0-9_])", re.I)
"""A whole word. What is part of a longer one is something else: x_groq is a key, DASHSCOPE_API_KEY an example."""


def docstrings(tree: ast.AST) -> set[int]:
    """Strings that stand alone, which say something to readers only."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def written(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of what code is made of: its strings, and its names with their words apart."""
    told = docstrings(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in told:
                yield node.lineno, text
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield node.lineno, name.replace("_", " ")
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.alias(name=name):
                yield node.lineno, name.replace("_", " ")


EXAMPLE = re.compile(r"for example .*", re.S)
"""A message to people may show how a name is written; nothing is decided by it."""


def names_in(source: str) -> list[str]:
    tree = ast.parse(source)
    found = ((line, name) for line, text in written(tree) for name in NAMED.findall(EXAMPLE.sub("", text)))
    return [f"{line}: {name}" for line, name in found if name.lower() not in WORDS]


@pytest.mark.parametrize("path", [*SOURCES, DEFINITION], ids=lambda path: path.relative_to(ADDON).as_posix())
def test_code_names_no_provider(path: Path) -> None:
    """A difference between providers is a field of the profile; a name in the code would be a second place for it."""
    assert names_in(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        pytest.param("if profile.id == 'deepseek': pass", ["1: deepseek"], id="string"),
        pytest.param("def is_groq(): pass", ["1: groq"], id="function"),
        pytest.param("url = 'https://api.mistral.ai/v1'", ["1: mistral"], id="host"),
        pytest.param("from addon import ollama_stream", ["1: ollama"], id="import"),
        pytest.param("f(kimi=True)", ["1: kimi"], id="argument"),
        pytest.param("'''As groq does it.'''\n# and mistral", [], id="docstring-and-comment"),
        pytest.param("key = 'x_groq'", [], id="part-of-a-key"),
        pytest.param("message = 'for example DASHSCOPE_API_KEY'", [], id="part-of-a-variable"),
        pytest.param("message = 'write provider/model, for example mistral/x'", [], id="example"),
        pytest.param("flavor = 'gemini'", [], id="value-of-a-field"),
    ],
)
def test_what_counts_as_a_name(source: str, found: list[str]) -> None:
    assert names_in(source) == found
