"""Labels, a loss and a head in, findings of the label contract out, before training and without a backend.

    check_labels(y, loss="sparse_categorical_crossentropy", head=(3, "softmax")) -> LabelFindings

`contract` has the rules, findings and class maps, and what backends do with labels that break a rule. `inputs` turns labels into
numbers with their task. `checks` has a module for each group of rules: `l1_values`, `l2_shapes`, and so on.
"""

from backendcheck.labels.check import check_labels
from backendcheck.labels.contract.class_map import ClassMap
from backendcheck.labels.contract.finding import LabelFinding, Severity
from backendcheck.labels.contract.rules import RULES, Rule

__all__ = ["RULES", "ClassMap", "LabelFinding", "Rule", "Severity", "check_labels"]
