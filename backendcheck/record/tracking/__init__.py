"""What a case depends on, seen while it runs: files, folders, environment variables, local modules, and what cannot be seen."""
