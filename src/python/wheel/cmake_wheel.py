"""Builds a wheel of the module llfuse: a backend for pip without requirements of its own (PEP 517).

pip's `--config-settings build-dir=PATH` takes the module from a tree that CMake has built already.
"""

import base64
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
NAME = "fuselage_llfuse"


def version():
    return re.search(r"project\(fuselage VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text()).group(1)


def metadata():
    description = re.search(r'^description = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE).group(1)
    return (
        f"Metadata-Version: 2.1\nName: fuselage-llfuse\nVersion: {version()}\nSummary: {description}\n"
        "Requires-Python: >=3.11\n"
    )


def built_package(config_settings, scratch):
    """The folder of the built package."""
    given = (config_settings or {}).get("build-dir")
    if given:
        return pathlib.Path(given) / "python" / "llfuse"
    settings = {
        "CMAKE_BUILD_TYPE": "RelWithDebInfo",  # optimised as what is tested
        "CMAKE_CXX_FLAGS_RELWITHDEBINFO": "-O2 -DNDEBUG",
        "CMAKE_COMPILE_WARNING_AS_ERROR": "OFF",  # whatever another compiler has to say
        "FUSELAGE_PYTHON": sys.executable,
        "FUSELAGE_BUILD_TESTS": "OFF",
        "FUSELAGE_BUILD_PROGRAMS": "OFF",
        "FUSELAGE_INSTALL": "OFF",
    }
    definitions = [f"-D{name}={value}" for name, value in settings.items()]
    subprocess.run(["cmake", "-S", ROOT, "-B", scratch, *definitions], check=True)
    jobs = str(os.cpu_count() or 1)
    subprocess.run(["cmake", "--build", scratch, "--parallel", jobs, "--target", "fuselage-python"], check=True)
    return pathlib.Path(scratch) / "python" / "llfuse"


# Otherwise pip would build a wheel to learn this, and then another one.
def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    info = pathlib.Path(metadata_directory) / f"{NAME}-{version()}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(metadata())
    return info.name


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    interpreter = f"cp{sys.version_info.major}{sys.version_info.minor}"
    platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
    tag = f"{interpreter}-{interpreter}-{platform}"
    name = f"{NAME}-{version()}-{tag}.whl"
    info = f"{NAME}-{version()}.dist-info"
    with tempfile.TemporaryDirectory() as scratch:
        package = built_package(config_settings, scratch)
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        files = {f"llfuse/{path.name}": path.read_bytes() for path in package.iterdir() if path.is_file()}
        if f"llfuse/_core{suffix}" not in files:
            raise FileNotFoundError(f"{package} has no module for this interpreter (_core{suffix})")
    files[f"{info}/METADATA"] = metadata().encode()
    files[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: fuselage\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()
    record = "".join(f"{path},sha256={digest(content)},{len(content)}\n" for path, content in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / name, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)
    return name


def digest(content):
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def build_sdist(sdist_directory, config_settings=None):
    base = f"{NAME}-{version()}"
    with tarfile.open(pathlib.Path(sdist_directory) / f"{base}.tar.gz", "w:gz") as archive:
        for name in ("CMakeLists.txt", "LICENSE", "README.md", "cmake", "include", "src", "pyproject.toml"):
            archive.add(ROOT / name, f"{base}/{name}")
        with tempfile.NamedTemporaryFile("w", suffix="PKG-INFO") as info:
            info.write(metadata())
            info.flush()
            archive.add(info.name, f"{base}/PKG-INFO")
    return f"{base}.tar.gz"
