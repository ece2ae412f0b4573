"""Scripts run from a shell, one job each."""
