"""By which software a checkpoint was made: the commit of fcn-edge's own checkout, and of nothing else."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from fcn_edge.training.provenance import git_commit, software


def git(root: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(root), *identity, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "One")
    git(tmp_path, "tag", "-a", "v1", "-m", "A tag, which is no commit")
    return tmp_path


def test_a_checkout_tells_its_commit_and_whether_it_differs(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))  # as in a hook of another repository
    commit = git_commit(repository)
    assert commit is not None and re.fullmatch("[0-9a-f]{40}", commit)
    (repository / "untracked").touch()
    assert git_commit(repository) == commit
    (repository / "file").write_text("two")
    assert git_commit(repository) == f"{commit}-dirty"


def test_a_repository_around_an_installed_package_is_not_told(repository: Path) -> None:
    (repository / "site-packages").mkdir()
    assert git_commit(repository / "site-packages") is None


def test_no_git_and_a_broken_repository_are_no_error(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / ".git" / "HEAD").write_text("nothing")
    assert git_commit(repository) is None
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert git_commit(repository) is None


def test_the_versions_of_what_computes_are_told() -> None:
    told = software()
    assert all(re.match(r"\d+\.\d+", version) for version in told["versions"].values())
    assert told.keys() == {"versions", "git_commit"}
