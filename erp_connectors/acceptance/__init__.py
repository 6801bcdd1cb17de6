"""Named days, played against a real dropzone, with a verdict that a new tenant can sign."""
