// globalSetup of Vitest: starts one server for all tests, unless CONTACTD_URL names a server, as in `contactd exec`.
import { setUp, tearDown } from './setup.cjs'

export default async function setup({ provide }) {
  const server = await setUp(false)
  provide('contactd', { url: server.url, certDir: server.certDir })
  return () => tearDown(server)
}
