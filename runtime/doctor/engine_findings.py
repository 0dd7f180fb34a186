"""Findings about engines: which could run a model here, and what keeps the others from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from fcn_edge.errors import printable
from runtime.doctor.examination import Examination
from runtime.doctor.finding import INFO, OK, Finding
from runtime.doctor.machine_findings import gpu_finding
from runtime.doctor.package_findings import PACKAGES, package_finding


def engine_findings(seen: Examination) -> list[Finding]:
    """One for each engine, by its name in `--engine`; only those with the verdict ok can be used.

    The others' cures are for who asks for that engine; a machine without it is not ill.
    """
    return [replace(finding(seen), topic=engine) for engine, finding in ENGINES.items()]


def _tensorrt(seen: Examination) -> Finding:
    hindrance = _without_gpu(seen) or _without(seen, "tensorrt") or _without(seen, "pycuda")
    return hindrance or _usable(seen, "TensorRT", "tensorrt", seen.gpu.told["gpu"]["name"])


def _onnxruntime(seen: Examination) -> Finding:
    return _without(seen, "onnxruntime") or _usable(seen, "onnxruntime", "onnxruntime", "the CPU")


def _onnxruntime_cuda(seen: Examination) -> Finding:
    hindrance = _without_gpu(seen) or _without(seen, "onnxruntime")
    if hindrance:
        return hindrance
    if "CUDAExecutionProvider" not in seen.packages["onnxruntime"].told["providers"]:
        # For a Jetson there is no such package on PyPI.
        cure = "" if seen.jetson else "pip uninstall -y onnxruntime && pip install onnxruntime-gpu"
        return _unusable("onnxruntime without CUDA", cure)
    return _usable(seen, "onnxruntime", "onnxruntime", seen.gpu.told["gpu"]["name"])


def _openvino(seen: Examination) -> Finding:
    return _openvino_on(seen, "CPU")


def _openvino_gpu(seen: Examination) -> Finding:
    return _openvino_on(seen, "GPU")


def _openvino_on(seen: Examination, kind: str) -> Finding:
    hindrance = _without(seen, "openvino")
    if hindrance:
        return hindrance
    devices = seen.packages["openvino"].told["devices"]
    device = next((device for device in devices if device.startswith(kind)), None)  # GPU, or GPU.0 of several
    return (
        _usable(seen, "OpenVINO", "openvino", devices[device]) if device else _unusable(f"no {kind} for OpenVINO", "")
    )


def _without_gpu(seen: Examination) -> Finding | None:
    finding = gpu_finding(seen)
    return None if finding.verdict == OK else _unusable(finding.found, finding.cure)


def _without(seen: Examination, package: str) -> Finding | None:
    finding = package_finding(seen, package)
    if finding is None:
        return _unusable(f"no {package}", PACKAGES[package].install)
    return None if finding.verdict == OK else _unusable(f"{finding.topic} {finding.found}", finding.cure)


def _usable(seen: Examination, library: str, package: str, device: str) -> Finding:
    return Finding("", f"{library} {seen.packages[package].told['version']} on {printable(device)}", OK)


def _unusable(reason: str, cure: str) -> Finding:
    return Finding("", reason, INFO, cure)


ENGINES: Mapping[str, Callable[[Examination], Finding]] = {
    "tensorrt": _tensorrt,
    "onnxruntime": _onnxruntime,
    "onnxruntime-cuda": _onnxruntime_cuda,
    "openvino": _openvino,
    "openvino-gpu": _openvino_gpu,
}
