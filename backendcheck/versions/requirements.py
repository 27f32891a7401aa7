"""``keras==3.14.1``: a version of a package as people write it, and the legs that have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from backendcheck.errors import UsageError
from backendcheck.vocabulary.backends import Backend
from backendcheck.vocabulary.leg_names import IMPLEMENTED_PACKAGES, LegName, PackageVersion, parse_leg


def parse_requirement(text: str, option: str) -> PackageVersion:
    """The package and the version of ``keras==3.14.1``.

    Raises:
        UsageError: if it has another form, or is about a package that legs cannot have in other versions.
    """
    if text.strip().lower() == "keras-git":
        return PackageVersion("keras", "git")
    example = "keras==3.14.1"
    try:
        requirement = Requirement(text)
        (specifier,) = requirement.specifier
        if specifier.operator != "==" or requirement.extras or requirement.marker or requirement.url:
            raise ValueError
        version = Version(specifier.version)
    except (InvalidRequirement, InvalidVersion, ValueError):
        message = f"{option} {text!r}: not a package in one version; expected PACKAGE==VERSION, such as {example}."
        raise UsageError(message) from None
    check_package(name := requirement.name.lower(), option)
    return PackageVersion(name, str(version))


def parse_versions(before: str, after: str | None) -> tuple[PackageVersion, PackageVersion]:
    """The two versions of an upgrade. Without a later one, that is the installed version.

    Raises:
        UsageError: if they are not two versions of one package.
    """
    first = parse_requirement(before, "--from")
    second = parse_requirement(after or f"{first.package}=={_installed(first.package)}", "--to")
    both = f"--from {before} and --to {second.package}=={second.version}"
    if first.package != second.package:
        message = f"{both}: are two packages; expected two versions of one."
        raise UsageError(message)
    if first.version == second.version:
        message = f"{both}: are one version; expected two. Choose another."
        raise UsageError(message)
    return first, second


def check_package(package: str, option: str) -> None:
    """Refuse a package that legs cannot have in other versions yet.

    Raises:
        UsageError: if it is one.
    """
    if package not in IMPLEMENTED_PACKAGES:
        names = " or ".join(IMPLEMENTED_PACKAGES)
        message = f"{option} {package}: other versions of {package} are not implemented yet; expected {names}."
        raise UsageError(message)


def _installed(package: str) -> str:
    """The version that is installed, without what tells builds apart: 2.13.0 for 2.13.0+cpu."""
    return (Backend(package).version() or "").partition("+")[0]


def legs_that_use(selected: Sequence[LegName], package: str, *, are_named: bool) -> tuple[LegName, ...]:
    """The legs whose backend imports the package. Legs that were named all have to.

    Raises:
        UsageError: if no leg uses it.
    """
    probe = PackageVersion(package, "0")
    using = tuple(leg for leg in selected if are_named or probe.is_used_by(leg.backend))
    if not using:
        message = f"{package}: none of {', '.join(map(str, selected))} uses it; expected a leg of {package}. Pass --backends."
        raise UsageError(message)
    return using


def leg_with(leg: LegName, package: PackageVersion) -> LegName:
    """The leg with that version of a package. A version that is installed has no place in the name.

    Raises:
        UsageError: if the leg names a version of the package itself, or the version has a form that no leg can have.
    """
    if any(named.package == package.package for named in leg.packages):
        message = f"leg {leg}: names a version of {package.package} itself. Leave it out; the versions are given by options."
        raise UsageError(message)
    installed = _installed(package.package)
    if installed and not package.is_source and Version(installed) == Version(package.version):
        return leg
    return parse_leg(replace(leg, packages=(*leg.packages, package)).value)
