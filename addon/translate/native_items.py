"""Calls of the tools that clients run and OpenAI's models know by heart, as items of an answer.

They are functions to the model. Each is told at once, when its arguments are whole and mean something: a client runs
whatever it is told, so half a command or half a patch must not look like one. There are no events for their parts.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from addon.translate.items import CallState, Emit, Ending, Write
from addon.translate.native_tools import local_shell_action, patch_operation, shell_action
from addon.wire.json import Json, JsonError, loads
from addon.wire.responses import (
    ApplyPatchCallItem,
    LocalShellActionItem,
    LocalShellCallItem,
    PatchOperationItem,
    ShellActionItem,
    ShellCallItem,
    Status,
)


class NativeCallState(CallState):
    """What the three have in common."""

    def write(self, operation: Write, emit: Emit, announce: Callable[[], int]) -> None:
        self._pieces.append(operation.delta)

    def close(self, ending: Ending, emit: Emit, announce: Callable[[], int]) -> Status | None:
        if not self.runnable(ending) or not self._understood():
            return None
        announce()
        return "completed"

    def _value(self) -> Json:
        try:
            return loads(self.arguments())
        except JsonError:
            return None

    @abstractmethod
    def _understood(self) -> bool:
        """Read the arguments; False if the tool cannot be run with them."""


class ShellCallState(NativeCallState):
    """Command lines."""

    _action: ShellActionItem

    def _understood(self) -> bool:
        action = shell_action(self._value())
        if action is None:
            return False
        self._action = action
        return True

    def blank(self) -> ShellCallItem:
        return self.snapshot("in_progress")

    def snapshot(self, status: Status) -> ShellCallItem:
        return {
            "id": self.id,
            "type": "shell_call",
            "status": status,
            "call_id": self.call_id,
            "action": self._action,
            "environment": None,
        }


class LocalShellCallState(NativeCallState):
    """A program and its arguments."""

    _action: LocalShellActionItem

    def _understood(self) -> bool:
        action = local_shell_action(self._value())
        if action is None:
            return False
        self._action = action
        return True

    def blank(self) -> LocalShellCallItem:
        return self.snapshot("in_progress")

    def snapshot(self, status: Status) -> LocalShellCallItem:
        return {
            "id": self.id,
            "type": "local_shell_call",
            "status": status,
            "call_id": self.call_id,
            "action": self._action,
        }


class ApplyPatchCallState(NativeCallState):
    """A change to one file."""

    _operation: PatchOperationItem

    def _understood(self) -> bool:
        operation = patch_operation(self._value())
        if operation is None:
            return False
        self._operation = operation
        return True

    def blank(self) -> ApplyPatchCallItem:
        return self.snapshot("in_progress")

    def snapshot(self, status: Status) -> ApplyPatchCallItem:
        return {
            "id": self.id,
            "type": "apply_patch_call",
            "status": status,
            "call_id": self.call_id,
            "operation": self._operation,
        }
