"""One module per room: what is measured there."""
