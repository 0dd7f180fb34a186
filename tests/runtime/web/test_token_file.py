"""runtime.web.token_file: when a token is needed, and where it is kept."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from fcn_edge.errors import OutputError, UsageError
from runtime.web.options import WebOptions
from runtime.web.token_file import state_folder, token_of
from tests.runtime.web.serving import serving

TOKEN = "0123456789abcdef"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_this_machine_alone_needs_no_token(state: Path) -> None:
    assert token_of(WebOptions(), is_local=True) is None
    assert not state.exists()


def test_a_network_gets_none_only_when_that_is_said() -> None:
    assert token_of(WebOptions(allow_no_token=True), is_local=False) is None
    assert token_of(WebOptions(), is_local=False) is not None


def test_a_made_token_is_private_and_stays(state: Path) -> None:
    made, again = token_of(WebOptions(), is_local=False), token_of(WebOptions(), is_local=False)
    assert made and again and made.path == state / "fcn-edge" / "live-page-token"
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert (made.is_new, again.is_new) == (True, False) and made.text == again.text and len(made.text) >= 32


def test_a_given_token_is_wanted_by_this_machine_too() -> None:
    token = token_of(WebOptions(token=TOKEN), is_local=True)
    assert token and token.text == TOKEN


def test_a_file_of_the_users_own_holds_the_token(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text(TOKEN + "\n")
    token = token_of(WebOptions(token_file=tmp_path / "mine"), is_local=True)
    assert token and token.text == TOKEN


@pytest.mark.parametrize("content", [b"", b"short", b"with a space in it", b"\xff" * 20, "ümläute-ümläute".encode()])
def test_a_file_that_holds_no_token_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine").write_bytes(content)
    with pytest.raises(UsageError, match="mine"):
        token_of(WebOptions(token_file=tmp_path / "mine"), is_local=True)


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="directory"):
        token_of(WebOptions(token_file=tmp_path), is_local=True)


def test_a_token_is_never_written_through_a_link(tmp_path: Path, state: Path) -> None:
    folder = state_folder()
    folder.mkdir(parents=True)
    (folder / "live-page-token").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError):
        token_of(WebOptions(), is_local=False)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "token", ["", "fifteen-letters", "sixteen letters!", "sixteen-lettersü", "a" * 20 + "\r\nX: y"]
)
def test_weak_tokens_are_refused_and_not_told(token: str) -> None:
    with pytest.raises(UsageError) as refused:
        WebOptions(token=token)
    assert not token or token not in str(refused.value)


def test_a_made_token_is_told_once_and_never_in_facts(capsys: pytest.CaptureFixture[str], state: Path) -> None:
    with serving(uri="http://0.0.0.0:0") as page:
        token = (state / "fcn-edge" / "live-page-token").read_text().strip()
        assert f":{page.port}/?token={token}" in capsys.readouterr().err
        assert token not in str(page.facts())
    with serving(uri="http://0.0.0.0:0"):
        told = capsys.readouterr().err
    assert token not in told and "live-page-token" in told


def test_options_do_not_show_their_token() -> None:
    assert TOKEN not in repr(WebOptions(token=TOKEN))
