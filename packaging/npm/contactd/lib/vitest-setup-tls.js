// globalSetup of Vitest: as vitest-setup.js, over TLS. The workers trust the certificate.
import { setUp, tearDown } from './setup.cjs'

export default async function setup({ provide }) {
  const server = await setUp(true)
  provide('contactd', { url: server.url, certDir: server.certDir })
  return () => tearDown(server)
}
