"""Where progress, state, streams, outbox and dead letters are kept, one module per backend."""
