"""The lifecycle of a rule: stages, transitions, and the sequential tests that decide on them."""
