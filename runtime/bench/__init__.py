"""Latency of a model on this machine: how fast it can go, and what a camera's frames would wait."""
