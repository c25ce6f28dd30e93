"""The article's order pipeline, section 13, on real purchases."""
