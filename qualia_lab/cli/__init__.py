"""The command lines: parse, call, say."""
