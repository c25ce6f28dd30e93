"""Connections that a transport and a store share, one module per backend."""
