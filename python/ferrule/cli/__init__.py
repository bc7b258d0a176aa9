"""The `ferrule` console program. Its parts are imported when a command needs them."""
