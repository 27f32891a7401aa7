"""Text in, text out: words, escaping, wrapping, styles, source literals."""
