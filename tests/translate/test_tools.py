from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.providers.profile import Profile
from addon.translate.errors import ApiError
from addon.translate.notes import Notes
from addon.translate.output import CalledTool
from addon.translate.tools import KnownTool, ToolRegistry
from addon.wire.json import Json, JsonObject, dumps
from addon.wire.responses import ResponsesRequest, read_request

EMPTY: JsonObject = {"type": "object", "properties": {}}
INPUT_ONLY: JsonObject = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The whole input of the tool."}},
    "required": ["input"],
    "additionalProperties": False,
}
LOOK: JsonObject = {"type": "function", "name": "look"}
FIND: JsonObject = {"type": "function", "name": "find"}


def request(**fields: Json) -> ResponsesRequest:
    return read_request(dumps({"model": "m", "input": "hi", **fields}).encode())


def registry(tools: list[JsonObject], *items: JsonObject, profile: Profile | None = None) -> tuple[ToolRegistry, Notes]:
    notes = Notes()
    asked = request(tools=tools, input=list(items))
    return ToolRegistry.of(asked, asked.items(), profile or Profile(), notes), notes


def declared(name: str, description: str = "", parameters: JsonObject = EMPTY, **more: Json) -> JsonObject:
    function: JsonObject = {"name": name, "parameters": parameters, **more}
    return {"type": "function", "function": {**function, "description": description} if description else function}


def names(tools: ToolRegistry) -> list[str]:
    return [str(declaration["function"]["name"]) for declaration in tools.declarations]


# --- declarations --------------------------------------------------------------------------------------------------


@dataclass
class Declared:
    id: str
    tools: list[JsonObject]
    chat: list[JsonObject]
    notes: list[str] = field(default_factory=list)
    profile: Profile = field(default_factory=Profile)


DECLARED = [
    Declared("function", [LOOK], [declared("look")]),
    Declared(
        "unknown keys are dropped",
        [{**LOOK, "description": "d", "defer_loading": True, "async": True, "output_schema": None}],
        [declared("look", "d")],
        ["tools[].async: not known to chat providers"],
    ),
    Declared(
        "strict is not for everybody",
        [{**LOOK, "strict": True}, {**FIND, "strict": False}],
        [declared("look"), declared("find")],
        ["tools[].strict: arguments are not held to the schema by this provider"],
    ),
    Declared(
        "strict as sent",
        [{**LOOK, "strict": True}, {**FIND, "strict": None}],
        [declared("look", strict=True), declared("find")],
        profile=Profile(strict_tools="send"),
    ),
    Declared(
        "strict the same everywhere",
        [{**LOOK, "strict": True}, FIND],
        [declared("look", strict=False), declared("find", strict=False)],
        ["tools[].strict: arguments are not held to the schema by this provider"],
        Profile(strict_tools="uniform"),
    ),
    Declared(
        "all strict",
        [{**LOOK, "strict": True}, {**FIND, "strict": True}],
        [declared("look", strict=True), declared("find", strict=True)],
        profile=Profile(strict_tools="uniform"),
    ),
    Declared(
        "custom, text",
        [{"type": "custom", "name": "run", "description": "Runs.", "format": {"type": "text"}}],
        [declared("run", "Runs.\n\nPass the input as plain text in `input`; it is handed over as it is.", INPUT_ONLY)],
    ),
    Declared(
        "custom, grammar",
        [
            {
                "type": "custom",
                "name": "run",
                "format": {"type": "grammar", "syntax": "lark", "definition": "\nstart: /x/\n"},
            }
        ],
        [
            declared(
                "run",
                "Pass the input as plain text in `input`; it is handed over as it is.\n\n"
                "The input must match this Lark grammar:\nstart: /x/",
                INPUT_ONLY,
            )
        ],
    ),
    Declared(
        "namespace",
        [
            LOOK,
            {
                "type": "namespace",
                "name": "crm",
                "description": "Customers.",
                "tools": [{**LOOK, "description": "One."}, FIND],
            },
        ],
        [declared("look"), declared("crm__look", "One.\n\nAbout all crm tools: Customers."), declared("crm__find")],
    ),
    Declared(
        "namespace with an underscored name",
        [
            {"type": "namespace", "name": "mcp__demo", "tools": [LOOK]},
            {"type": "namespace", "name": "mcp__web__", "tools": [LOOK]},
        ],
        [declared("mcp__demo__look"), declared("mcp__web__look")],
    ),
    Declared(
        "tool search of the client",
        [{"type": "tool_search", "execution": "client"}],
        [
            declared(
                "tool_search",
                "Searches for further tools; those it finds can be called afterwards.",
                {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
            )
        ],
    ),
    Declared(
        "tool search of the server",
        [{"type": "tool_search"}, {**LOOK, "defer_loading": True}],
        [declared("look")],
        ["tools: tool_search: done at OpenAI; every tool is offered from the start instead"],
    ),
    Declared(
        "what chat cannot express",
        [{"type": "web_search"}, {"type": "web_search"}, {"type": "computer"}, {"type": "new_thing"}],
        [],
        [
            "tools: web_search: hosted at OpenAI; not available at this provider",
            "tools: computer: built into OpenAI's models; not available at this provider",
            "tools: new_thing: not a type of tool that is known here; not available at this provider",
        ],
    ),
    Declared("no tools at all", [LOOK], [], ["tools: this model cannot call tools"], Profile(tools=False)),
    Declared(
        "the last of equal ones counts, in the place of the first",
        [LOOK, FIND, {**LOOK, "description": "new"}],
        [declared("look", "new"), declared("find")],
    ),
]


@pytest.mark.parametrize("case", DECLARED, ids=lambda case: case.id)
def test_declarations(case: Declared) -> None:
    tools, notes = registry(case.tools, profile=case.profile)
    assert tools.declarations == case.chat or (not tools.declarations and not case.chat)
    assert [str(note) for note in notes] == case.notes


def test_tools_come_from_the_request_then_from_items() -> None:
    found: JsonObject = {"type": "namespace", "name": "found", "tools": [LOOK]}
    tools, _ = registry(
        [LOOK],
        {"type": "additional_tools", "role": "developer", "tools": [FIND]},
        {"type": "tool_search_output", "call_id": "c", "tools": [found]},
        {"type": "additional_tools", "role": "developer", "tools": [{**LOOK, "name": "late"}]},
    )
    assert names(tools) == ["look", "find", "found__look", "late"]


# --- names there and back --------------------------------------------------------------------------------------------


def test_codex_exec_comes_back_with_its_namespace() -> None:
    tools, _ = registry([{"type": "namespace", "name": "functions", "tools": [{"type": "custom", "name": "exec"}]}])
    exec_tool = KnownTool("custom", "exec", "functions", "functions__exec")
    assert names(tools) == ["functions__exec"]
    assert tools.resolve("functions__exec") == exec_tool
    assert tools.called("functions__exec") == CalledTool("custom", "exec", "functions")
    assert tools.resolve("exec") == exec_tool
    assert tools.resolve("functions.exec") == exec_tool
    assert tools.chat_name("custom", "exec", "functions") == "functions__exec"


def test_an_ambiguous_bare_name_stays_a_function() -> None:
    spaces: list[JsonObject] = [{"type": "namespace", "name": space, "tools": [LOOK]} for space in ("a", "b")]
    tools, _ = registry(spaces)
    assert tools.resolve("look") == KnownTool("function", "look", None, "look")


def test_undeclared_names_pass() -> None:
    tools, _ = registry([])
    assert tools.resolve("gone") == KnownTool("function", "gone", None, "gone")
    assert tools.chat_name("function", "gone", None) == "gone"
    assert tools.chat_name("function", "gone", "away") == "away__gone"
    assert re.fullmatch(r"g_ne_[0-9a-f]{8}", tools.chat_name("function", "g ne", None))


def test_a_call_in_the_history_keeps_its_tool_known() -> None:
    call: JsonObject = {
        "type": "function_call", "call_id": "c", "name": "add", "namespace": "mcp__demo", "arguments": "{}",
    }  # fmt: skip
    tools, _ = registry([LOOK], call)
    assert names(tools) == ["look"]
    assert tools.resolve("mcp__demo__add") == KnownTool("function", "add", "mcp__demo", "mcp__demo__add")


def test_a_call_in_the_history_finds_its_tool_without_the_namespace() -> None:
    call: JsonObject = {"type": "custom_tool_call", "call_id": "c", "name": "exec", "input": "1"}
    tools, _ = registry(
        [{"type": "namespace", "name": "functions", "tools": [{"type": "custom", "name": "exec"}]}], call
    )
    assert tools.chat_name("custom", "exec", None) == "functions__exec"


def test_tool_search_and_a_function_of_that_name() -> None:
    tools, _ = registry([{"type": "function", "name": "tool_search"}, {"type": "tool_search", "execution": "client"}])
    first, second = names(tools)
    assert first == "tool_search"
    assert tools.resolve(first).kind == "function"
    assert tools.resolve(second).kind == "tool_search"


NATIVE = ("shell", "local_shell", "apply_patch")


@pytest.mark.parametrize("kind", NATIVE)
def test_a_tool_that_is_named_by_its_type(kind: str) -> None:
    tools, notes = registry([{"type": "function", "name": kind}, {"type": kind}, {"type": "custom", "name": kind}])
    assert [tools.resolve(name).kind for name in names(tools)] == ["function", kind, "custom"]
    native = tools.declarations[1]["function"]
    assert tools.called(native["name"]) == CalledTool(kind, kind)
    assert native["description"]
    assert native["parameters"]["additionalProperties"] is False
    offer = tools.offer(request(tool_choice={"type": kind}).tool_choice, notes)
    assert offer.choice == {"type": "function", "function": {"name": native["name"]}}
    assert not len(notes)


@pytest.mark.parametrize("kind", NATIVE)
def test_an_earlier_call_of_a_tool_that_is_gone(kind: str) -> None:
    tools, _ = registry([{"type": "function", "name": kind}], {"type": f"{kind}_call", "call_id": "c"})
    chat_name = tools.chat_name(kind, kind, None)
    assert names(tools) == [kind]
    assert chat_name != kind
    assert tools.resolve(chat_name).kind == kind


NAMES = st.text(max_size=40) | st.sampled_from(
    ["a", "b", "a__b", "b__a", "x" * 63, "x" * 64, "x" * 90, "a_", "_b", "__"]
)
NAMED_TOOLS = st.tuples(
    st.sampled_from(["function", "custom"]), st.none() | NAMES.filter(bool), NAMES | st.sampled_from(NATIVE)
)
TOOLS = st.lists(NAMED_TOOLS | st.sampled_from(NATIVE).map(lambda kind: (kind, None, kind)), max_size=8)


def as_tool(kind: str, namespace: str | None, name: str) -> JsonObject:
    tool: JsonObject = {"type": kind} if kind in NATIVE else {"type": kind, "name": name}
    return tool if namespace is None else {"type": "namespace", "name": namespace, "tools": [tool]}


@given(TOOLS, st.integers(16, 64))
def test_names_are_legal_and_lead_back(identities: list[tuple[str, str | None, str]], limit: int) -> None:
    asked = ResponsesRequest.model_validate({"tools": [as_tool(*identity) for identity in identities]})
    tools = ToolRegistry.of(asked, [], Profile(tool_name_max=limit), Notes())
    assert len(set(names(tools))) == len(tools.declarations) == len(set(identities))
    assert all(re.fullmatch(rf"[A-Za-z0-9_-]{{1,{limit}}}", name) for name in names(tools))
    for kind, namespace, name in identities:
        chat_name = tools.chat_name(kind, name, namespace)
        assert tools.resolve(chat_name) == KnownTool(kind, name, namespace, chat_name)


@given(TOOLS, TOOLS)
def test_later_tools_change_no_name(
    first: list[tuple[str, str | None, str]], later: list[tuple[str, str | None, str]]
) -> None:
    few = ToolRegistry.of(
        ResponsesRequest.model_validate({"tools": [as_tool(*identity) for identity in first]}), [], Profile(), Notes()
    )
    more = ToolRegistry.of(
        ResponsesRequest.model_validate({"tools": [as_tool(*identity) for identity in first + later]}),
        [],
        Profile(),
        Notes(),
    )
    assert names(more)[: len(few.declarations)] == names(few)


# --- tool_choice -----------------------------------------------------------------------------------------------------

NAMED: JsonObject = {"type": "function", "name": "find"}
NAMED_CHAT: JsonObject = {"type": "function", "function": {"name": "find"}}
BOTH = ["look", "find"]


def allowed(mode: str, *tools: JsonObject) -> JsonObject:
    return {"type": "allowed_tools", "mode": mode, "tools": list(tools)}


@dataclass
class Choice:
    id: str
    choice: Json
    offered: list[str]
    chat: Json
    notes: list[str] = field(default_factory=list)
    profile: Profile = field(default_factory=Profile)


CHOICES = [
    Choice("unset", None, BOTH, None),
    Choice("auto", "auto", BOTH, None),
    Choice("auto is said", "auto", BOTH, "auto", profile=Profile(tool_choice_omit_auto=False)),
    Choice("none", "none", BOTH, "none"),
    Choice("none without tools", "none", [], None, profile=Profile(tool_choice_none="drop_tools")),
    Choice("none is not known", "none", [], None, profile=Profile(tool_choice_values=("auto",))),
    Choice("required", "required", BOTH, "required"),
    Choice("required is called any", "required", BOTH, "any", profile=Profile(tool_choice_values=("auto", "any"))),
    Choice(
        "required cannot be had",
        "required",
        BOTH,
        None,
        ["tool_choice: this provider cannot force a call; the model decides"],
        Profile(tool_choice_values=("auto",)),
    ),
    Choice("named", NAMED, BOTH, NAMED_CHAT),
    Choice(
        "named by leaving the others out",
        NAMED,
        ["find"],
        "required",
        profile=Profile(tool_choice_values=("auto", "required"), tool_choice_fallback="filter_required"),
    ),
    Choice(
        "named by leaving the others out, any",
        NAMED,
        ["find"],
        "any",
        profile=Profile(tool_choice_values=("auto", "required", "any"), tool_choice_fallback="filter_any"),
    ),
    Choice(
        "named cannot be had",
        NAMED,
        BOTH,
        None,
        ["tool_choice: this provider cannot force a certain tool; the model decides"],
        Profile(tool_choice_values=("auto", "required")),
    ),
    Choice(
        "a tool that is not there",
        {"type": "function", "name": "gone"},
        BOTH,
        None,
        ["tool_choice: function gone is not among the tools that can be offered; the model decides"],
    ),
    Choice(
        "a hosted tool",
        {"type": "web_search"},
        BOTH,
        None,
        ["tool_choice: web_search is not among the tools that can be offered; the model decides"],
    ),
    Choice("nonsense", "maybe", BOTH, None, ["tool_choice: 'maybe' is not a choice; the model decides"]),
    Choice("allowed, filtered", allowed("auto", NAMED), ["find"], None),
    Choice("allowed and required", allowed("required", NAMED), ["find"], "required"),
    Choice(
        "allowed, known to the provider",
        allowed("auto", NAMED),
        BOTH,
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED_CHAT]}},
        profile=Profile(tool_choice_values=("auto", "allowed")),
    ),
    Choice(
        "allowed, one of them is gone",
        allowed("auto", NAMED, {"type": "web_search"}),
        ["find"],
        None,
        ["tool_choice: web_search is allowed, but not among the tools that can be offered"],
    ),
    Choice(
        "allowed, all gone: nothing may be called",
        allowed("auto", {"type": "web_search"}),
        BOTH,
        "none",
        ["tool_choice: web_search is allowed, but not among the tools that can be offered"],
    ),
]


@pytest.mark.parametrize("case", CHOICES, ids=lambda case: case.id)
def test_choice(case: Choice) -> None:
    tools, _ = registry([LOOK, FIND], profile=case.profile)
    notes = Notes()
    offer = tools.offer(request(tool_choice=case.choice).tool_choice, notes)
    assert [declaration["function"]["name"] for declaration in offer.declarations] == case.offered
    assert offer.choice == case.chat
    assert [str(note) for note in notes] == case.notes


def test_a_choice_within_a_namespace() -> None:
    tools, _ = registry([LOOK, {"type": "namespace", "name": "crm", "tools": [LOOK, FIND]}])
    notes = Notes()

    def chosen(**choice: Json) -> Json:
        return tools.offer(request(tool_choice=choice).tool_choice, notes).choice

    assert chosen(type="function", name="look") == {"type": "function", "function": {"name": "look"}}
    assert chosen(type="function", name="look", namespace="crm") == {
        "type": "function",
        "function": {"name": "crm__look"},
    }
    assert chosen(type="function", name="find") == {"type": "function", "function": {"name": "crm__find"}}
    space = tools.offer(request(tool_choice=allowed("auto", {"type": "namespace", "name": "crm"})).tool_choice, notes)
    assert len(space.declarations) == 2
    assert not len(notes)


def test_a_custom_tool_is_chosen_as_a_function() -> None:
    tools, _ = registry([{"type": "custom", "name": "run"}])
    offer = tools.offer(request(tool_choice={"type": "custom", "name": "run"}).tool_choice, Notes())
    assert offer.choice == {"type": "function", "function": {"name": "run"}}


@pytest.mark.parametrize("choice", ["required", NAMED])
def test_a_choice_is_not_forced_against_thinking(choice: Json) -> None:
    tools, notes = registry([LOOK, FIND])
    offer = tools.offer(request(tool_choice=choice).tool_choice, notes, force=False)
    assert (offer.choice, offer.forced, len(offer.declarations)) == (None, False, 1 if choice == NAMED else 2)
    assert len(notes) == 1


@pytest.mark.parametrize("choice", ["required", NAMED])
def test_a_profile_may_refuse_a_choice(choice: Json) -> None:
    tools, notes = registry([LOOK], profile=Profile(tool_choice_values=("auto",), tool_choice_fallback="error"))
    with pytest.raises(ApiError) as caught:
        tools.offer(request(tools=[FIND], tool_choice="required").tool_choice, notes)
    assert (caught.value.status, caught.value.param) == (400, "tool_choice")


def test_without_tools_there_is_no_choice() -> None:
    tools, notes = registry([])
    offer = tools.offer("required", notes)
    assert offer.parameters() == {}
    assert [str(note) for note in notes] == ["tool_choice: there is no tool to choose from"]
