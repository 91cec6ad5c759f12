"""From counts to rules: the absorbing chain, votes of users, launch."""
