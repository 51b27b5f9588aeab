"""The version of this package, and which versions of client and lab fit each other."""

import re

VERSION = "0.1.0"
CLIENT_HEADER = "X-Gpulab-Client"
"""What a client says of itself with each request."""
LAB_HEADER = "X-Gpulab-Version"
"""What a lab says of itself with each answer."""
WHEEL = f"gpulab-{VERSION}-py3-none-any.whl"
RELEASE = re.compile(r"(\d+)\.(\d+)\b")


def fits(one: str, other: str) -> bool:
    """Versions fit when their first two numbers are equal. What is no version fits everything."""
    releases = RELEASE.match(one), RELEASE.match(other)
    return None in releases or releases[0].groups() == releases[1].groups()  # type: ignore[union-attr] # both are there


def install_line(url: str, version: str) -> str:
    """The line that installs the client of the lab at `url`."""
    return f"pip install {url.rstrip('/')}/client/gpulab-{version}-py3-none-any.whl"
