"""The console: one page about an artefact, to look at rules and decide about them."""
