"""Put the configurations into the package, as distill/configs. The rest of the packaging is in pyproject.toml."""

from setuptools import find_namespace_packages, setup

code = find_namespace_packages(include=["augment*", "distill*"])
configs = [f"distill.configs.{kind}" for kind in ("accelerate", "eval", "train")]
setup(packages=[*code, *configs], package_dir={"distill.configs": "configs"})
