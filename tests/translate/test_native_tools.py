"""Shell and patch tools as functions: what a model is told, its earlier calls and results, and what it may write."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.translate.native_tools import (
    arguments_of,
    description,
    local_shell_action,
    patch_operation,
    patch_text,
    schema,
    shell_action,
    shell_text,
)
from addon.wire.json import Json, JsonObject, loads
from addon.wire.responses import (
    ApplyPatchCall,
    ApplyPatchCallOutput,
    ApplyPatchTool,
    LocalShellCall,
    LocalShellTool,
    ShellCall,
    ShellCallOutput,
    ShellTool,
    read_item,
)

# --- declarations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", [ShellTool(), LocalShellTool(), ApplyPatchTool()], ids=lambda tool: tool.type)
def test_every_argument_is_explained(tool: ShellTool | LocalShellTool | ApplyPatchTool) -> None:
    told = json.dumps(schema(tool.type)) + description(tool)
    assert all(name in told for name in ("properties", "required", "additionalProperties"))
    assert len(description(tool)) > 100


def test_the_patch_format_is_told() -> None:
    told = description(ApplyPatchTool())
    assert all(word in told for word in ("create_file", "update_file", "delete_file", "@@", "*** End of File"))


def test_skills_of_the_environment_are_told() -> None:
    skills: list[Json] = [
        {"type": "skill", "name": "csv", "description": "Reads tables.", "path": "/skills/csv"},
        {"name": "bare", "path": "/skills/bare"},
        {"name": "without a path"},
        "nonsense",
    ]
    told = description(ShellTool(environment={"type": "local", "skills": skills}))
    assert told.endswith(
        "Skills, each a folder; read the SKILL.md in it before you use one:\n"
        "- csv (/skills/csv): Reads tables.\n"
        "- bare (/skills/bare)"
    )
    assert "Skills" not in description(ShellTool(environment={"type": "local", "skills": None}))


# --- history ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "arguments"),
    [
        pytest.param(
            {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls", "a\0b"], "timeout_ms": 5}},
            {"commands": ["ls", "a�b"], "timeout_ms": 5},
            id="shell",
        ),
        pytest.param({"type": "shell_call", "call_id": "c"}, {"commands": []}, id="shell without an action"),
        pytest.param(
            {
                "type": "local_shell_call",
                "call_id": "c",
                "action": {
                    "type": "exec",
                    "command": ["ls", "-l"],
                    "env": {"A": "1"},
                    "timeout_ms": 7,
                    "user": "me",
                    "working_directory": "/tmp",
                },
            },
            {"command": ["ls", "-l"], "workdir": "/tmp", "timeout_ms": 7, "env": {"A": "1"}, "user": "me"},
            id="local shell",
        ),
        pytest.param(
            {"type": "local_shell_call", "call_id": "c", "action": {"command": ["ls"], "env": {}}},
            {"command": ["ls"]},
            id="local shell, bare",
        ),
        pytest.param(
            {
                "type": "apply_patch_call",
                "call_id": "c",
                "operation": {"type": "update_file", "path": "a", "diff": "@@\n-x\n+y"},
            },
            {"operation": {"type": "update_file", "path": "a", "diff": "@@\n-x\n+y"}},
            id="patch",
        ),
        pytest.param(
            {"type": "apply_patch_call", "call_id": "c", "operation": {"type": "delete_file", "path": "a"}},
            {"operation": {"type": "delete_file", "path": "a"}},
            id="deletion",
        ),
    ],
)
def test_an_earlier_call_is_told_as_the_model_made_it(item: JsonObject, arguments: JsonObject) -> None:
    call = read_item(item)
    assert isinstance(call, (ShellCall, LocalShellCall, ApplyPatchCall))
    assert loads(arguments_of(call)) == arguments


EXIT_0: JsonObject = {"type": "exit", "exit_code": 0}


@pytest.mark.parametrize(
    ("output", "text"),
    [
        pytest.param([{"stdout": "hi\n", "stderr": "", "outcome": EXIT_0}], "Exit code: 0\nOutput:\nhi\n", id="output"),
        pytest.param(
            [{"stdout": "a", "stderr": "b", "outcome": {"type": "exit", "exit_code": 2}}],
            "Exit code: 2\nOutput:\na\nError output:\nb",
            id="both",
        ),
        pytest.param(
            [{"stdout": "", "stderr": "", "outcome": {"type": "timeout"}}],
            "Stopped: the time was up\n(no output)",
            id="timeout",
        ),
        pytest.param(
            [{"stdout": "a", "stderr": "", "outcome": EXIT_0}, {"stdout": "b", "stderr": None, "outcome": None}],
            "Command 1\nExit code: 0\nOutput:\na\n\nCommand 2\nOutput:\nb",
            id="several",
        ),
        pytest.param([], "(no output)", id="nothing"),
        pytest.param("as text", "Output:\nas text", id="text"),
        pytest.param(None, "(no output)", id="null"),
    ],
)
def test_what_a_shell_gave_is_told_as_text(output: Json, text: str) -> None:
    item = read_item({"type": "shell_call_output", "call_id": "c", "output": output})
    assert isinstance(item, ShellCallOutput)
    assert shell_text(item.output) == text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        pytest.param({"status": "completed", "output": "Created a"}, "Status: completed\nCreated a", id="both"),
        pytest.param({"status": "failed", "output": None}, "Status: failed", id="status"),
        pytest.param({"output": "Done"}, "Done", id="output"),
        pytest.param({}, "(no output)", id="nothing"),
    ],
)
def test_what_a_patch_gave_is_told_as_text(fields: JsonObject, text: str) -> None:
    item = read_item({"type": "apply_patch_call_output", "call_id": "c", **fields})
    assert isinstance(item, ApplyPatchCallOutput)
    assert patch_text(item) == text


# --- what a model wrote ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "action"),
    [
        ({"commands": ["ls", "pwd"]}, (["ls", "pwd"], None, None)),
        ({"commands": ["ls"], "timeout_ms": 5, "max_output_length": 6}, (["ls"], 5, 6)),
        ({"commands": ["ls"], "timeout_ms": 0, "max_output_length": "6"}, (["ls"], None, None)),
        ({"commands": ["ls"], "timeout_ms": True, "max_output_length": 1.5}, (["ls"], None, None)),
        ({"commands": "ls"}, (["ls"], None, None)),
        ({"command": "ls"}, (["ls"], None, None)),
        ({"commands": []}, None),
        ({"commands": ["ls", 1]}, None),
        ({"commands": " "}, None),
        ({"commands": {"0": "ls"}}, None),
        ({}, None),
        (["ls"], None),
        ("ls", None),
        (None, None),
    ],
)
def test_shell_arguments(arguments: Json, action: tuple[list[str], int | None, int | None] | None) -> None:
    read = shell_action(arguments)
    assert (read and (read["commands"], read["timeout_ms"], read["max_output_length"])) == action


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ({"command": ["ls", "-l"]}, ["ls", "-l"]),
        ({"command": "ls | wc"}, ["bash", "-lc", "ls | wc"]),
        ({"command": []}, None),
        ({"command": ""}, None),
        ({"command": ["ls", None]}, None),
        ({"cmd": ["ls"]}, None),
        (["ls"], None),
    ],
)
def test_local_shell_arguments(arguments: Json, command: list[str] | None) -> None:
    read = local_shell_action(arguments)
    assert (read and read["command"]) == command


def test_local_shell_settings() -> None:
    assert local_shell_action({"command": ["x"], "workdir": "/w", "timeout_ms": 3, "env": {"A": "1", "B": 2}}) == {
        "type": "exec",
        "command": ["x"],
        "env": {"A": "1"},
        "timeout_ms": 3,
        "user": None,
        "working_directory": "/w",
    }
    bare = local_shell_action({"command": ["x"], "workdir": "", "env": None})
    assert bare is not None
    assert (bare["env"], bare["working_directory"]) == ({}, None)


CREATE: JsonObject = {"type": "create_file", "path": "a", "diff": "+x"}
DELETE: JsonObject = {"type": "delete_file", "path": "a"}


@pytest.mark.parametrize(
    ("arguments", "operation"),
    [
        ({"operation": CREATE}, CREATE),
        ({"operation": {**CREATE, "type": "update_file"}}, {**CREATE, "type": "update_file"}),
        ({"operation": {**CREATE, "diff": ""}}, {**CREATE, "diff": ""}),
        ({"operation": {**DELETE, "diff": "+x"}}, DELETE),
        (CREATE, CREATE),
        ({"operation": {**CREATE, "diff": None}}, None),
        ({"operation": {"type": "update_file", "path": "a"}}, None),
        ({"operation": {**CREATE, "path": ""}}, None),
        ({"operation": {**CREATE, "type": "move_file"}}, None),
        ({"operation": "create_file"}, None),
        ({}, None),
        ("*** Begin Patch", None),
    ],
)
def test_patch_arguments(arguments: Json, operation: JsonObject | None) -> None:
    assert patch_operation(arguments) == operation


def json_values() -> st.SearchStrategy[Json]:
    leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
    keys = st.sampled_from(["commands", "command", "operation", "type", "path", "diff", "env", "timeout_ms"])
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4))


@given(json_values())
def test_anything_else_is_no_call(arguments: Json) -> None:
    for read in (shell_action, local_shell_action, patch_operation):
        assert read(arguments) is None or isinstance(arguments, dict)


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), min_size=1),
    st.none() | st.integers(1, 10**9),
)
def test_a_shell_call_comes_back_as_it_went(commands: list[str], timeout: int | None) -> None:
    action: JsonObject = {"commands": list(commands), "timeout_ms": timeout, "max_output_length": None}
    call = read_item({"type": "shell_call", "call_id": "c", "action": action})
    assert isinstance(call, ShellCall)
    assert shell_action(loads(arguments_of(call))) == action
