"""Benchmarks that ship with Motet: what `motet bench` runs."""
