"""What the label contract says: its rules, findings, class maps, and what backends do today."""
