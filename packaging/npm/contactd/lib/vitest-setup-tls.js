// globalSetup of Vitest: as vitest-setup.js, over TLS, which the workers trust.
import { setUp, tearDown } from './setup.cjs'

export default async function setup({ provide }) {
  const server = await setUp(true)
  provide('contactd', { url: server.url, certDir: server.certDir })
  return () => tearDown(server)
}
