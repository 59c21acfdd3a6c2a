"""contactd in a container, which a `with` starts and stops."""

import os
import time
import urllib.error
import urllib.request

from testcontainers.core.container import DockerContainer


class ContactdContainer(DockerContainer):
    """Every token is a user with a separate mailbox. No data is kept."""

    def __init__(self, image=None, **options):
        super().__init__(image or os.environ.get("CONTACTD_IMAGE", "contactd"), **options)
        self.with_exposed_ports(8080)
        self.with_env("CONTACTD_DEV", "true").with_env("CONTACTD_DEV_ALLOW_REMOTE", "true")
        self.with_env("CONTACTD_DATABASE", ":memory:")

    @property
    def url(self):
        # The IPv4 address, because `localhost` may resolve to ::1 first, which is not mapped.
        host = self.get_container_host_ip().replace("localhost", "127.0.0.1")
        return f"http://{host}:{self.get_exposed_port(8080)}"

    @property
    def base_url(self):
        return f"{self.url}/v1.0"

    def start(self):
        super().start()
        # The image has no shell, so a check of the port inside it is not possible.
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/readyz", timeout=1).close()
                return self
            except (urllib.error.URLError, OSError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
