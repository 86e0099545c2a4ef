"""What pyproject.toml cannot say: the wheel carries the top folder `recipes/` as data of the package."""

from setuptools import find_namespace_packages, setup

RECIPES = {"selfreward.recipes": "recipes", "selfreward.recipes.grids": "recipes/grids"}

setup(
    packages=[*find_namespace_packages(include=["selfreward*"]), *RECIPES],
    package_dir=RECIPES,
    package_data={package: ["*.yaml"] for package in RECIPES},
)
