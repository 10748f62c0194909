"""Functions for files in general."""

import os


def setxattr(path, name, value, namespace="user"):
    """Set an extended attribute of a file. Its name is the whole one ("user.x"); `namespace` matters elsewhere only."""
    if not isinstance(value, bytes):
        raise TypeError("*value* argument must be of type bytes")
    os.setxattr(path, _checked(path, name, namespace), value)


def getxattr(path, name, size_guess=128, namespace="user"):
    """Return an extended attribute of a file as bytes."""
    return os.getxattr(path, _checked(path, name, namespace))


def listdir(path):
    """Return the names in a directory, without "." and ".."."""
    if not isinstance(path, str):
        raise TypeError("*path* argument must be of type str")
    return os.listdir(path)


def get_sup_groups(pid):
    """Return the supplementary groups of a process as a set."""
    with open("/proc/%d/status" % pid) as status:
        for line in status:
            if line.startswith("Groups:"):
                return {int(group) for group in line.split()[1:]}
    raise RuntimeError("the kernel does not tell the groups")


def _checked(path, name, namespace):
    if not isinstance(path, str):
        raise TypeError("*path* argument must be of type str")
    if not isinstance(name, str):
        raise TypeError("*name* argument must be of type str")
    if namespace not in ("user", "system"):
        raise ValueError(f'*namespace* parameter must be "system" or "user", not {namespace}')
    return name
