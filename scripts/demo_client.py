"""An unmodified client of the OpenAI SDK: asks a question with a tool at hand and prints each event of the stream.

Nothing in here knows of the bridge. `scripts/demo` sets HTTPS_PROXY and SSL_CERT_FILE, and that is all.
"""

import json
import sys

from openai import OpenAI
from openai.types.responses import (
    FunctionToolParam,
    Response,
    ResponseFunctionToolCall,
    ResponseInputParam,
    ResponseStreamEvent,
)

QUESTION = "What is the weather like in Paris today?"

WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
    "strict": True,
}


def get_weather(city: str, unit: str) -> str:
    return f"It is 21 degrees {unit} and sunny in {city}."


def ask(client: OpenAI, conversation: ResponseInputParam) -> Response:
    """One streamed call; the answer is what its last event carries."""
    stream = client.responses.create(
        model="gpt-5", input=conversation, tools=[WEATHER], reasoning={"effort": "low"}, stream=True
    )
    answer = None
    for event in stream:
        print(f"  {event.sequence_number:>3}  {event.type:<42} {essentials(event)}".rstrip(), flush=True)
        if event.type == "response.completed":
            answer = event.response
    if answer is None:
        raise SystemExit("The stream ended without response.completed.")
    return answer


def essentials(event: ResponseStreamEvent) -> str:
    """What is worth seeing of an event, on one line."""
    match event.type:
        case "response.output_item.added" | "response.output_item.done":
            return event.item.type
        case "response.output_text.delta" | "response.reasoning_text.delta" | "response.reasoning_summary_text.delta":
            return repr(event.delta)
        case "response.function_call_arguments.delta":
            return repr(event.delta)
        case "response.function_call_arguments.done":
            return event.arguments
        case "response.output_text.done":
            return repr(event.text)
        case "response.completed":
            return f"{event.response.usage.total_tokens} tokens" if event.response.usage else ""
        case _:
            return ""


def run(call: ResponseFunctionToolCall) -> str:
    result = get_weather(**json.loads(call.arguments))
    print(f"\n{call.name}({call.arguments})\n  → {result}\n")
    return result


def main() -> int:
    client = OpenAI()
    conversation: ResponseInputParam = [{"role": "user", "content": QUESTION}]
    print(f"{QUESTION}\n")
    answer = ask(client, conversation)
    calls = [item for item in answer.output if item.type == "function_call"]
    if not calls:
        print("The model did not call the tool.", file=sys.stderr)
        return 1
    conversation += [item.model_dump(exclude_unset=True) for item in answer.output]  # type: ignore[misc]
    for call in calls:
        conversation.append({"type": "function_call_output", "call_id": call.call_id, "output": run(call)})
    answer = ask(client, conversation)
    print(f"\n{answer.output_text}")
    return 0 if answer.output_text else 1


if __name__ == "__main__":
    sys.exit(main())
