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


def missing() -> str | None:
    """What has to be there to fetch them; None: nothing is missing."""
    if shutil.which("mvn") is None:
        return "Maven (apt-get install maven), which fetches the jars"
    return f"{folder()}, which `make services` fetches"


def fetch() -> None:
    """Fetch them: about 45 MB, some 20 seconds the first time.

    Raises:
        ServiceError: Maven is missing or does not get them; with what it printed.
    """
    if shutil.which("mvn") is None:
        raise ServiceError(f"kafka: {missing()} is missing")
    made = folder().with_name(f"{folder().name}.{os.getpid()}")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    pom = made / "pom.xml"
    pom.write_text(_POM)
    done = subprocess.run(
        ["mvn", "-B", "-q", "-f", str(pom), "dependency:copy-dependencies",
         "-DincludeScope=runtime", f"-DoutputDirectory={made}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        shutil.rmtree(made)
        raise ServiceError(f"kafka: Maven did not fetch the jars:\n{done.stdout[-2000:]}")
    if here():  # somebody else was quicker
        shutil.rmtree(made)
    else:
        made.rename(folder())
