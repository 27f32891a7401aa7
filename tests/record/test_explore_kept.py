"""Programs that situations share. The models here are stand-ins, which need no backend."""

import numpy as np
import pytest

from backendcheck.record.explore_kept import Programs

_SOURCE = """
class Variable:
    def __init__(self):
        self.value = 0.0

    def __array__(self, *_, **__):
        import numpy
        return numpy.array(self.value)

    def assign(self, value):
        self.value = float(value)


class Optimizer:
    built = False

    @classmethod
    def from_config(cls, config):
        return cls()

    def get_config(self):
        return {}

    def build(self, variables):
        self.built, self.variables = True, [Variable()]


class Model:
    n_built = 0
    trainable_variables = ()

    def __init__(self):
        Model.n_built += 1
        self.optimizer, self.metric = Optimizer(), 0

    def reset_metrics(self):
        self.metric = 0


def build():
    return Model()


def compute():
    model = build()
    if not model.optimizer.built:
        model.optimizer.build(())
    seen = (Model.n_built, model.optimizer.variables[0].value, model.metric, float(x.sum()))
    model.optimizer.variables[0].value = model.metric = 7.0
    return seen
"""


def _request(target="keras.losses.Huber", path="fit"):
    return {"target": target, "path": path, "source": _SOURCE}


def _computed(programs, x, **changes):
    arrays = {"x": np.asarray(x)}
    return programs.functions(_request(**changes), arrays)["compute"]()


def test_a_shared_model_has_other_numbers_and_no_state_of_the_situation_before():
    programs = Programs()
    assert _computed(programs, [1.0, 2.0]) == (1, 0.0, 0, 3.0)
    assert _computed(programs, [5.0, 6.0]) == (1, 0.0, 0, 11.0)
    assert programs.n_new == 1


@pytest.mark.parametrize("x", [[1.0], [1, 2]])
def test_another_shape_or_type_has_a_program_of_its_own(x):
    programs = Programs()
    _computed(programs, [1.0, 2.0])
    _computed(programs, x)
    assert programs.n_new == 2


@pytest.mark.parametrize("changes", [{"target": "own:Loss"}, {"path": "save-load"}])
def test_a_loss_of_ones_own_and_a_saved_model_share_nothing(changes):
    programs = Programs()
    _computed(programs, [1.0, 2.0], **changes)
    _computed(programs, [1.0, 2.0], **changes)
    assert programs.n_new == 2


def test_a_program_that_failed_is_forgotten_and_so_are_those_of_long_ago():
    programs, arrays = Programs(), {"x": np.zeros(1)}
    programs.functions(_request(), arrays)
    assert programs.has(_request(), arrays)
    programs.forget(_request(), arrays)
    assert not programs.has(_request(), arrays)
    programs.functions(_request(), arrays)
    for n in range(2, 11):
        programs.functions(_request(), {"x": np.zeros(n)})
    assert not programs.has(_request(), arrays)
    assert programs.has(_request(), {"x": np.zeros(10)})
