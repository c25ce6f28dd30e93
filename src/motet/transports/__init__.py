"""How events come in and go out, one module per backend."""
