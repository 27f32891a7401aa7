"""The label contract: rules, findings, class maps, and what backends do with labels that break a rule."""
