"""The exported HTML page: a single file that makes no requests and runs only its own script."""
