//! Workspace style as a test; see `tests/`.
