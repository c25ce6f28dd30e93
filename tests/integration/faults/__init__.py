"""One application under faults, on every broker."""
