"""The jars of Apache Kafka: fetched once with Maven, kept in the user's cache."""

import os
import shutil
import subprocess
from pathlib import Path

from scripts.services.service import ServiceError

VERSION = "4.1.1"
_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>motet</groupId>
  <artifactId>kafka-for-tests</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{VERSION}</version>
    </dependency>
    <dependency> <!-- where its log goes: standard error -->
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"""


def java() -> str | None:
    """The Java to run it with; None: there is none."""
    home = os.environ.get("JAVA_HOME")
    if home and (binary := Path(home) / "bin" / "java").exists():
        return str(binary)
    return shutil.which("java")


def folder() -> Path:
    """Where the jars are, or will be."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "motet" / f"kafka-{VERSION}"


def here() -> bool:
    """Whether they need not be fetched."""
    return folder().is_dir()


def missing() -> list[str]:
    """What has to be installed to run them, and to fetch them if they are not here."""
    wanted = [] if java() else ["default-jre-headless"]
    if not here() and shutil.which("mvn") is None:
        wanted.append("maven")
    return wanted


def fetch() -> None:
    """Fetch them, unless they are here: about 45 MB, some 20 seconds.

    Raises:
        ServiceError: Maven does not get them; with what it printed.
    """
    if here():
        return
    made = folder().with_name(f"{folder().name}.{os.getpid()}")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    (made / "pom.xml").write_text(_POM)
    command = ("mvn", "-B", "-q", "-f", f"{made}/pom.xml", "dependency:copy-dependencies")
    done = subprocess.run(
        [*command, "-DincludeScope=runtime", f"-DoutputDirectory={made}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        shutil.rmtree(made)
        raise ServiceError(f"kafka: Maven did not fetch the jars:\n{done.stdout[-2000:]}")
    if here():  # somebody else was quicker
        shutil.rmtree(made)
    else:
        made.rename(folder())
