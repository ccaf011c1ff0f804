"""What a release has besides the package: its list of components."""
