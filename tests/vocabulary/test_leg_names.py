"""Names of legs: taken apart and put together again, their order, their folders, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendcheck.errors import UsageError
from backendcheck.vocabulary.backends import BUILT_IN, Backend
from backendcheck.vocabulary.leg_names import (
    DEVICES,
    MODES,
    LegName,
    PackageVersion,
    backend_in,
    in_shell,
    leg_order,
    parse_leg,
    parse_legs,
    parts_of,
    read_leg_name,
)

PACKAGES = st.builds(
    PackageVersion,
    st.sampled_from(["keras", "jax", "scikit-learn", "ml_dtypes"]),
    st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){0,2}(rc1|\+cpu)?", fullmatch=True) | st.just("git"),
)
NAMES = st.builds(
    LegName,
    backend=st.sampled_from(BUILT_IN),
    device=st.sampled_from(["", *DEVICES, "gpu1"]),
    mode=st.sampled_from(["", *MODES]),
    packages=st.lists(PACKAGES, max_size=2, unique_by=lambda package: package.package).map(tuple),
)


@given(NAMES)
def test_a_name_is_read_as_it_was_written(leg: LegName) -> None:
    assert read_leg_name(str(leg)) == parts_of(str(leg)) == leg
    assert "/" not in leg.folder
    assert leg.folder.replace("~", "/") == leg.value
    assert backend_in(leg.value) == leg.backend.value
    assert leg_order(leg.value) >= leg_order(leg.backend.value)


def test_the_parts_of_a_name() -> None:
    leg = read_leg_name(" JAX@gpu1+jit/keras-3.14.1/jax-0.9.2 ")
    packages = (PackageVersion("keras", "3.14.1"), PackageVersion("jax", "0.9.2"))
    assert leg == LegName(backend=Backend("jax"), device="gpu1", mode="jit", packages=packages)
    assert (leg.value, leg.folder) == ("jax@gpu1+jit/keras-3.14.1/jax-0.9.2", "jax@gpu1+jit~keras-3.14.1~jax-0.9.2")
    assert (leg.keras_version(), leg.backend_version()) == ("3.14.1", "0.9.2")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("theano+eager", "backend 'theano': not a backend"),
        ("jax+eagre", r"'eagre' is not a mode; expected one of eager, jit, compile, replicas, tf32\. Did you mean eager"),
        ("jax@disk", "'disk' is not a device; expected one of cpu, gpu, mps, tpu"),
        ("jax+eager+jit", "invalid form; expected at most one device"),
        ("jax+eager@cpu", "invalid form; expected at most one device behind @, and then at most one mode"),
        ("jax+", "'' is not a mode"),
        ("jax/keras", "'keras' is not a package with its version; expected one such as keras-3.14.1"),
        ("jax/keras-3.14.1/keras-3.15.0", "names a package twice"),
    ],
)
def test_a_name_of_another_form_is_refused_with_the_form(name: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse_leg(name)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("torch+replicas", "torch has no replicas in one process; expected tensorflow or jax"),
        ("jax+compile", r"jax has no torch\.compile; expected torch"),
        ("numpy+tf32", "numpy has no setting for TF32; expected tensorflow, jax or torch"),
        ("jax@cpu1", "only gpu takes a number; expected one of cpu, gpu, mps, tpu, or such as gpu1"),
        ("jax/scipy-1.1", "the package /scipy is not implemented yet; expected one of keras, jax"),
        ("torch/jax-0.9.2", "torch does not use jax; expected a leg of jax"),
        ("jax/jax-git", "only keras may have the version git; expected a release such as jax-0.9.2"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(name: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse_leg(name)


@pytest.mark.parametrize("name", ["torch+compile", "jax@gpu", "tensorflow@gpu1+tf32", "torch@mps", "jax@tpu", "numpy@cpu"])
def test_devices_and_modes_that_are_there(name: str) -> None:
    assert parse_leg(name).value == name


@pytest.mark.parametrize(
    ("leg", "line"),
    [
        ("jax", "KERAS_BACKEND=jax"),
        ("tensorflow+eager", "KERAS_BACKEND=tensorflow MODE=eager"),
        ("jax@cpu", "KERAS_BACKEND=jax CUDA_VISIBLE_DEVICES=-1 JAX_PLATFORMS=cpu"),
        ("torch@gpu1+compile", "KERAS_BACKEND=torch MODE=compile CUDA_VISIBLE_DEVICES=1"),
        ("torch@gpu", "KERAS_BACKEND=torch"),
        ("jax/keras-3.14.1", "KERAS_BACKEND=jax  # with keras==3.14.1"),
        ("of_another_project", "KERAS_BACKEND=of_another_project"),
    ],
)
def test_what_a_shell_sets_to_run_a_script_in_a_leg(leg: str, line: str) -> None:
    assert in_shell(leg) == line


def test_two_legs_of_one_backend_are_two_legs() -> None:
    assert [leg.value for leg in parse_legs("jax,jax+eager,jax/keras-3.14.1")] == ["jax", "jax+eager", "jax/keras-3.14.1"]
    with pytest.raises(UsageError, match="names one twice"):
        parse_legs("jax+jit, JAX+jit")


def test_legs_come_in_the_order_of_their_backends() -> None:
    names = ["numpy", "jax/keras-3.14.1", "torch", "jax#2", "jax", "jax+eager", "tensorflow"]
    assert sorted(names, key=leg_order) == ["tensorflow", "jax", "jax#2", "jax+eager", "jax/keras-3.14.1", "torch", "numpy"]
