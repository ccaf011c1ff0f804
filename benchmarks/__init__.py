"""How fast stores are read, against MLflow's client and the raw driver: `make bench`, or `python -m benchmarks`."""
