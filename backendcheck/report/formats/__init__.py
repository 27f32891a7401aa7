"""Results in, one text out for each format: JSON, JUnit, Markdown, SARIF, terminal, bug report."""
