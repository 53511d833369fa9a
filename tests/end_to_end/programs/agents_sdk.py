"""Programs as users of the Agents SDK write them: `agents_sdk.py NAME MODEL` runs one and prints what came of it.

Nothing in here knows of the bridge, which is set up in the environment alone.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from agents import (
    Agent,
    ApplyPatchTool,
    LocalShellCommandRequest,
    LocalShellTool,
    ModelSettings,
    OpenAIConversationsSession,
    Runner,
    ShellCallOutcome,
    ShellCommandOutput,
    ShellCommandRequest,
    ShellResult,
    ShellTool,
    function_tool,
    handoff,
)
from agents.editor import ApplyPatchOperation, ApplyPatchResult
from openai.types.responses import ResponseTextDeltaEvent
from pydantic import BaseModel


class City(BaseModel):
    name: str
    country: str
    founded: int | None


@function_tool
def weather(city: str, days: int = 1) -> str:
    """The weather in a city.

    Args:
        city: Its name.
        days: How many days ahead.
    """
    if city == "Atlantis":
        raise ValueError("no such city")
    return f"{city} ☂ {days}"


async def tools(model: str) -> object:
    """Calls a tool, one call failing, then a second turn with the whole history."""
    agent = Agent(name="Reporter", instructions="Report.", model=model, tools=[weather])
    first = await Runner.run(agent, "Weather in Oslo?")
    second = await Runner.run(agent, [*first.to_input_list(), {"role": "user", "content": "And in Atlantis?"}])
    return [first.final_output, second.final_output]


async def parallel(model: str) -> object:
    """Two calls of one turn, each of which waits for the other."""
    barrier = asyncio.Barrier(2)

    @function_tool
    async def meet(name: str) -> str:
        async with asyncio.timeout(10):
            await barrier.wait()
        return f"{name} was there"

    settings = ModelSettings(parallel_tool_calls=True)
    agent = Agent(name="Host", model=model, model_settings=settings, tools=[meet])
    return (await Runner.run(agent, "Let them meet.")).final_output


async def handoffs(model: str) -> object:
    """A conversation that one agent begins and another ends; the tools change on the way."""
    spanish = Agent(name="Spanish agent", instructions="Habla español.", model=model)
    triage = Agent(name="Triage", instructions="Hand over.", model=model, tools=[weather], handoffs=[handoff(spanish)])
    result = await Runner.run(triage, "Hola")
    return [result.last_agent.name, result.final_output]


async def structured(model: str) -> object:
    """An answer of a type."""
    agent = Agent(name="Geographer", model=model, output_type=City)
    city = (await Runner.run(agent, "The capital of Norway?")).final_output_as(City, raise_if_incorrect_type=True)
    return city.model_dump()


async def streamed(model: str) -> object:
    """A stream with a call in it: its text, and the items in the order they came."""
    agent = Agent(name="Reporter", model=model, tools=[weather])
    result = Runner.run_streamed(agent, "Weather in Oslo?")
    deltas: list[str] = []
    items: list[str] = []
    async for event in result.stream_events():
        if event.type == "raw_response_event" and isinstance(event.data, ResponseTextDeltaEvent):
            deltas.append(event.data.delta)
        elif event.type == "run_item_stream_event":
            items.append(event.name)
    usage = result.context_wrapper.usage
    return {"deltas": deltas, "items": items, "final": result.final_output, "tokens": usage.total_tokens}


async def local_shell(model: str) -> object:
    """A tool that is no function: `local_shell`."""

    def execute(request: LocalShellCommandRequest) -> str:
        action = request.data.action
        done = subprocess.run(action.command, capture_output=True, text=True, cwd=action.working_directory, check=True)
        return done.stdout

    agent = Agent(name="Operator", model=model, tools=[LocalShellTool(executor=execute)])
    return (await Runner.run(agent, "Say hello in a shell.")).final_output


async def shell(model: str) -> object:
    """A tool that is no function: `shell`."""

    def execute(request: ShellCommandRequest) -> ShellResult:
        outputs = []
        for line in request.data.action.commands:
            done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
            outcome = ShellCallOutcome(type="exit", exit_code=done.returncode)
            outputs.append(ShellCommandOutput(command=line, stdout=done.stdout, stderr=done.stderr, outcome=outcome))
        return ShellResult(output=outputs)

    agent = Agent(name="Operator", model=model, tools=[ShellTool(executor=execute)])
    return (await Runner.run(agent, "Say hello in a shell.")).final_output


async def apply_patch(model: str) -> object:
    """A tool that is no function: `apply_patch`. Prints the operations the editor was asked for."""
    asked: list[list[str | None]] = []

    class Editor:
        def create_file(self, operation: ApplyPatchOperation) -> ApplyPatchResult:
            asked.append([operation.type, operation.path, operation.diff])
            return ApplyPatchResult(output=f"changed {operation.path}")

        update_file = delete_file = create_file

    agent = Agent(name="Editor", model=model, tools=[ApplyPatchTool(editor=Editor())])
    return [(await Runner.run(agent, "Patch.")).final_output, asked]


async def chain(model: str) -> object:
    """A tool loop and a second turn, each call with what is new and the id of the response before it."""
    agent = Agent(name="Reporter", instructions="Report.", model=model, tools=[weather])
    first = await Runner.run(agent, "Weather in Oslo?", auto_previous_response_id=True)
    second = await Runner.run(agent, "Thanks.", previous_response_id=first.last_response_id)
    return [first.final_output, second.final_output]


async def session(model: str) -> object:
    """Two turns in a conversation that is kept elsewhere; then all that is in it."""
    agent = Agent(name="Reporter", instructions="Report.", model=model, tools=[weather])
    kept = OpenAIConversationsSession()
    for said in ("Weather in Oslo?", "Thanks."):
        await Runner.run(agent, said, session=kept)
    items = await kept.get_items()
    await kept.clear_session()
    return [item.get("type") for item in items]


PROGRAMS: dict[str, Callable[[str], Awaitable[object]]] = {
    each.__name__: each
    for each in (tools, parallel, handoffs, structured, streamed, local_shell, shell, apply_patch, chain, session)
}


def main(name: str, model: str) -> None:
    result: Any = asyncio.run(PROGRAMS[name](model))  # type: ignore[arg-type]
    print(json.dumps(result, ensure_ascii=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
