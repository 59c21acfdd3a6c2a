// contactd in a container.
import { GenericContainer, Wait } from 'testcontainers'

/** Every token is a user with a separate mailbox. No data is kept. */
export class ContactdContainer extends GenericContainer {
  constructor(image = process.env.CONTACTD_IMAGE ?? 'contactd') {
    super(image)
    this.withExposedPorts(8080)
      .withEnvironment({ CONTACTD_DEV: 'true', CONTACTD_DEV_ALLOW_REMOTE: 'true', CONTACTD_DATABASE: ':memory:' })
      // The image has no shell, so a check of the port inside it is not possible.
      .withWaitStrategy(Wait.forHttp('/readyz', 8080))
  }
}

/** The base URL of a started container. It has the IPv4 address, because `localhost` may resolve to ::1 first, which is not mapped. */
export const baseUrl = (started) => `http://${started.getHost().replace('localhost', '127.0.0.1')}:${started.getMappedPort(8080)}/v1.0`
