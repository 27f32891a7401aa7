"""What a script prints of a function by itself: what it returns, and its gradients by its float inputs."""

from __future__ import annotations

from backendcheck.repro.program import Program
from backendcheck.text.literals import NotWritable
from backendcheck.vocabulary.observations import ObservationName, Quantity

HELPERS = {
    "returned": '''def returned(arguments):
    """What the function returns, by name."""
    found = function(**arguments) if isinstance(arguments, dict) else function(*arguments)
    return found if isinstance(found, dict) else {"result": found}''',
    "fed": '''def fed(nest):
    """Arrays as tensors; float64 as fit hands it over."""
    def tensor(array):
        array = np.asarray(array)
        return keras.ops.convert_to_tensor(array.astype("float32") if array.dtype == "float64" else array)

    return keras.tree.map_structure(tensor, nest)''',
    "slope": '''def slope(key):
    """The gradient of the sum of all float results, weighted from 0.5 to 1.5, by the input under a key."""
    def total(value):
        arguments = fed(inputs)
        arguments = {**arguments, key: value} if isinstance(inputs, dict) else [*arguments[:key], value, *arguments[key + 1 :]]
        found = [one for one in keras.tree.flatten(returned(arguments)) if "float" in str(one.dtype)]
        weights = [np.linspace(0.5, 1.5, int(np.prod(one.shape)), dtype="float32").reshape(one.shape) for one in found]
        return sum(keras.ops.sum(one * keras.ops.convert_to_tensor(weight)) for one, weight in zip(found, weights))

    return gradient(total, fed(inputs[key]))''',
}


def function_figure(program: Program, name: str) -> tuple[str, list[str]]:
    """The code of an observation of a FunctionCase, and the helpers that it uses.

    Raises:
        NotWritable: if it is a gradient by one array of several in an input.
    """
    if ObservationName.parse(name).quantity is Quantity.GRADIENT:
        path = ObservationName.parse(name).rest
        if path not in program.parameters:
            message = f"{name} is by one array of several in one input, which a script does not print"
            raise NotWritable(message)
        position = program.parameters.index(path)
        key = f"(list(inputs)[{position}] if isinstance(inputs, dict) else {position})"
        return f"slope({key})", ["slope", "gradient", "returned", "fed"]
    path = ObservationName.parse(name).part
    order = path.endswith(" (order)")
    code = f"at(returned(fed(inputs)), {path.removesuffix(' (order)')!r})"
    return (f"list({code})" if order else code), ["at", "returned", "fed"]


def all_figures(program: Program) -> list[tuple[str, str, list[str]]]:
    """Everything that such a case shows, where one of it raises: what the function returns, then each gradient."""
    found = [("returned", "returned(fed(inputs))", ["returned", "fed"])]
    for path in filter(None, program.parameters):
        code, helpers = function_figure(program, f"gradient/{path}")
        found.append((f"gradient/{path}", code, helpers))
    return found
