"""Tools that run at OpenAI: what the configuration and the profile make of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

import pytest

from addon.config.model import HostedTool
from addon.providers.platforms import profile_for
from addon.providers.profile import Profile
from addon.translate.errors import ApiError
from addon.translate.hosted import OTHERS, HostedPolicy, family, is_hosted_item, is_web_search
from addon.translate.notes import Notes
from addon.translate.request import to_chat
from addon.wire.json import Json, JsonObject, dumps
from addon.wire.responses import read_request

SEARCH: JsonObject = {"type": "web_search"}
LOOK: JsonObject = {"type": "function", "name": "look"}
BODY = Profile(web_search={"enable_search": True})
TOOL = Profile(web_search_tool={"type": "web_search", "web_search": {"enable": True}})
OPENAI_HAS_IT = "tools: web_search: hosted at OpenAI; not available at this provider"


def converted(
    tools: list[Json], profile: Profile, policy: HostedPolicy | None = None, choice: Json = None
) -> tuple[JsonObject, list[str]]:
    """What the chat request says of tools and search, and the notes."""
    request = read_request(dumps({"model": "m", "input": "hi", "tools": tools, "tool_choice": choice}).encode())
    notes = Notes()
    call = to_chat(
        request,
        profile,
        model="m",
        origin="here/m",
        lookup=lambda _: None,
        notes=notes,
        **({"hosted": policy} if policy else {}),
    )
    body: JsonObject = {key: value for key, value in call.body.items() if key not in ("model", "messages")}
    return body, [str(note) for note in notes]


@dataclass
class Case:
    id: str
    profile: Profile
    body: JsonObject
    tools: list[Json] = field(default_factory=lambda: [SEARCH])
    choice: Json = None
    notes: list[str] = field(default_factory=list)
    policy: HostedPolicy | None = None


LOOK_CHAT: JsonObject = {"name": "look", "parameters": {"type": "object", "properties": {}}}
FUNCTION: JsonObject = {"type": "function", "function": LOOK_CHAT}
SEARCH_TOOL: JsonObject = {"type": "web_search", "web_search": {"enable": True}}
NAMED: JsonObject = {"type": "function", "name": "look"}
UNFORCED = "tool_choice: the provider's own search cannot be forced; the model decides"

CASES = [
    Case("a provider without a search", Profile(), {}, notes=[OPENAI_HAS_IT]),
    Case("by a parameter", BODY, {"enable_search": True}),
    Case("by a tool", TOOL, {"tools": [SEARCH_TOOL]}),
    Case("the preview", BODY, {"enable_search": True}, [{"type": "web_search_preview_2025_03_11"}]),
    Case("beside functions", BODY, {"tools": [FUNCTION], "enable_search": True}, [SEARCH, LOOK]),
    Case("a tool beside functions", TOOL, {"tools": [FUNCTION, SEARCH_TOOL]}, [SEARCH, LOOK]),
    Case(
        "not beside functions",
        Profile(web_search={"enable_search": True}, web_search_with_tools=False),
        {"tools": [FUNCTION]},
        [SEARCH, LOOK],
        notes=["tools: web_search: this provider does not search where functions are offered"],
    ),
    Case(
        "a model without functions searches all the same",
        BODY.model_copy(update={"tools": False}),
        {"enable_search": True},
    ),
    Case("a model without functions gets no tool", TOOL.model_copy(update={"tools": False}), {}),
    Case(
        "settings that get lost",
        BODY,
        {"enable_search": True},
        [{**SEARCH, "filters": {"allowed_domains": ["a.org"]}, "user_location": None, "search_context_size": "low"}],
        notes=["tools: web_search: the provider's own search has no filters, search_context_size"],
    ),
    Case("live access", BODY, {"enable_search": True}, [{**SEARCH, "external_web_access": True}]),
    Case(
        "no live access",
        BODY,
        {},
        [{**SEARCH, "external_web_access": False}],
        notes=["tools: web_search: the client wants no live access to the web, and this provider has no other"],
    ),
    Case(
        "left out by configuration",
        BODY,
        {},
        notes=["tools: web_search: left out, as the configuration says"],
        policy=HostedPolicy({"web_search": "drop"}),
    ),
    Case(
        "all left out by configuration",
        BODY,
        {},
        notes=["tools: web_search: left out, as the configuration says"],
        policy=HostedPolicy({"*": "drop"}),
    ),
    Case(
        "only this one is wanted",
        BODY,
        {"enable_search": True},
        policy=HostedPolicy({"web_search": "native", "*": "error"}),
    ),
    Case(
        "wanted, and not to be had",
        Profile(),
        {},
        notes=[OPENAI_HAS_IT],
        policy=HostedPolicy({"web_search": "native"}),
    ),
    Case("none may be called", BODY, {"tools": [FUNCTION], "tool_choice": "none"}, [SEARCH, LOOK], "none"),
    Case(
        "required",
        BODY,
        {"tools": [FUNCTION], "tool_choice": "required", "enable_search": True},
        [SEARCH, LOOK],
        "required",
    ),
    Case(
        "required, and there is nothing else",
        BODY,
        {"enable_search": True},
        choice="required",
        notes=["tool_choice: there is no tool to choose from"],
    ),
    Case("the search by name", BODY, {"enable_search": True}, choice={"type": "web_search"}, notes=[UNFORCED]),
    Case(
        "the search by name, beside functions",
        TOOL,
        {"tools": [FUNCTION, SEARCH_TOOL]},
        [SEARCH, LOOK],
        {"type": "web_search_preview"},
        [UNFORCED],
    ),
    Case(
        "a function by name",
        BODY,
        {"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "look"}}},
        [SEARCH, LOOK],
        NAMED,
    ),
    Case(
        "the function allowed",
        BODY,
        {"tools": [FUNCTION]},
        [SEARCH, LOOK],
        {"type": "allowed_tools", "mode": "auto", "tools": [NAMED]},
    ),
    Case(
        "both allowed",
        BODY,
        {"tools": [FUNCTION], "enable_search": True},
        [SEARCH, LOOK],
        {"type": "allowed_tools", "mode": "auto", "tools": [NAMED, SEARCH]},
    ),
    Case(
        "the search allowed",
        TOOL,
        {"tools": [SEARCH_TOOL]},
        [SEARCH, LOOK],
        {"type": "allowed_tools", "mode": "auto", "tools": [SEARCH]},
    ),
    Case(
        "a choice that went with the tool",
        Profile(),
        {"tools": [FUNCTION]},
        [{"type": "file_search"}, LOOK],
        {"type": "file_search"},
        [
            "tools: file_search: hosted at OpenAI; not available at this provider",
            "tool_choice: file_search is not among the tools that can be offered; the model decides",
        ],
    ),
    Case(
        "a shell in a container",
        Profile(),
        {},
        [{"type": "shell", "environment": {"type": "container_auto"}}],
        {"type": "shell"},
        [
            "tools: shell: runs in a container at OpenAI; not available at this provider",
            "tool_choice: shell is not among the tools that can be offered; the model decides",
            "tool_choice: there is no tool to choose from",
        ],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_the_provider_is_asked(case: Case) -> None:
    assert converted(case.tools, case.profile, case.policy, case.choice) == (case.body, case.notes)


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ([LOOK, {"type": "file_search"}], "tools[1]"),
        ([{"type": "web_search_preview"}], "tools[0]"),
        ([{"type": "shell", "environment": {"type": "container_reference"}}], "tools[0]"),
        ([{"type": "namespace", "name": "n", "tools": [LOOK, {"type": "mcp"}]}], "tools[0].tools[1]"),
        ([{"type": "new_thing"}], "tools[0]"),
    ],
)
def test_an_error_names_the_tool(tools: list[Json], param: str) -> None:
    with pytest.raises(ApiError) as caught:
        converted(tools, BODY, HostedPolicy({"*": "error"}))
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, param, "unsupported_value")
    assert "hosted_tools" in caught.value.message


def test_the_configuration_names_the_same_types() -> None:
    names = set(get_args(HostedTool))
    assert {name for name in names if family(f"{name}_preview_2030_01_01") == name} == names - {OTHERS}


def test_client_run_tools_are_no_hosted_ones() -> None:
    tools: list[Json] = [{"type": "shell", "environment": {"type": "local"}}, {"type": "shell"}]
    tools += [{"type": "local_shell"}, {"type": "apply_patch"}]
    body, notes = converted(tools, Profile(), HostedPolicy({"*": "error"}))
    assert [tool["function"]["name"] for tool in body["tools"]] == ["shell", "local_shell", "apply_patch"]
    assert not notes


@pytest.mark.parametrize(
    ("tool_type", "expected"),
    [
        ("web_search", "web_search"),
        ("web_search_2025_08_26", "web_search"),
        ("web_search_preview", "web_search"),
        ("computer_use_preview", "computer"),
        ("computer", "computer"),
        ("mcp", "mcp"),
        ("new_thing", "new_thing"),
        ("", ""),
    ],
)
def test_family(tool_type: str, expected: str) -> None:
    assert family(tool_type) == expected
    assert is_web_search(tool_type) == (expected == "web_search")


@pytest.mark.parametrize(
    ("item_type", "hosted"),
    [
        ("web_search_call", True),
        ("file_search_call", True),
        ("code_interpreter_call", True),
        ("image_generation_call", True),
        ("computer_call", True),
        ("computer_call_output", True),
        ("mcp_list_tools", True),
        ("mcp_call", True),
        ("mcp_approval_request", True),
        ("mcp_approval_response", True),
        ("program", True),
        ("program_output", True),
        ("function_call", False),
        ("configuration_update", False),
        ("", False),
    ],
)
def test_items_of_hosted_tools(item_type: str, hosted: bool) -> None:
    assert is_hosted_item(item_type) == hosted


@pytest.mark.parametrize(
    ("platform", "model", "body"),
    [
        pytest.param("dashscope", "qwen3-max", {"enable_search": True}, id="dashscope"),
        pytest.param("dashscope", "qwen3-coder-plus", {}, id="dashscope, a model without"),
        pytest.param("openrouter", "z-ai/glm-5", {"tools": [{"type": "openrouter:web_search"}]}, id="openrouter"),
        pytest.param("openai", "gpt-5-search-api", {"web_search_options": {}}, id="openai, made for it"),
        pytest.param("openai", "gpt-5.2", {}, id="openai"),
        pytest.param("moonshot", "kimi-k2.6", {}, id="moonshot"),
        pytest.param("mistral", "mistral-large-latest", {}, id="mistral"),
    ],
)
def test_built_in_profiles(platform: str, model: str, body: JsonObject) -> None:
    found, _ = converted([SEARCH], profile_for(platform, model=model))
    assert {key: found[key] for key in found if "search" in key or key == "tools"} == body


@pytest.mark.parametrize(("platform", "engine"), [("zhipu", "search_std"), ("zai", "search-prime")])
def test_glm_searches_with_the_engine_of_its_platform(platform: str, engine: str) -> None:
    found, _ = converted([SEARCH], profile_for(platform, model="glm-5.2"))
    assert found["tools"] == [{"type": "web_search", "web_search": {"enable": True, "search_engine": engine}}]
