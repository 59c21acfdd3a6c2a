"""contactd in a container, for the length of a `with`."""

import os
import time
import urllib.error
import urllib.request

from testcontainers.core.container import DockerContainer


class ContactdContainer(DockerContainer):
    """Every token is a user with a mailbox of their own; nothing is kept."""

    def __init__(self, image=None, **options):
        super().__init__(image or os.environ.get("CONTACTD_IMAGE", "contactd"), **options)
        self.with_exposed_ports(8080)
        self.with_env("CONTACTD_DEV", "true").with_env("CONTACTD_DEV_ALLOW_REMOTE", "true")
        self.with_env("CONTACTD_DATABASE", ":memory:")

    @property
    def url(self):
        # By address: `localhost` may be tried as ::1 first, which is not mapped.
        host = self.get_container_host_ip().replace("localhost", "127.0.0.1")
        return f"http://{host}:{self.get_exposed_port(8080)}"

    @property
    def base_url(self):
        return f"{self.url}/v1.0"

    def start(self):
        super().start()
        # The image has no shell, so a check of the port inside it is not possible.
        end = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/readyz", timeout=1).close()
                return self
            except (urllib.error.URLError, OSError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
