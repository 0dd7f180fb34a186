# Each target makes .venv if it is not there, and needs no other target before it.
.PHONY: demo test lint bench clean

demo: .venv/installed
	.venv/bin/fcn-edge demo -o demo

test: .venv/installed
	scripts/test

lint: .venv/installed
	scripts/lint

# Within half an hour. BENCH passes options on: make bench BENCH='--only limits'
bench: .venv/installed
	.venv/bin/python -m benchmarks.everything $(BENCH)

.venv/installed: pyproject.toml scripts/constraints.txt scripts/install
	scripts/install
	touch $@

clean:
	rm -rf .venv build dist demo *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
