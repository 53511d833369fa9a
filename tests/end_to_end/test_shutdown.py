"""The end of the bridge, and of a configuration: calls that are under way come to their end."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.conftest import StartBridge, config_for
from tests.end_to_end.process import SCRIPT, Bridge, events_of, eventually
from tests.end_to_end.provider import DONE, PATIENCE_S, Provider, Reply, event, streams, text_chunks
from tests.grammar import check_stream

HELLO = [event(each) for each in text_chunks("Hel", "lo.")]


@contextmanager
def under_way(
    bridge: Bridge, provider: Provider, model: str, gate: threading.Event
) -> Iterator[Future[httpx.Response]]:
    """A call whose stream has begun, and goes on when the gate is opened."""
    begun = threading.Event()

    def behave(reply: Reply) -> None:
        begun.set()
        streams(*HELLO[:2], gate, *HELLO[2:], DONE)(reply)

    provider.script(model, behave)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(bridge.respond, model, stream=True)
        assert begun.wait(PATIENCE_S)
        try:
            yield answer
        finally:
            gate.set()


def last_event(answer: Future[httpx.Response]) -> dict[str, object]:
    events = events_of(answer.result(PATIENCE_S).text)
    check_stream(events)
    return events[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["terminate", "interrupt"])
def test_a_running_call_ends_and_a_new_one_is_refused(
    start_bridge: StartBridge, provider: Provider, model: str, number: signal.Signals
) -> None:
    bridge, gate = start_bridge(), threading.Event()
    with under_way(bridge, provider, model, gate) as answer:
        bridge.process.send_signal(number)
        bridge.logged("Stopping: 1 calls have 30 s to end")
        refused = bridge.respond("another")
        gate.set()

        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "bridge_stopping"
        assert refused.headers["retry-after"]
        assert refused.headers["connection"] == "close"
        assert last_event(answer)["type"] == "response.completed"
    assert bridge.process.wait(PATIENCE_S) == 0


def test_a_call_that_does_not_end_in_time_is_told_so(start_bridge: StartBridge, provider: Provider, model: str) -> None:
    bridge = start_bridge(config_for(provider, shutdown_grace_s="0.1"))
    with under_way(bridge, provider, model, threading.Event()) as answer:
        bridge.process.terminate()

        last = last_event(answer)
        assert last["type"] == "response.failed"
        assert "stopped" in str(last["response"])
        assert bridge.process.wait(PATIENCE_S) == 0


def test_a_second_signal_ends_it_at_once(start_bridge: StartBridge, provider: Provider, model: str) -> None:
    bridge = start_bridge()
    bridge.may_crash = True  # asyncio says that the call's task was cancelled
    with under_way(bridge, provider, model, threading.Event()) as answer:
        bridge.process.terminate()
        bridge.logged("Stopping")
        bridge.process.terminate()

        assert bridge.process.wait(PATIENCE_S) == 0
        with pytest.raises(httpx.HTTPError):
            answer.result(PATIENCE_S)


def test_nothing_to_wait_for(start_bridge: StartBridge) -> None:
    """That a client has its connection open is no reason to stay."""
    bridge = start_bridge()
    with bridge.client() as client:
        assert client.get("/v1/models").status_code == 200
        bridge.process.terminate()

        assert bridge.process.wait(PATIENCE_S) == 0


def test_a_configuration_that_changes_under_load(start_bridge: StartBridge, provider: Provider, model: str) -> None:
    """Each of fifty streams ends as it began, while the file is written again and again."""
    bridge, gate = start_bridge(), threading.Event()
    provider.script(model, streams(*HELLO[:2], gate, *HELLO[2:], DONE))
    with ThreadPoolExecutor(50) as pool:
        answers = [pool.submit(bridge.respond, model, stream=True) for _ in range(50)]
        eventually(lambda: len(provider.calls(model)) == 50, "all have begun")
        for number in range(5):
            bridge.configure(config_for(provider, models=f"{{'*': 'test/{model}-{number}'}}"))
            assert bridge.respond("any").status_code == 200
            assert provider.calls(f"{model}-{number}")
        gate.set()

        assert {str(last_event(each)["type"]) for each in answers} == {"response.completed"}


def test_the_script_is_loaded_again_under_load(
    start_bridge: StartBridge, provider: Provider, model: str, tmp_path: Path
) -> None:
    """What is under way then is still waited for at the end."""
    copy = tmp_path / "copy" / "addon"
    shutil.copytree(SCRIPT.parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    bridge, gate = start_bridge(script=copy / "bridge.py"), threading.Event()
    with under_way(bridge, provider, model, gate) as answer:
        draft = copy / "bridge.new"
        draft.write_text(SCRIPT.read_text() + "logging.info('the second load')\n")
        draft.replace(copy / "bridge.py")
        bridge.logged("the second load")
        assert bridge.respond(f"{model}-other").status_code == 200
        bridge.process.terminate()
        bridge.logged("Stopping: 1 calls")
        gate.set()

        assert last_event(answer)["type"] == "response.completed"
    assert bridge.process.wait(PATIENCE_S) == 0
