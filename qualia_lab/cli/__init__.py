"""The commands: parse the arguments, call the package, print the result."""
