"""Secrets that a store holds, and what stands in their place: by the name of a param or tag, and by their form."""
