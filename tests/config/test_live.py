from pathlib import Path

import pytest

from addon.config import Config, ConfigError, LiveConfig, config_candidates, find_config, load_config
from addon.config.model import provider_profile

GOOD = "models: {a: deepseek/a}\n"
OTHER = "models: {other: deepseek/b}\n"
BAD = "modles: {a: deepseek/a}\n"


def live_at(path: Path) -> LiveConfig:
    return LiveConfig(lambda: load_config(path, {}), [path])


def names(live: LiveConfig) -> list[str]:
    return list(live.require().models)


def test_an_unchanged_file_is_not_read_again(tmp_path: Path):
    path = tmp_path / "bridge.yaml"
    path.write_text(GOOD)
    live = live_at(path)
    first = live.require()
    assert not live.refresh()
    assert live.require() is first
    assert live.generation == 1


def test_a_changed_file_comes_into_force(tmp_path: Path):
    path = tmp_path / "bridge.yaml"
    path.write_text(GOOD)
    live = live_at(path)
    path.write_text(OTHER)
    assert live.refresh()
    assert names(live) == ["other"]
    assert live.generation == 2
    assert not live.refresh()


def test_a_replaced_file_is_noticed_by_its_identity(tmp_path: Path):
    path, new = tmp_path / "bridge.yaml", tmp_path / "new.yaml"
    path.write_text("models: {a: deepseek/a}\n")
    live = live_at(path)
    new.write_text("models: {b: deepseek/b}\n")
    new.replace(path)
    assert live.refresh()
    assert names(live) == ["b"]


def test_a_bad_edit_keeps_the_last_good_one_and_is_told_once(tmp_path: Path):
    path = tmp_path / "bridge.yaml"
    path.write_text(GOOD)
    live = live_at(path)
    path.write_text(BAD)
    assert not live.refresh()
    assert names(live) == ["a"]
    assert live.last_error == f"{path}: modles: unknown key. Did you mean models?"
    assert live.take_report() == live.last_error
    assert not live.refresh()
    assert live.take_report() is None
    path.write_text(OTHER)
    assert live.refresh()
    assert live.last_error is None
    assert names(live) == ["other"]


def test_without_a_first_good_one_every_call_fails_closed_until_it_is_put_right(tmp_path: Path):
    path = tmp_path / "bridge.yaml"
    path.write_text(BAD)
    live = live_at(path)
    assert live.current is None
    assert live.generation == 0
    with pytest.raises(ConfigError, match="Did you mean models"):
        live.require()
    path.write_text(GOOD)
    assert live.refresh()
    assert names(live) == ["a"]


def test_a_file_that_disappears_leaves_its_configuration_in_force(tmp_path: Path):
    path = tmp_path / "bridge.yaml"
    path.write_text(GOOD)
    env = {"DEEPSEEK_API_KEY": "k"}
    live = LiveConfig(lambda: load_config(find_config("", env, tmp_path, tmp_path), env), [path])
    path.unlink()
    assert not live.refresh()
    assert names(live) == ["a"]
    assert live.take_report() == f"{path}: has disappeared. Put it back, or restart the bridge to go without it."
    path.write_text(GOOD)
    assert live.refresh()
    assert live.last_error is None


def test_a_file_that_appears_comes_into_force(tmp_path: Path):
    env = {"DEEPSEEK_API_KEY": "k"}
    live = LiveConfig(
        lambda: load_config(find_config("", env, tmp_path, tmp_path / "home"), env),
        config_candidates(env, tmp_path, tmp_path / "home"),
    )
    assert names(live) == ["*"]
    (tmp_path / "bridge.yaml").write_text(GOOD)
    assert live.refresh()
    assert names(live) == ["a"]


def test_a_new_key_in_a_key_file_comes_into_force(tmp_path: Path):
    path, key = tmp_path / "bridge.yaml", tmp_path / "key"
    path.write_text("providers: {deepseek: {api_key_file: key}}\n")
    key.write_text("first\n")
    live = live_at(path)
    assert live.require().secrets() == ("first",)
    assert not live.refresh()
    key.write_text("second one\n")
    assert live.refresh()
    assert live.require().secrets() == ("second one",)
    assert not live.refresh()
    key.unlink()
    assert not live.refresh()
    assert live.require().secrets() == ("second one",)


def test_the_error_of_a_missing_configuration_has_words():
    def load() -> Config:
        raise ConfigError("bridge.yaml: broken")

    with pytest.raises(ConfigError, match=r"^bridge\.yaml: broken$"):
        LiveConfig(load).require()


def test_a_change_of_a_profile_in_a_file_comes_into_force(tmp_path: Path):
    path, profile = tmp_path / "bridge.yaml", tmp_path / "acme.toml"
    path.write_text("providers: {acme: {profile: acme.toml}}\n")
    head = 'id = "acme"\nbase_url = "http://localhost:1/v1"\nevidence = "U"\nchecked = "2026-11"\n'
    profile.write_text(head)
    live = live_at(path)

    def stop_max() -> int:
        return provider_profile("acme", live.require().providers["acme"], "m").stop_max

    assert stop_max() == 4
    profile.write_text(f"{head}stop_max = 1\n")
    assert live.refresh()
    assert stop_max() == 1
    profile.write_text(f"{head}stop_min = 1\n")
    assert not live.refresh()
    assert stop_max() == 1
    assert "acme.toml: unknown field 'stop_min'" in str(live.take_report())
