"""Memory of forked processes. Nothing is imported here: what is measured starts from here."""
