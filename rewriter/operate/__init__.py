"""What the people do who run an artefact: let versions serve or not, review rules, forget a person."""
