"""The timing cache between builds: given when it fits, added to without loss, and never a reason to fail."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from export.timing_cache import TimingCache, default_timing_cache
from runtime.cuda_driver import Gpu

HEAD = b"TRT:"  # of what this TensorRT wrote


class Cache:
    """A trt.ITimingCache whose measurements are words."""

    def __init__(self, content: bytes) -> None:
        self.words = set(content.removeprefix(HEAD).split())

    def combine(self, other: Cache, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        self.words |= other.words
        return True

    def serialize(self) -> memoryview:
        return memoryview(HEAD + b" ".join(sorted(self.words)))


class Config:
    """The part of trt.IBuilderConfig that has to do with it. What does not start with HEAD is of another TensorRT."""

    def __init__(self, refuses_by: str = "none") -> None:
        self.used: Cache | None = None
        self.refuses_by = refuses_by

    def create_timing_cache(self, content: bytes) -> Cache | None:
        if self.refuses_by == "none" and content and not content.startswith(HEAD):
            return None
        return Cache(content)

    def set_timing_cache(self, cache: Cache, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch, "measurements of another device would be taken for this one's"
        if self.refuses_by == "false" and b"foreign" in cache.words:
            return False
        self.used = cache
        return True

    def get_timing_cache(self) -> Cache | None:
        return self.used

    def measure(self, *words: bytes) -> None:
        assert self.used is not None
        self.used.words |= set(words)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TimingCache:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return TimingCache(tmp_path / "cache" / "fcn-edge" / "timing" / "x.cache")


def build(cache: TimingCache, *words: bytes) -> set[bytes]:
    """What one build starts with; it measures `words`."""
    config = Config()
    cache.give(config)
    assert config.used is not None
    before = set(config.used.words)
    config.measure(*words)
    cache.take(config)
    return before


def test_a_build_starts_with_what_the_ones_before_it_measured(cache: TimingCache) -> None:
    assert build(cache, b"a", b"b") == set()
    assert build(cache, b"c") == {b"a", b"b"}
    assert build(cache) == {b"a", b"b", b"c"}


def test_two_builds_at_once_lose_nothing(cache: TimingCache) -> None:
    first, second = Config(), Config()
    cache.give(first)
    cache.give(second)
    first.measure(b"a")
    second.measure(b"b")
    cache.take(first)
    cache.take(second)
    assert build(cache) == {b"a", b"b"}


def add_words(path: Path, words: list[bytes]) -> None:
    for word in words:
        build(TimingCache(path), word)


def test_processes_that_build_at_once_lose_nothing(cache: TimingCache) -> None:
    words = [[f"{process}-{number}".encode() for number in range(20)] for process in range(4)]
    context = multiprocessing.get_context("forkserver")
    workers = [context.Process(target=add_words, args=(cache.path, part)) for part in words]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert build(cache) == {word for part in words for word in part}


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"foreign"])
def test_a_damaged_file_counts_as_none_and_is_mended(content: bytes, cache: TimingCache) -> None:
    cache.path.parent.mkdir(parents=True)
    cache.path.write_bytes(content)
    assert build(cache, b"a") == set()
    assert cache.path.read_bytes() == HEAD + b"a"


@pytest.mark.parametrize("refuses_by", ["none", "false"])
def test_a_file_of_another_version_or_gpu_is_not_used_however_tensorrt_says_so(
    refuses_by: str, cache: TimingCache
) -> None:
    cache.path.parent.mkdir(parents=True)
    cache.path.write_bytes(b"foreign")
    config = Config(refuses_by)
    cache.give(config)
    assert config.used is not None and not config.used.words


def test_a_file_that_the_user_named_is_added_to(tmp_path: Path, cache: TimingCache) -> None:
    named = TimingCache(tmp_path / "deep" / "mine.cache", own=False)
    build(named, b"a")
    assert build(named, b"b") == {b"a"}
    assert [path.name for path in named.path.parent.iterdir()] == ["mine.cache"]


def test_a_file_that_the_user_named_but_is_no_cache_is_left_as_it_is_and_told(
    tmp_path: Path, cache: TimingCache, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "thesis.txt"
    path.write_bytes(b"foreign")
    assert build(TimingCache(path, own=False), b"a") == set()
    assert path.read_bytes() == b"foreign"
    assert f"warning: {path} is no timing cache" in capsys.readouterr().err


def test_where_nothing_can_be_written_a_build_goes_on_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert build(TimingCache(tmp_path / "file" / "x.cache"), b"a") == set()
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_config_that_measured_nothing_leaves_no_file(cache: TimingCache) -> None:
    cache.take(Config())
    assert not cache.path.exists()


def test_each_version_and_each_kind_of_gpu_has_a_file_of_its_own() -> None:
    def name(version: str, gpu: str, capability: str) -> str:
        trt: Any = SimpleNamespace(__version__=version)
        return default_timing_cache(trt, Gpu(gpu, capability, False, 0, "12.6")).path.name

    assert name("10.3.0", "Orin (nvgpu)", "8.7") == "10.3.0-Orin-nvgpu-sm8.7.cache"
    others = [("10.16.2", "Orin (nvgpu)", "8.7"), ("10.3.0", "NVIDIA A2", "8.6"), ("10.3.0", "NVIDIA A2/x", "8.6")]
    names = {name(*other) for other in others} | {name("10.3.0", "Orin (nvgpu)", "8.7")}
    assert len(names) == 4 and not any(os.sep in found for found in names)
