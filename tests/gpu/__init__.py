"""Tests of everything that needs a GPU, on machines without one.

What is real: NVIDIA's Python bindings of TensorRT 8.6.1 to 11.4 (`bindings`), and pycuda, compiled. What stands in: the
driver, whose GPU memory is host memory (`host_cuda.c`), and TensorRT's library, whose engine is the ONNX file run by
onnxruntime (`simulated_tensorrt`, strict by `doubles` and `signatures`).

So they prove calls and flow: names, arguments, types, order, messages, exit codes. They prove nothing of what a GPU
computes, of how fast it is, or of what TensorRT makes of a file.

Everything is fetched or compiled once, into a cache of its own (`assets`): about 30 MB and a minute. That wants a
network once, a C and a C++ compiler. Where it cannot be had the tests are skipped, and say why.
"""
