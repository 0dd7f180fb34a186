"""Findings about the machine: processor, Jetson, GPU, cameras, display, places to write to."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from typing import Any

from fcn_edge import __version__
from fcn_edge.errors import printable
from runtime.doctor.devices import Camera
from runtime.doctor.examination import Examination
from runtime.doctor.finding import BAD, OK, Finding
from runtime.jetson import OLDEST_L4T, Jetson, PowerMode

GB = 1e9
LEAST_FREE_BYTES = 1e9  # an engine of the full FCN-8s takes half of it while it is written

# Without one of these an x86 adds products of int8 in 16 bits, which may overflow.
INT8_FEATURES = {"AVX-VNNI", "AVX512-VNNI", "AMX-INT8"}


def machine_findings(seen: Examination) -> list[Finding]:
    return [
        Finding("fcn-edge", f"{__version__}, Python {platform.python_version()}", OK),
        *_processor(seen.machine),
        *(_jetson(seen.jetson) if seen.jetson else ()),
        gpu_finding(seen),
        *_gpu_state(seen.gpu.told.get("state", {}), seen.jetson),
        *map(_camera, seen.cameras),
        *([] if seen.cameras else [Finding("cameras", "none")]),
        _display(seen.display),
        *_places(seen),
    ]


def _processor(machine: Mapping[str, Any]) -> Iterator[Finding]:
    features = machine["features"]
    words = ", ".join(features) or "no feature that speeds up INT8"
    cores = f"{machine['cores']} core{'s' * (machine['cores'] != 1)}"
    told = f"{printable(machine['processor'])}, {cores}: {words}"
    if machine["system"].endswith("x86_64") and not INT8_FEATURES & set(features):
        yield Finding("processor", f"{told}; without VNNI or AMX the sums of INT8 may saturate (unverified)")
    else:
        yield Finding("processor", told, OK)
    memory = f"{machine['memory_bytes'] / GB:.1f} GB" if machine["memory_bytes"] else "an unknown amount"
    inside = ", in a container" if machine["container"] else ""
    yield Finding("system", f"{machine['system']}, {memory} of memory{inside}")
    if machine["board"]:
        yield Finding("board", printable(machine["board"]))


def _jetson(jetson: Jetson) -> Iterator[Finding]:
    release = f"L4T {jetson.l4t}" if jetson.l4t else "L4T of an unknown release"
    if jetson.jetpack is None:
        yield Finding("JetPack", f"{release}, which this version of fcn-edge does not know")
        return
    jetpack, here = jetson.jetpack, ".".join(platform.python_version_tuple()[:2])
    installed = jetson.packages.get("nvidia-jetpack", "").partition("+")[0]
    parts = {"Python": jetpack.python, "CUDA": jetpack.cuda, "TensorRT": jetpack.tensorrt}
    brings = ", ".join(f"{name} {version}" for name, version in parts.items() if version)
    told = f"{installed or jetpack.version} ({release}) with {brings}"
    if int((jetson.l4t or "0").partition(".")[0]) < OLDEST_L4T:
        yield Finding("JetPack", f"{told}; fcn-edge wants JetPack 6 or newer", BAD, "sdkmanager  # flash JetPack 6.2")
    elif jetpack.python != here:
        cure = f"/usr/bin/python{jetpack.python} -m venv --system-site-packages .venv"
        yield Finding("JetPack", f"{told}, whose TensorRT is not for the Python {here} that runs here", BAD, cure)
    else:
        yield Finding("JetPack", told, OK)


def gpu_finding(seen: Examination) -> Finding:
    gpu = seen.gpu.told.get("gpu")
    if gpu:
        served = f"driver {driver}, " if (driver := seen.gpu.told["state"].get("driver")) else ""
        memory = "shares the machine's memory" if gpu["integrated"] else f"{gpu['memory_bytes'] / GB:.0f} GB"
        capability = f"compute capability {gpu['compute_capability']}"
        return Finding("GPU", f"{gpu['name']}, {capability}, {memory}, {served}CUDA {gpu['driver_cuda']}", OK)
    reason = seen.gpu.failure or seen.gpu.told["reason"]
    if not (seen.has_nvidia_card or seen.jetson or seen.gpu.failure):
        return Finding("GPU", "no NVIDIA GPU")
    return Finding("GPU", f"an NVIDIA GPU that cannot be used: {reason}", BAD, _gpu_cure(seen, reason))


def _gpu_cure(seen: Examination, reason: str) -> str:
    if seen.environment.get("CUDA_VISIBLE_DEVICES") is not None:
        return "unset CUDA_VISIBLE_DEVICES"
    if seen.machine["container"]:
        return f"docker run {'--runtime nvidia' if seen.jetson else '--gpus all'} ...  # start the container so"
    if "no NVIDIA driver" in reason and not seen.jetson:
        return "sudo ubuntu-drivers install && sudo reboot"
    return "sudo reboot  # driver and kernel may be of different versions"


def _gpu_state(state: Mapping[str, Any], jetson: Jetson | None) -> Iterator[Finding]:
    clock, most = state.get("gpu_clock_mhz"), state.get("gpu_clock_max_mhz")
    parts = [
        f"{clock} MHz{f' of {most}' if most else ''}" if clock is not None else "",
        f"{state['temperature_c']:.0f} C" if "temperature_c" in state else "",
        f"{state['power_w']:.0f} W" if "power_w" in state else "",
        f"held back by {', '.join(holds)}" if (holds := [*state.get("throttle", [])]) not in ([], ["idle"]) else "",
        "cut into instances (MIG)" if state.get("mig_mode") else "",
    ]
    if any(parts):
        yield Finding("GPU state", ", ".join(part for part in parts if part))
    if jetson and jetson.power_mode:
        yield Finding("power mode", _power_mode(jetson.power_mode))


def _power_mode(mode: PowerMode) -> str:
    told = mode.name or f"number {mode.number}"
    fastest = next((number for number, name in mode.names.items() if name.startswith("MAXN")), None)
    if fastest is None or told.startswith("MAXN"):
        return told
    return f"{told}; for most speed: sudo nvpmodel -m {fastest} && sudo jetson_clocks"


def _camera(camera: Camera) -> Finding:
    if camera.may_open:
        return Finding(camera.path, camera.name, OK)
    cure = "sudo usermod -aG video $USER  # then log in again"
    return Finding(camera.path, f"{camera.name}, which this user may not open", BAD, cure)


def _display(display: str | None) -> Finding:
    return Finding("display", display or "none, so no display:// window")


def _places(seen: Examination) -> Iterator[Finding]:
    if seen.places.failure:
        yield Finding("disks", f"unknown: {seen.places.failure}", BAD)
    for name, place in seen.places.told.items():
        yield _place(name, place)


def _place(name: str, place: Mapping[str, Any]) -> Finding:
    if "failure" in place:
        return Finding(name, f"nowhere to write: {place['failure']}", BAD, _place_cure(name))
    told = f"{printable(place['folder'])}, {place['free_bytes'] / GB:.1f} GB free"
    if not place["writable"]:
        return Finding(name, f"{told}, but this user may not write there", BAD, _place_cure(name))
    if place["free_bytes"] < LEAST_FREE_BYTES:
        return Finding(name, f"{told}, which is little", BAD, _place_cure(name))
    return Finding(name, told, OK)


def _place_cure(name: str) -> str:
    cures = {"cache": "export XDG_CACHE_HOME=FOLDER", "temporary": "export TMPDIR=FOLDER"}
    return f"{cures.get(name, 'cd FOLDER')}  # one with room where you may write"
