// globalSetup of Vitest: one server for all tests; none where CONTACTD_URL names one, as `contactd exec` does.
import { setUp, tearDown } from './setup.cjs'

export default async function setup({ provide }) {
  const server = await setUp(false)
  provide('contactd', { url: server.url, certDir: server.certDir })
  return () => tearDown(server)
}
