"""The tools a client declares, and the choice among them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from addon.wire.json import JsonObject
from addon.wire.responses.values import Text, Wire, kind_of


class FunctionTool(Wire):
    type: Literal["function"] = "function"
    name: str
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class CustomTool(Wire):
    """A tool whose input is free text, perhaps in a grammar: {"type": "grammar", "syntax", "definition"}."""

    type: Literal["custom"] = "custom"
    name: str
    description: str | None = None
    format: JsonObject | None = None


class NamespaceTool(Wire):
    type: Literal["namespace"] = "namespace"
    name: str
    description: str | None = None
    tools: list[Tool] = Field(default_factory=list)


class ToolSearchTool(Wire):
    """`execution` "client": the client looks the tools up and sends them in a `tool_search_output` item."""

    type: Literal["tool_search"] = "tool_search"
    execution: str | None = None
    description: str | None = None
    parameters: JsonObject | None = None


class ShellTool(Wire):
    """Commands that the client runs itself; or OpenAI, in a container, if `environment` says so."""

    type: Literal["shell"] = "shell"
    environment: JsonObject | None = None

    @property
    def is_local(self) -> bool:
        return self.environment is None or self.environment.get("type") == "local"


class LocalShellTool(Wire):
    """The older form: one command, as its arguments."""

    type: Literal["local_shell"] = "local_shell"


class ApplyPatchTool(Wire):
    """Changes to one file at a time; the client makes them."""

    type: Literal["apply_patch"] = "apply_patch"


class OtherTool(Wire):
    """Hosted tools, and whatever came after this was written."""

    type: Text = ""
    name: str | None = None


_TOOL_TYPES = frozenset(
    {"function", "custom", "namespace", "tool_search", "shell", "local_shell", "apply_patch"}
)  # fmt: skip
Tool = Annotated[
    Annotated[FunctionTool, Tag("function")]
    | Annotated[CustomTool, Tag("custom")]
    | Annotated[NamespaceTool, Tag("namespace")]
    | Annotated[ToolSearchTool, Tag("tool_search")]
    | Annotated[ShellTool, Tag("shell")]
    | Annotated[LocalShellTool, Tag("local_shell")]
    | Annotated[ApplyPatchTool, Tag("apply_patch")]
    | Annotated[OtherTool, Tag("other")],
    Discriminator(
        kind_of(_TOOL_TYPES, "other"),
        custom_error_type="tool",
        custom_error_message="Input should be an object with a 'type'",
    ),
]


class ChosenTool(Wire):
    """One entry of `allowed_tools.tools`, or a tool_choice that names a tool."""

    type: Text = ""
    name: str | None = None
    namespace: str | None = None
    mode: str | None = None
    tools: list[ChosenTool] = Field(default_factory=list)


ToolChoice = Annotated[
    Annotated[str, Tag("text")] | Annotated[ChosenTool, Tag("object")],
    Discriminator(lambda value: "text" if isinstance(value, str) else "object"),
]
