"""Ways in and out for hosts: their logs become logs of the contract, and what was learned becomes files that they read."""
