# Each target makes .venv if it is not there, and needs no other target before it.
.PHONY: demo test lint clean

demo: .venv/installed
	.venv/bin/fcn-edge demo -o demo

test: .venv/installed
	scripts/test

lint: .venv/installed
	scripts/lint

.venv/installed: pyproject.toml scripts/constraints.txt scripts/install
	scripts/install
	touch $@

clean:
	rm -rf .venv build dist demo *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
