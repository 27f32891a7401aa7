"""A contract for labels: what Keras does not check, checked before training, without a backend.

    check_labels(y, loss="sparse_categorical_crossentropy", head=(3, "softmax")) -> list[LabelFinding]

`rules` has the codes; each group of them has a module: `values` and `sentinels` (L1), `shapes` (L2), `rows` (L3),
`head_and_loss` (L4), `names` and `class_map` (L5), `splits` (L6), `balance` (L7). `gather` sorts what was handed over, `takes`
says which labels a loss takes, `today` what each backend does with the rest.
"""

from backendcheck.labels.check import check_labels
from backendcheck.labels.contract.class_map import ClassMap
from backendcheck.labels.contract.finding import LabelFinding, Severity
from backendcheck.labels.contract.rules import RULES, Rule

__all__ = ["RULES", "ClassMap", "LabelFinding", "Rule", "Severity", "check_labels"]
