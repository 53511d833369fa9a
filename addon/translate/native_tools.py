"""The tools that clients run and OpenAI's models know by heart (`shell`, `local_shell`, `apply_patch`) as functions.

Other models have to be told what these are. Here is each one's declaration, and its calls and results on both ways:

    shell_call → arguments of the function         (history)
    shell_call_output → text                       (history)
    arguments that a model wrote → shell_call      (answer)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal, TypeAlias

from addon.wire.json import Json, JsonObject, clean, dumps
from addon.wire.responses import (
    ApplyPatchCall,
    ApplyPatchCallOutput,
    ApplyPatchTool,
    LocalShellActionItem,
    LocalShellCall,
    LocalShellTool,
    PatchOperationItem,
    ShellActionItem,
    ShellCall,
    ShellResult,
    ShellTool,
)

NativeKind: TypeAlias = Literal["shell", "local_shell", "apply_patch"]
"""The type of such a tool, which is its name too."""

NativeTool: TypeAlias = ShellTool | LocalShellTool | ApplyPatchTool
NativeCall: TypeAlias = ShellCall | LocalShellCall | ApplyPatchCall

_SHELL: Final = """\
Runs commands in a shell on the user's machine and returns what each one wrote and how it ended.

The commands are independent of each other: a change of directory or a variable set in one is not seen by the next. \
Chain with && what belongs together. Nobody can answer a prompt, so pass the flags that avoid one."""

_LOCAL_SHELL: Final = """\
Runs one program on the user's machine and returns what it wrote.

`command` is the program and its arguments, each as an element of its own; no shell reads it. \
For pipes, redirections or && use ["bash", "-lc", "the whole line"]. Nobody can answer a prompt."""

_APPLY_PATCH: Final = """\
Creates, changes or deletes one text file; call it once for each file.

`operation.type` is create_file, update_file or delete_file, `operation.path` the file relative to the working \
directory. The first two need `operation.diff`, a diff in V4A form. It has no header with file names, no line numbers \
and no "*** Begin Patch" around it.

create_file: every line of the new file with a + before it.

update_file: one or more sections. A section may begin with a line "@@ " and a line of the file, such as the head of \
the function or class the change is in; a section after the first needs such a line, or a bare "@@". Then follow the \
lines of the section in the order of the file, each with one sign before it: a space for a line that stays, - for one \
that goes, + for one that is new. Give about three unchanged lines before and after each change, exactly as they are \
in the file, indentation included. A section at the end of the file may close with the line "*** End of File".

Example of a diff for update_file:
@@ def greet(name):
     text = "Hello"
-    print(text)
+    print(text, name)
     return text"""

_LIMIT: Final[JsonObject] = {"type": "integer", "minimum": 1}

_SCHEMAS: Final[dict[NativeKind, JsonObject]] = {
    "shell": {
        "type": "object",
        "properties": {
            "commands": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Command lines; they may run at the same time.",
            },
            "timeout_ms": {**_LIMIT, "description": "Milliseconds after which the commands are stopped."},
            "max_output_length": {**_LIMIT, "description": "Most characters of output to return."},
        },
        "required": ["commands"],
        "additionalProperties": False,
    },
    "local_shell": {
        "type": "object",
        "properties": {
            "command": {
                "type": "array",
                "items": {"type": "string"},
                "description": "The program, then its arguments.",
            },
            "workdir": {"type": "string", "description": "The directory to run it in."},
            "timeout_ms": {**_LIMIT, "description": "Milliseconds after which the program is stopped."},
            "env": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "Environment variables to set, by name.",
            },
        },
        "required": ["command"],
        "additionalProperties": False,
    },
    "apply_patch": {
        "type": "object",
        "properties": {
            "operation": {
                "type": "object",
                "properties": {
                    "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
                    "path": {"type": "string", "description": "The file."},
                    "diff": {"type": "string", "description": "The diff; not for delete_file."},
                },
                "required": ["type", "path"],
                "additionalProperties": False,
            },
        },
        "required": ["operation"],
        "additionalProperties": False,
    },
}


# --- declarations ----------------------------------------------------------------------------------------------------


def description(tool: NativeTool) -> str:
    """What a model has to know to use the tool."""
    match tool:
        case ShellTool():
            return "\n\n".join([_SHELL, *_skills(tool.environment or {})])
        case LocalShellTool():
            return _LOCAL_SHELL
        case ApplyPatchTool():
            return _APPLY_PATCH


def schema(kind: NativeKind) -> JsonObject:
    """The parameters of the function."""
    return _SCHEMAS[kind]


def _skills(environment: JsonObject) -> Iterator[str]:
    """The skills a client has put in its environment: folders with instructions, to be read when they are needed."""
    entries = environment.get("skills")
    lines = [line for entry in (entries if isinstance(entries, list) else []) for line in _skill(entry)]
    if lines:
        yield "\n".join(["Skills, each a folder; read the SKILL.md in it before you use one:", *lines])


def _skill(entry: Json) -> Iterator[str]:
    if isinstance(entry, dict):
        name, about, path = (entry.get(key) for key in ("name", "description", "path"))
        if isinstance(name, str) and isinstance(path, str):
            yield f"- {name} ({path}): {about}" if isinstance(about, str) else f"- {name} ({path})"


# --- history ---------------------------------------------------------------------------------------------------------


def kind_of(call: NativeCall) -> NativeKind:
    match call:
        case ShellCall():
            return "shell"
        case LocalShellCall():
            return "local_shell"
        case ApplyPatchCall():
            return "apply_patch"


def arguments_of(call: NativeCall) -> str:
    """An earlier call as the function's arguments."""
    match call:
        case ShellCall():
            action = call.action
            fields: JsonObject = {
                "commands": [clean(command) for command in action.commands],
                "timeout_ms": action.timeout_ms,
                "max_output_length": action.max_output_length,
            }
        case LocalShellCall():
            fields = _local_shell_arguments(call)
        case ApplyPatchCall():
            operation = call.operation
            diff = None if operation.diff is None else clean(operation.diff)
            named: JsonObject = {"type": clean(operation.type), "path": clean(operation.path), "diff": diff}
            fields = {"operation": _present(named)}
    return dumps(_present(fields))


def _local_shell_arguments(call: LocalShellCall) -> JsonObject:
    action = call.action
    return {
        "command": [clean(part) for part in action.command],
        "workdir": clean(action.working_directory) if action.working_directory else None,
        "timeout_ms": action.timeout_ms,
        "env": {clean(name): clean(value) for name, value in action.env.items()} if action.env else None,
        "user": clean(action.user) if action.user else None,
    }


def _present(values: JsonObject) -> JsonObject:
    return {name: value for name, value in values.items() if value is not None}


def found_text(lines: Sequence[str]) -> str:
    """What a tool search has found, a line for each tool, for a model to read."""
    return "\n".join(["Tools found, which can be called now:", *lines]) if lines else "No tools found."


def shell_text(results: Sequence[ShellResult]) -> str:
    """What the commands wrote, for a model to read."""
    if len(results) == 1:
        return _result(results[0])
    blocks = [f"Command {number}\n{_result(result)}" for number, result in enumerate(results, 1)]
    return "\n\n".join(blocks) or "(no output)"


def _result(result: ShellResult) -> str:
    lines = list(_ending(result))
    if result.stdout:
        lines += ["Output:", clean(result.stdout)]
    if result.stderr:
        lines += ["Error output:", clean(result.stderr)]
    if not result.stdout and not result.stderr:
        lines.append("(no output)")
    return "\n".join(lines)


def _ending(result: ShellResult) -> Iterator[str]:
    if result.outcome is None:
        return
    if result.outcome.type == "timeout":
        yield "Stopped: the time was up"
    elif result.outcome.exit_code is not None:
        yield f"Exit code: {result.outcome.exit_code}"


def patch_text(result: ApplyPatchCallOutput) -> str:
    """Whether the file was changed, and what the client says about it."""
    status = f"Status: {clean(result.status)}" if result.status else ""
    return "\n".join(text for text in (status, clean(result.output)) if text) or "(no output)"


# --- what a model wrote ----------------------------------------------------------------------------------------------
#
# None where it is not what the schema asks for. Two slips whose meaning is plain are forgiven: a line of text in the
# place of a list, and an operation that is not in `operation`.


def shell_action(arguments: Json) -> ShellActionItem | None:
    """The action of a `shell_call`."""
    if not isinstance(arguments, dict):
        return None
    commands = _lines(arguments.get("commands", arguments.get("command")))
    if not commands:
        return None
    return {
        "commands": commands,
        "timeout_ms": _limit(arguments.get("timeout_ms")),
        "max_output_length": _limit(arguments.get("max_output_length")),
    }


def local_shell_action(arguments: Json) -> LocalShellActionItem | None:
    """The action of a `local_shell_call`. A line of text goes to a shell, as the tool's description says."""
    if not isinstance(arguments, dict):
        return None
    command = arguments.get("command")
    parts = ["bash", "-lc", command] if isinstance(command, str) and command.strip() else _lines(command)
    if not parts:
        return None
    env, workdir = arguments.get("env"), arguments.get("workdir")
    return {
        "type": "exec",
        "command": parts,
        "env": {name: value for name, value in env.items() if isinstance(value, str)} if isinstance(env, dict) else {},
        "timeout_ms": _limit(arguments.get("timeout_ms")),
        "user": None,
        "working_directory": workdir if isinstance(workdir, str) and workdir else None,
    }


def patch_operation(arguments: Json) -> PatchOperationItem | None:
    """The operation of an `apply_patch_call`."""
    if not isinstance(arguments, dict):
        return None
    operation = arguments.get("operation", arguments)
    if not isinstance(operation, dict):
        return None
    path, diff = operation.get("path"), operation.get("diff")
    if not isinstance(path, str) or not path:
        return None
    match operation.get("type"):
        case "delete_file":
            return {"type": "delete_file", "path": path}
        case "create_file" if isinstance(diff, str):
            return {"type": "create_file", "path": path, "diff": diff}
        case "update_file" if isinstance(diff, str):
            return {"type": "update_file", "path": path, "diff": diff}
    return None


def _lines(value: Json) -> list[str]:
    """A list of texts, or one text as a list; empty for anything else."""
    if isinstance(value, str):
        return [value] if value.strip() else []
    if not isinstance(value, list):
        return []
    texts = [entry for entry in value if isinstance(entry, str)]
    return texts if len(texts) == len(value) else []


def _limit(value: Json) -> int | None:
    """A limit that is none is left out; the client has its own."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
