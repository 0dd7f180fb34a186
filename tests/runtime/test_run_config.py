"""run_config: a file says what the command line may, whatever it says wrongly is named with key and line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import pytest

from fcn_edge.errors import SourceError, UsageError
from runtime.cli import run_command
from runtime.run_config import RunConfig, chosen_sources, config_option, options_of, read_run_config
from runtime.sources.naming import NamedSource

OPTIONS = options_of(run_command)

Read = Callable[..., RunConfig]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """What a file with this text says."""

    def config(text: str, **environment: str) -> RunConfig:
        path = tmp_path / "run.toml"
        path.write_text(text, encoding="utf-8")
        return read_run_config(path, OPTIONS, environment)

    return config


def refusal(read: Read, text: str, **environment: str) -> str:
    """In one line, without the folder of the file."""
    with pytest.raises(UsageError) as refused:
        read(text, **environment)
    message = str(refused.value)
    assert "\n" not in message
    return message[message.index("run.toml") :]


def told(sources: Sequence[NamedSource]) -> dict[str, str]:
    return {source.name: source.address.uri for source in sources}


def test_a_file_may_say_all_that_a_command_line_may(read: Read) -> None:
    config = read('source = "drive.mp4"\nsinks = ["out.mkv", "json:-"]\nmodel = "bundle"\nalpha = 0.3\nview = "mask"\n')
    assert told(config.sources) == {"drive.mp4": "drive.mp4"}
    assert config.sinks == ("out.mkv", "json:-")
    assert config.options == {"model": "bundle", "alpha": 0.3, "view": "mask"}


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("", {}),
        ('source = "0"', {"video0": "0"}),
        ('sources = ["0", "csi://0"]', {"video0": "0", "csi0": "csi://0"}),
        ('sources = ["gate=rtsp://host/1", "yard=rtsp://host/2"]', {"gate": "rtsp://host/1", "yard": "rtsp://host/2"}),
        ('sources = {gate = "0", "yard.2" = "1"}', {"gate": "0", "yard.2": "1"}),
        ('[sources]\ngate = "0"\nyard = "1"', {"gate": "0", "yard": "1"}),
    ],
)
def test_several_sources_are_a_list_or_a_table_of_names(read: Read, text: str, sources: dict[str, str]) -> None:
    assert told(read(text).sources) == sources


def test_it_tells_in_a_line_what_it_holds_and_no_password(read: Read) -> None:
    config = read('sources = {gate = "rtsp://me:secret@host", yard = "0"}\nsinks = ["null:"]\nalpha = 1')
    assert str(config).endswith("run.toml: 2 sources (gate, yard), 1 sink, 1 option")
    assert "secret" not in f"{config} {config!r}"


# -- what is wrong ------------------------------------------------------------------------------------------------


def wrong_type(option: click.Option) -> str:
    """A value in TOML that no flag of this type takes."""
    if isinstance(option.type, click.types.BoolParamType):
        return '"yes"'
    return "true" if isinstance(option.type, (click.types.IntParamType, click.types.FloatParamType)) else "3"


@pytest.mark.parametrize("key", OPTIONS)
def test_a_value_of_another_type_is_told_with_key_and_line(read: Read, key: str) -> None:
    message = refusal(read, f'source = "0"\n\n{key} = {wrong_type(OPTIONS[key])}\n')
    assert message.startswith("run.toml, line 3: wanted ") and f" for {key}, found " in message


def beyond(option: click.Option) -> str | None:
    """A value of its type, in TOML, that the flag refuses; None where there is no such."""
    kind: Any = option.type
    if isinstance(kind, click.Choice):
        return '"no-such-choice"'
    if isinstance(kind, (click.IntRange, click.FloatRange)):
        return str(kind.min - 1) if kind.min is not None else str((kind.max or 0) + 1)
    return None


BEYOND = {key: value for key, option in OPTIONS.items() if (value := beyond(option))}


@pytest.mark.parametrize("key", BEYOND)
def test_a_value_that_the_flag_refuses_is_told_with_key_and_line(read: Read, key: str) -> None:
    message = refusal(read, f'source = "0"\n\n{key} = {BEYOND[key]}\n')
    assert message.startswith(f"run.toml, line 3: wanted a value that --{key} takes, found: ")
    assert BEYOND[key].strip('"') in message


@pytest.mark.parametrize("key", [*OPTIONS, "source", "sources", "sinks"])
def test_a_slip_in_a_name_is_told_with_the_name_that_is_meant(read: Read, key: str) -> None:
    message = refusal(read, f"# mine\n{key}x = 1\n")
    assert message.startswith(f"run.toml, line 2: wanted options of `fcn-edge run`, found '{key}x'; did you mean ")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("source = 0", 1, ("text in quotes for source", "found 0")),
        ('source = ""', 1, ("a name for source, found an empty text",)),
        ('source = "ftp://host/a"', 1, ("source: wanted a source as 0, /dev/video0", "ftp://")),
        ('source = "0"\nsources = []', 1, ("source or sources, found both",)),
        ("sources = 1", 1, ("a list or a table for sources", "found 1")),
        ('sources = [\n"0",\n1]', 1, ("text in quotes for sources", "found 1")),
        ('sources = ["csi://x"]', 1, ("sources: wanted the number of a sensor",)),
        ('sources = {gate = ["0"]}', 1, ("text in quotes for sources.gate", "found ['0']")),
        ('[sources]\ngate = "0"\nyard = false', 3, ("text in quotes for sources.yard", "found False")),
        ('[sources]\ngate = "0"\nyard = "foo://x"', 3, ("sources.yard: wanted a source as", "foo://")),
        ('[sources]\n"the gate" = "0"', 2, ("sources.the gate: wanted a name of up to 32", "'the gate'")),
        ('[sources]\n"a/b" = "0"', 2, ("'a/b'",)),
        ('\nsources = ["0", "0"]', 2, ("sources: wanted a name for each source, found video0 twice",)),
        ('sinks = "out.mkv"', 1, ("a list for sinks", "found 'out.mkv'")),
        ('\nsinks = ["out.mkv", {}]', 2, ("text in quotes for sinks", "found {}")),
        ('sinks = [""]', 1, ("a name for sinks, found an empty text",)),
        ('source = "0"\nsinks = ["null:", "out.avi"]', 2, ("sinks: wanted display://, out.mkv", "'out.avi'")),
        ('sinks = [\n"a.mkv",\n"./a.mkv"]', 1, ("sinks: wanted every sink once, found a.mkv twice",)),
        ('\nallow-host = ["jetson.local", "a/b"]', 2, ("a value that --allow-host takes, found: 'a/b' is no name",)),
        ('source = "0"\nsinks = ["m/{foo}.mkv"]', 2, ("sinks: m/{foo}.mkv: wanted {source}", "found {foo}")),
        ('source = "0"\nsinks = ["mask.png"]', 2, ("sinks: mask.png: wanted a name for each frame of a camera",)),
        ('source = "rtsp://${GATE@host"', 1, ("source: wanted ${NAME}", "'${GATE@host'")),
        ('source = "rtsp://${../../etc/shadow}@host"', 1, ("source: wanted ${NAME}",)),
        ('[sources]\ngate = "rtsp://me:${GATE}@host"', 2, ("sources.gate: wanted a value for ${GATE}", "set GATE")),
        ('\nmodel = "${MODEL}"', 2, ("model: wanted a value for ${MODEL}, found none",)),
        ('sinks = ["null:", "${SINK}"]', 1, ("sinks: wanted a value for ${SINK}",)),
    ],
)
def test_what_cannot_be_a_source_or_a_sink_is_told_with_key_and_line(
    read: Read, text: str, line: int, words: tuple[str, ...]
) -> None:
    message = refusal(read, text)
    assert message.startswith(f"run.toml, line {line}: ")
    for word in words:
        assert word in message


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match=r"wanted the configuration nowhere\.toml, found: No such file"):
        read_run_config(Path("nowhere.toml"), OPTIONS)


# -- placeholders -------------------------------------------------------------------------------------------------


def test_placeholders_are_filled_in_every_text(read: Read) -> None:
    text = 'model = "${HOME_OF_MODELS}/b"\nsinks = ["${WHERE}/${WHAT}.mkv"]\n[sources]\ngate = "${GATE}"'
    config = read(text, HOME_OF_MODELS="/models", WHERE="/a b", WHAT="out", GATE="rtsp://me:p%40ss@host/1")
    assert config.options == {"model": "/models/b"} and config.sinks == ("/a b/out.mkv",)
    assert told(config.sources) == {"gate": "rtsp://me:p%40ss@host/1"}


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("rtsp://${USER}:${PASSWORD}@${HOST}/${PATH}", "rtsp://a%40b:p%2F%3A%25%20%40w@10.0.0.5:554/s/1"),
        ("http://${HOST}/${PATH}?password=${PASSWORD}", "http://10.0.0.5:554/s/1?password=p%2F%3A%25%20%40w"),
        ("http://${HOST}/?key=${PASSWORD}@x", "http://10.0.0.5:554/?key=p%2F%3A%25%20%40w@x"),
    ],
)
def test_a_password_stands_in_an_address_as_addresses_want_it(read: Read, address: str, found: str) -> None:
    values = {"USER": "a@b", "PASSWORD": "p/:% @w", "HOST": "10.0.0.5:554", "PATH": "s/1"}
    assert told(read(f'sources = {{gate = "{address}"}}', **values).sources) == {"gate": found}


def test_a_credential_that_systemd_loaded_goes_before_the_environment(read: Read, tmp_path: Path) -> None:
    (tmp_path / "GATE").write_text("from systemd\r\n")
    folder = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    text = 'model = "${GATE}"\nview = "${VIEW}"'
    config = read(text, **folder, GATE="from the environment", VIEW="mask")
    assert config.options == {"model": "from systemd", "view": "mask"}


def test_a_credential_that_cannot_be_read_is_told(read: Read, tmp_path: Path) -> None:
    (tmp_path / "GATE").write_bytes(b"\xff")
    message = refusal(read, 'model = "${GATE}"', CREDENTIALS_DIRECTORY=str(tmp_path))
    assert message.startswith("run.toml, line 1: model: wanted the credential GATE, found: bytes that are not UTF-8; ")


@pytest.mark.parametrize(
    "text",
    [
        'view = "${SECRET}"',
        'source="0"; sinks = ["${SECRET}"]',
        'source = "${SECRET}"',
        'sources = {gate = "${SECRET}"}',
    ],
)
def test_no_message_shows_what_a_placeholder_stands_for(read: Read, text: str) -> None:
    message = refusal(read, text.replace("; ", "\n"), SECRET="foo://me:hunter2@host")
    assert "run.toml, line " in message and "hunter2" not in message


def test_two_placeholders_that_stand_for_one_sink_are_told_without_it(read: Read) -> None:
    message = refusal(read, 'sinks = ["${A}.mkv", "${B}.mkv"]', A="secret", B="secret")
    assert message.startswith("run.toml, line 1: sinks: wanted every sink once, found that two stand for one")
    assert "secret" not in message


# -- with the command line ----------------------------------------------------------------------------------------


@click.command()
@click.argument("source", required=False)
@click.argument("sinks", nargs=-1)
@click.option("-m", "--model", required=True)
@click.option("--alpha", type=click.FloatRange(0, 1), default=0.5)
@click.option("--also", multiple=True)
@click.option("--check", is_flag=True)
@config_option
@click.pass_context
def command(
    ctx: click.Context, /, source: str | None, also: tuple[str, ...], config: RunConfig | None, **rest: Any
) -> None:
    ctx.obj.update(rest, sources=told(chosen_sources([source, *also], config)))


def called(*words: str) -> dict[str, Any]:
    heard: dict[str, Any] = {}
    command.main(list(words), standalone_mode=False, obj=heard)
    return heard


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "run.toml"
    path.write_text('model = "bundle"\nsources = {gate = "0"}\nsinks = ["out.mkv"]\nalpha = 0.25\n')
    return str(path)


def test_a_command_line_with_a_file_needs_nothing_else(file: str) -> None:
    wanted = {"model": "bundle", "sources": {"gate": "0"}, "sinks": ("out.mkv",), "alpha": 0.25, "check": False}
    assert called("--config", file) == wanted


def test_the_command_line_overrides_the_file(file: str) -> None:
    heard = called("a.mp4", "b.mkv", "--config", file, "--alpha", "1", "--also", "c.mp4")
    sources = {"a.mp4": "a.mp4", "c.mp4": "c.mp4"}
    assert heard == {"model": "bundle", "sources": sources, "sinks": ("b.mkv",), "alpha": 1, "check": False}


def test_without_a_file_all_is_as_it_was() -> None:
    heard = called("a.mp4", "-m", "bundle")
    assert heard == {"model": "bundle", "sources": {"a.mp4": "a.mp4"}, "sinks": (), "alpha": 0.5, "check": False}


@pytest.mark.parametrize(
    ("text", "words"), [("", "on the command line"), ('model = "b"', "in .*run.toml; write source")]
)
def test_without_a_source_it_is_told_where_to_write_one(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "run.toml").write_text(text)
    given = ["--config", str(tmp_path / "run.toml")] if text else ["-m", "b"]
    with pytest.raises(UsageError, match=f"wanted a source, found none {words}"):
        called(*given)


def test_a_file_cannot_name_another_file(file: str) -> None:
    Path(file).write_text(f'config = "{file}"')
    with pytest.raises(UsageError, match="found 'config'"):
        called("--config", file)


@pytest.mark.parametrize(
    ("text", "words", "names_file"),
    [
        ('sources = ["0", "drive.mp4"]', (), True),
        ('sources = ["0", "1"]', ("--model", "m", "null:", "out.mkv"), True),
        ('sinks = ["out.mkv"]', ("0", "--also", "1"), True),
        ("alpha = 1", ("0", "null:", "null:"), False),
    ],
)
def test_what_no_run_can_be_names_the_file_that_asked_for_it(
    tmp_path: Path, text: str, words: tuple[str, ...], names_file: bool
) -> None:
    path = tmp_path / "run.toml"
    path.write_text(f'model = "bundle"\n{text}\n')
    with pytest.raises(UsageError) as refused:
        run_command.main(["--config", str(path), "--check", *words], standalone_mode=False)
    assert (str(path) in str(refused.value)) == names_file


def test_a_check_tells_a_source_that_is_not_there_and_opens_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "no-video.mp4").touch()
    for source, there in (("no-video.mp4", True), ("0", True), (".", True), ("gone.mp4", False)):
        given = source if source == "0" else str(tmp_path / source)
        words = ["--check", given, "null:", "--model", "bundle"]
        if there:
            run_command.main(words, standalone_mode=False)
            assert capsys.readouterr().err == "the command line can be run\n"
        else:
            with pytest.raises(SourceError, match=r"found nothing at .*gone\.mp4; check the path"):
                run_command.main(words, standalone_mode=False)
