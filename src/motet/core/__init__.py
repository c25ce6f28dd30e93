"""Values, ports and codecs: imports the standard library and msgspec, nothing of ours."""
