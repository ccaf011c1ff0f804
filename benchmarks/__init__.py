"""Benchmarks of reading stores, compared with MLflow's client and raw drivers: `python -m benchmarks`."""
