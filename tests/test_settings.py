"""One configuration, the same from Python, from YAML and from the environment."""

from __future__ import annotations

import copy
import pickle

import msgspec
import pytest

from parsl_diaspora import Settings
from parsl_diaspora.errors import SettingsError
from parsl_diaspora.masking import without_secrets
from parsl_diaspora.testing.processes import MARK_VARIABLE, PLACE_VARIABLE

FILLED = {
    "fabric": "file:./events",
    "relay": "10.0.0.1:4000",
    "retries": {"memory": 3},
    "max_tries": 8,
    "policy": "policy.yaml",
    "sites": {"cpu": "alder"},
    "retry_delay": 1.5,
    "retry_delay_max": 60.0,
    "move": "any",
    "quarantine_after": 2,
    "quarantine_window": 30.0,
    "quarantine_for": 120.0,
    "replace_blocks": False,
    "block_start_failures": 2,
    "block_wait": 30.0,
    "interchange_silence": 5.0,
    "interchange_restarts": 2,
    "stall_after": 9.0,
    "grace": 0.25,
    "hold_timeout": 600.0,
    "events_buffer": 1000,
    "restore_workers": False,
    "traceback_limit": 100,
    "places": "file:./places",
    "redact": "package.module:function",
    "failure_rules": "./rules.yaml",
    "failure_model": "./model.json",
    "destined_after": 3,
    "diagnoser": "package.module:function",
    "diagnoser_timeout": 5.0,
    "triggers": [
        {
            "name": "tell",
            "pattern": {"kind": ["run.ended"], "failed": [{"numeric": [">", 0]}]},
            "action": {"call": "package.module:function"},
            "unique_by": ["run"],
            "at_most": 3,
        }
    ],
    "pool": {"sites": {"cpu": {"min_nodes": 1, "max_nodes": 8}}, "min_nodes": 2, "idle": "1m"},
    "checkpoint": {"store": "./states", "local": "/local", "interval": "30s", "keep": 3, "quota": "10GB"},
}
FILE = """
fabric: file:./events
relay: 10.0.0.1:4000
retries: {memory: 3}
max_tries: 8
policy: policy.yaml
sites: {cpu: alder}
retry_delay: 1.5
retry_delay_max: 60
move: any
quarantine_after: 2
quarantine_window: 30
quarantine_for: 120
replace_blocks: false
block_start_failures: 2
block_wait: 30.0
interchange_silence: 5.0
interchange_restarts: 2
stall_after: 9
grace: 0.25
hold_timeout: 600
events_buffer: 1000
restore_workers: false
traceback_limit: 100
places: file:./places
redact: package.module:function
failure_rules: ./rules.yaml
failure_model: ./model.json
destined_after: 3
diagnoser: package.module:function
diagnoser_timeout: 5.0
triggers:
  - name: tell
    pattern: {kind: [run.ended], failed: [{numeric: [">", 0]}]}
    action: {call: "package.module:function"}
    unique_by: [run]
    at_most: 3
pool:
  sites:
    cpu: {min_nodes: 1, max_nodes: 8}
  min_nodes: 2
  idle: 1m
checkpoint:
  store: ./states
  local: /local
  interval: 30s
  keep: 3
  quota: 10GB
"""


@pytest.fixture
def yaml_file(tmp_path):
    def write(text):
        path = tmp_path / "settings.yaml"
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return path

    return write


def environment(**values):
    return {f"PARSL_DIASPORA_{name.upper()}": value for name, value in values.items()}


def from_python(values):
    return Settings(**values)


def from_mapping(values):
    return Settings.from_dict(values)


def by_replacing(values):
    return Settings().replace(**values)


def from_environment(values):
    return Settings.from_environment(environment(**{name: str(value) for name, value in values.items()}))


PLAIN_WAYS = [from_python, from_mapping, by_replacing]
WAYS = [*PLAIN_WAYS, from_environment]


# --- the same from everywhere ---------------------------------------------------------------------------


def test_all_settings_have_a_default():
    assert Settings().max_tries == 12
    assert Settings() == Settings.from_dict({}) == Settings.from_environment({})


def test_sample_fills_every_field_with_something_else_than_its_default():
    assert set(FILLED) == set(Settings.__struct_fields__)
    assert all(getattr(Settings(), name) != value for name, value in FILLED.items())


@pytest.mark.parametrize("way", WAYS)
def test_every_setting_can_be_given_in_every_way(way):
    assert way(FILLED).to_dict() == FILLED


def test_every_setting_can_be_given_in_a_file(yaml_file):
    assert Settings.from_yaml(yaml_file(FILE)).to_dict() == FILLED
    assert Settings.from_yaml(str(yaml_file(FILE))) == Settings(**FILLED)


def test_plain_data_is_taken_back():
    assert Settings.from_dict(Settings(**FILLED).to_dict()) == Settings(**FILLED)


def test_whole_numbers_do_for_seconds():
    assert Settings(retry_delay=2).retry_delay == 2.0


def test_empty_file_changes_nothing(yaml_file):
    assert Settings.from_yaml(yaml_file("# nothing yet\n")) == Settings()


def test_settings_do_not_share_their_defaults():
    Settings().retries["memory"] = 9
    assert Settings().retries == {}


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(AttributeError):
        Settings().max_tries = 3


def test_replacing_leaves_the_original_as_it_was():
    before = Settings(max_tries=5)
    assert before.replace(move="none") == Settings(max_tries=5, move="none")
    assert before.move == "app"


def test_settings_cross_processes_and_are_copied():
    settings = Settings(**FILLED)
    for again in (pickle.loads(pickle.dumps(settings)), copy.copy(settings), copy.deepcopy(settings)):
        assert again == settings
        assert type(again) is Settings


# --- unknown names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_unknown_name_is_an_error_that_names_the_nearest(way):
    with pytest.raises(SettingsError) as caught:
        way({"max_tires": 3})
    assert "'max_tires' in the " in caught.value.message
    assert caught.value.message.endswith("is not a setting.")
    assert caught.value.hint == "Did you mean 'max_tries'?"


def test_unknown_name_in_a_file_names_the_file_and_the_nearest(yaml_file):
    path = yaml_file("max_tires: 3\n")
    with pytest.raises(SettingsError) as caught:
        Settings.from_yaml(path)
    assert str(caught.value) == f"'max_tires' in {path} is not a setting. Did you mean 'max_tries'?"


def test_unknown_name_in_the_environments_file_names_that_file(yaml_file):
    path = yaml_file("max_tires: 3\n")
    with pytest.raises(SettingsError, match=str(path)):
        Settings.from_environment(environment(settings=str(path)))


def test_unknown_variable_is_named_as_it_was_written():
    with pytest.raises(SettingsError, match="PARSL_DIASPORA_MAX_TIRES"):
        from_environment({"max_tires": 3})


def test_name_that_is_near_to_nothing_is_answered_with_all_names():
    with pytest.raises(SettingsError) as caught:
        Settings(xyzzy=1)
    assert caught.value.hint == f"The settings are: {', '.join(Settings.__struct_fields__)}."


def test_name_that_is_no_text_is_an_error(yaml_file):
    with pytest.raises(SettingsError, match=r"'1' in .* is not a setting"):
        Settings.from_yaml(yaml_file("1: 2\n"))


# --- values that do not fit -----------------------------------------------------------------------------


@pytest.mark.parametrize("way", PLAIN_WAYS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_tries", "many"),
        ("max_tries", 2.5),
        ("max_tries", True),
        ("retries", {"memory": "three"}),
        ("retries", [1]),
        ("retry_delay", None),
        ("replace_blocks", "perhaps"),
        ("fabric", 5),
        ("move", None),
    ],
)
def test_value_of_the_wrong_type_is_an_error_that_names_the_setting(way, name, value):
    with pytest.raises(SettingsError, match=rf"'{name}' in the given \w+ does not fit: expected "):
        way({name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("max_tries", "many"), ("retries", "[1]"), ("replace_blocks", "12")]
)
def test_variable_of_the_wrong_type_is_an_error_that_names_the_setting(name, value):
    with pytest.raises(SettingsError, match=rf"'{name}' in the environment does not fit: expected "):
        from_environment({name: value})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("max_tries", 0, "'max_tries' must be at least 1, not 0"),
        ("retry_delay", -0.5, "'retry_delay' must be at least 0, not -0.5"),
        ("events_buffer", 5, "'events_buffer' must be at least 100, not 5"),
        ("move", "anywhere", "'move' cannot be 'anywhere'. Use 'app', 'any' or 'none'"),
        ("retries", {"memory": -1}, "budget of 'memory' must be at least 0, not -1"),
    ],
)
def test_value_out_of_bounds_is_an_error_that_names_the_bound(way, name, value, words):
    with pytest.raises(SettingsError, match=words):
        way({name: value})


@pytest.mark.parametrize("name", ["retry_delay", "retry_delay_max", "quarantine_for", "stall_after"])
def test_not_a_number_is_out_of_bounds(name):
    with pytest.raises(SettingsError, match=f"'{name}' must be at least"):
        Settings(**{name: float("nan")})


def test_quarantine_may_last_for_ever():
    assert Settings(quarantine_for=float("inf")).quarantine_for == float("inf")


# --- files that are no settings -------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["max_tries: [3", "a: b: c", "\tmax_tries: 3", "\udcff\udcfe: 3"])
def test_file_that_does_not_parse_says_which_and_where(yaml_file, text):
    path = yaml_file(text)
    with pytest.raises(SettingsError) as caught:
        Settings.from_yaml(path)
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.__cause__ is not None


def test_file_that_holds_something_else_says_what(yaml_file):
    with pytest.raises(SettingsError, match=r"holds a list, not settings\. Write 'name: value' lines"):
        Settings.from_yaml(yaml_file("- max_tries\n"))


def test_file_that_is_not_there_or_is_a_directory_is_said_so(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        Settings.from_yaml(tmp_path / "gone.yaml")
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        Settings.from_yaml(tmp_path)


def test_file_can_run_no_code(yaml_file):
    with pytest.raises(SettingsError, match="is no YAML"):
        Settings.from_yaml(yaml_file("fabric: !!python/object/apply:os.getcwd []\n"))


# --- the environment ------------------------------------------------------------------------------------


def test_variables_count_more_than_the_file_that_the_environment_names(yaml_file):
    path = yaml_file("max_tries: 4\nmove: any\nretries: {memory: 1}\n")
    settings = Settings.from_environment(
        environment(settings=str(path), max_tries="7", retries="{missing_module: 2}")
    )
    assert settings == Settings(max_tries=7, move="any", retries={"missing_module": 2})


def test_overrides_count_more_than_what_was_there(yaml_file):
    assert Settings.from_yaml(yaml_file("max_tries: 4\n")).replace(max_tries=9).max_tries == 9


@pytest.mark.parametrize("url", ["memory:", "memory:name", "kafka://host:9092", "file:/a b/#c", "[odd", "12"])
def test_texts_in_the_environment_need_no_quotes(url):
    assert Settings.from_environment(environment(fabric=url)).fabric == url


def test_empty_variable_leaves_the_default_of_a_text_that_may_be_missing():
    assert Settings.from_environment(environment(fabric="", redact="")) == Settings()


def test_variable_that_does_not_parse_is_named():
    with pytest.raises(SettingsError, match="PARSL_DIASPORA_RETRIES does not parse as YAML"):
        from_environment({"retries": "{memory: 3"})


def test_other_variables_are_left_alone():
    assert Settings.from_environment({"PARSL_DIASPORAX": "1", "HOME": "/"}) == Settings()


def test_marks_of_processes_under_test_are_no_settings():
    assert Settings.from_environment({MARK_VARIABLE: "run-7", PLACE_VARIABLE: "alder"}) == Settings()


def test_the_programs_own_environment_is_read_by_default(monkeypatch):
    monkeypatch.setenv("PARSL_DIASPORA_MAX_TRIES", "5")
    assert Settings.from_environment().max_tries == 5


# --- how they look --------------------------------------------------------------------------------------


def test_repr_is_valid_python():
    settings = Settings(**FILLED)
    assert eval(repr(settings), {"Settings": Settings}) == settings


def test_secrets_are_masked_wherever_people_look():
    settings = Settings(fabric="kafka://me:hunter2@host:9092/topic?sasl_password=abc123&acks=all")
    shown = [repr(settings), str(settings), str(settings.shown()), str(list(settings.__rich_repr__()))]
    assert not any("hunter2" in text or "abc123" in text for text in shown)
    assert settings.shown()["fabric"] == "kafka://me:***@host:9092/topic?sasl_password=***&acks=all"
    assert "hunter2" in settings.to_dict()["fabric"]


@pytest.mark.parametrize("url", ["file:./events", "memory:", "kafka://host:9092", "kafka://me@host", "a:b@c"])
def test_url_without_secrets_stays_as_it_is(url):
    assert without_secrets(url) == url


def test_shown_settings_are_plain_data():
    assert msgspec.json.decode(msgspec.json.encode(Settings(**FILLED).shown())) == FILLED


@pytest.mark.parametrize(("word", "meant"), [("on", "on"), ("off", "off"), ("auto", "auto"), ("n1", "n1")])
def test_relay_is_a_word_or_a_host_in_every_way(yaml_file, word, meant):
    assert Settings.from_yaml(yaml_file(f"relay: {word}")).relay == meant
    assert Settings.from_environment({"PARSL_DIASPORA_RELAY": word}).relay == meant
    assert Settings(relay=word).relay == meant


def test_relay_may_be_a_truth_value():
    assert (Settings(relay=True).relay, Settings(relay=False).relay) == ("on", "off")


@pytest.mark.parametrize("word", ["", "  ", "atuo", "Auto", "ON"])
def test_relay_that_is_neither_is_an_error(word):
    with pytest.raises(SettingsError, match="must be 'auto', 'on', 'off' or a host"):
        Settings(relay=word)


# --- checkpoints ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"interval": "often"}, "interval"),
        ({"interval": "0s"}, "more than 0"),
        ({"keep": 0}, "at least 1"),
        ({"quota": "much"}, "quota"),
        ({"keep_for": "long"}, "keep_for"),
        ({"stoer": "x"}, "stoer"),
        ({"store": "s3://me:secret@bucket/states"}, "holds a secret"),
    ],
)
@pytest.mark.parametrize("way", PLAIN_WAYS)
def test_how_states_are_kept_is_checked_when_it_is_said(way, wrong, words):
    with pytest.raises(SettingsError, match=words):
        way({"checkpoint": wrong})
