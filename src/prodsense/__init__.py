"""prodsense: product analytics that a team can trust."""
